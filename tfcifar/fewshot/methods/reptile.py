"""Reptile: the weights move towards those that each task's own steps lead to.

Nichol, Achiam and Schulman 2018, "On First-Order Meta-Learning Algorithms", arXiv:1803.02999.
"""

import keras
import tensorflow as tf

from tfcifar.fewshot.inner_loop import cross_entropy
from tfcifar.fewshot.methods.gradient import GradientMethod, Task


class Reptile(GradientMethod):
    """All images of a task are learned from; there is no query loss, so that the rates stay as they are."""

    name = "reptile"
    learns_rates = False

    def task_gradients(self, task: Task, num_classes: int) -> tuple[list[tf.Tensor], tf.Tensor]:
        support_images, support_labels, query_images, query_labels = task
        images = tf.concat([support_images, query_images], 0)
        labels = tf.concat([support_labels, query_labels], 0)
        start = self.network.start()
        adapted = self.steps_from([*start, *self.network.new_head(num_classes)], images, labels)
        loss = cross_entropy(self.network.logits(adapted, images), labels)
        return [before - after for before, after in zip(start, adapted, strict=False)], loss

    def make_outer_optimizer(self, iterations: int, learning_rate: float) -> keras.optimizers.Optimizer:
        """A share of the way, which falls from 1 to nothing, as in the paper; `learning_rate` is not used."""
        return keras.optimizers.SGD(keras.optimizers.schedules.PolynomialDecay(1.0, iterations, 0.0))
