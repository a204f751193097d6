"""Averages of a model's weights: over steps, with exponentially falling weight, and over epochs."""

from contextlib import contextmanager

import keras
import tensorflow as tf


class Average:
    """An average of every weight, BatchNorm statistics included, of which `count` updates have been made."""

    def __init__(self, weights: list[keras.Variable]):
        self.weights = weights
        self.averages = [_variable(weight.value) for weight in weights]
        self.count = _variable(0.0)

    @property
    def variables(self) -> list[tf.Variable]:
        """What a checkpoint must hold."""
        return [*self.averages, self.count]

    def _move(self, share: tf.Tensor) -> None:
        """`share` of the way from the averages to the weights."""
        for average, weight in zip(self.averages, self.weights, strict=True):
            average.assign_sub(share * (average - weight.value))

    @contextmanager
    def applied(self):
        """The model holds the averaged weights inside, its own again after."""
        own = [tf.identity(weight.value) for weight in self.weights]
        self._assign(self.averages)
        try:
            yield
        finally:
            self._assign(own)

    def _assign(self, values: list[tf.Tensor]) -> None:
        for weight, value in zip(self.weights, values, strict=True):
            weight.assign(value)


def _variable(value: tf.Tensor) -> tf.Variable:
    """Where several devices train, each keeps its own, all with the same value: nothing to exchange at each step."""
    return tf.Variable(
        value,
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


class WeightAverage(Average):
    """Exponential moving average over steps (Polyak averaging; Tarvainen and Valpola 2017, arXiv:1703.01780).

    The decay grows as (1 + t) / (10 + t) up to `decay`, so that early averages are not stuck at the start.
    """

    def __init__(self, weights: list[keras.Variable], decay: float):
        super().__init__(weights)
        self.decay = decay

    def update(self) -> None:
        """To be called once a training step, after the optimizer."""
        self.count.assign_add(1.0)
        self._move(1.0 - tf.minimum(self.decay, (1.0 + self.count) / (10.0 + self.count)))


class EpochAverage(Average):
    """Mean of the weights at the end of each epoch from `first_epoch` on (Izmailov et al. 2018, arXiv:1803.05407).

    Stochastic weight averaging (SWA). Its BatchNorm statistics are of no use: see `recompute_statistics`.
    """

    def __init__(self, weights: list[keras.Variable], first_epoch: int):
        super().__init__(weights)
        self.first_epoch = first_epoch

    def update(self, epoch: int) -> None:
        """To be called at the end of each epoch, counted from 0."""
        if epoch >= self.first_epoch:
            self.count.assign_add(1.0)
            self._move(1.0 / self.count)
