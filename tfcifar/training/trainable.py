"""The Keras model that `fit` runs: augmentation on the device, image size, weight averaging, time waited for data."""

import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.augment import augment_batch
from pipelines.augment_config import Augment
from tfcifar.models.image_size import at_image_size
from tfcifar.models.multi_task import CLASSES, GROUPS
from tfcifar.training.weight_average import EpochAverage, WeightAverage


class TrainableModel(keras.Model):
    """Wraps a functional model, sharing its layers; a batch is what `pipelines.datasets` yields."""

    train_function: Any  # Keras'

    @classmethod
    def wrap(
        cls,
        model: keras.Model,
        device_augment: Augment | None,
        average: WeightAverage | None,
        integer_labels: bool,
        image_size: int | None = None,
        groups: np.ndarray | None = None,
        epoch_average: EpochAverage | None = None,
    ) -> "TrainableModel":
        """The training model of `model`.

        Args:
            device_augment: what is still to be done to a batch, or None where the input chain has done it.
            image_size: to train on images of that size (see `at_image_size`); None: as they come.
            groups: float32 [k, groups] of a model with a group head: see `parse_groups`.
        """
        whole = model.input_shape
        model = at_image_size(model, image_size) if image_size else model
        trainable = cls(inputs=model.input, outputs=model.output, name=f"{model.name}_training")
        trainable.device_augment = device_augment
        trainable.average = average
        trainable.epoch_average = epoch_average
        trainable.integer_labels = integer_labels
        trainable.shrink_to = image_size if model.input_shape != whole else None
        trainable.groups = groups
        trainable.data_wait_seconds = 0.0
        return trainable

    def train_step(self, batch):
        logs = super().train_step(self.as_trained(batch))
        if self.average is not None:
            self.average.update()
        return logs

    def as_trained(self, batch):
        """A batch of `make_train_dataset` as the network and the losses take it."""
        if self.device_augment is not None:
            images, labels, example_ids, epoch, seed, *part = batch
            images, labels = augment_batch(images, labels, example_ids, epoch, seed, self.device_augment, *part)
            batch = images, tf.argmax(labels, axis=-1) if self.integer_labels else labels
        if self.shrink_to is not None:
            images, labels = batch
            # "area" averages the pixels that fall together, where "bilinear" would skip some. TensorFlow has it for
            # the CPU only, so a GPU's batch goes there and back.
            batch = tf.image.resize(images, (self.shrink_to,) * 2, "area"), labels
        return self._with_group_labels(batch)

    def test_step(self, batch):
        return super().test_step(self._with_group_labels(batch))

    def _with_group_labels(self, batch):
        if self.groups is None:
            return batch
        images, labels = batch
        return images, {CLASSES: labels, GROUPS: tf.matmul(labels, tf.constant(self.groups))}

    def make_train_function(self, force=False):
        if self.train_function is not None and not force:
            return
        super().make_train_function(force=True)
        keras_train_function = self.train_function
        self.train_function = lambda iterator: keras_train_function(self._timed(iterator))

    def _timed(self, iterator):
        while True:
            started = time.perf_counter()
            batch = next(iterator)
            self.data_wait_seconds += time.perf_counter() - started
            yield batch
