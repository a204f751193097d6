"""What Keras 3.15 needs help with where several devices train one model (`tf.distribute`). All of it is here.

1. Before the first step, Keras builds losses and metrics from a batch that it averages over the devices. That fails
   for batches that are more than a pair, and on several machines for every batch. Here it is given one device's part.
2. After each step, Keras averages the devices' metrics; on several machines it reduces scalars along an axis that
   they do not have. Nobody reads figures in mid-epoch here but the loss, which is averaged: a part's that is not finite
   stops them all. Of the others the first device's are handed on; those of an epoch are read from the metrics'
   variables, which sum over all devices.
3. Keras clips each device's gradient, then adds them up. Here they are added up first: `add_up_before_clipping`.
"""

from typing import Any

import keras
import tensorflow as tf

from tfcifar.training.trainable import TrainableModel


class DistributedModel(TrainableModel):
    """A `TrainableModel` built in the scope of a strategy; batches are parts, see `pipelines.sharding`."""

    test_function: Any  # Keras'

    def compile(self, optimizer=None, **kwargs):
        if optimizer is not None:
            add_up_before_clipping(optimizer)
            super().compile(optimizer, **kwargs)
        else:
            super().compile(**kwargs)

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            step = self._on_all_devices(self.train_step)
            self.train_function = lambda iterator: step(next(self._timed(iterator)))

    def train_step(self, batch):
        logs = super().train_step(batch)
        mean = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, logs["loss"])
        return logs | {"loss": mean}

    def make_test_function(self, force=False):
        if self.test_function is None or force:
            step = self._on_all_devices(self.test_step)
            self.test_function = lambda iterator: step(next(iterator))

    def evaluate(self, x, **kwargs):
        # Keras would take the number of this process' parts for that of the batches.
        return super().evaluate(x, steps=int(x.cardinality) // len(self.distribute_strategy.extended.worker_devices),
                                **kwargs)  # fmt: skip

    def _on_all_devices(self, step):
        strategy = self.distribute_strategy

        @tf.function(reduce_retracing=True, autograph=False)
        def one_step(batch):
            return tf.nest.map_structure(_first(strategy), strategy.run(step, args=(batch,)))

        return one_step

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        if all(part is None or part.built for part in (self._compile_metrics, self._compile_loss)):
            return
        _, _, batches = next(iter(iterator))
        batch = tf.nest.map_structure(_first(self.distribute_strategy), next(batches))
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=self.as_trained(batch))  # also a validator's, which has nothing to add


def _first(strategy):
    return lambda value: strategy.experimental_local_results(value)[0]


def add_up_before_clipping(optimizer: keras.optimizers.Optimizer) -> None:
    """Let `optimizer` clip the gradient of the whole batch, as on one device, and not that of each device's part."""
    if not any((optimizer.clipnorm, optimizer.global_clipnorm, optimizer.clipvalue)):
        return
    clip = optimizer._clip_gradients

    def clip_sum(gradients):
        return clip(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, list(gradients)))

    optimizer._clip_gradients = clip_sum
    optimizer._all_reduce_sum_gradients = list  # they are added up by then
