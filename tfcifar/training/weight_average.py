"""Exponential moving average of a model's weights (Polyak averaging; Tarvainen and Valpola 2017)."""

from contextlib import contextmanager

import keras
import tensorflow as tf


class WeightAverage:
    """Averages every weight, BatchNorm statistics included.

    The decay grows as (1 + t) / (10 + t) up to `decay`, so that early averages are not stuck at the start.
    """

    def __init__(self, weights: list[keras.Variable], decay: float):
        self.decay = decay
        self.weights = weights
        self.averages = [tf.Variable(weight.value, trainable=False) for weight in weights]
        self.steps = tf.Variable(0.0, trainable=False)

    @property
    def variables(self) -> list[tf.Variable]:
        """What a checkpoint must hold."""
        return [*self.averages, self.steps]

    def update(self) -> None:
        """To be called once a training step, after the optimizer."""
        self.steps.assign_add(1.0)
        decay = tf.minimum(self.decay, (1.0 + self.steps) / (10.0 + self.steps))
        for average, weight in zip(self.averages, self.weights, strict=True):
            average.assign_sub((1.0 - decay) * (average - weight.value))

    @contextmanager
    def applied(self):
        """The model holds the averaged weights inside, its own again after."""
        own = [tf.identity(weight.value) for weight in self.weights]
        self._assign(self.averages)
        try:
            yield
        finally:
            self._assign(own)

    def _assign(self, values) -> None:
        for weight, value in zip(self.weights, values, strict=True):
            weight.assign(value)
