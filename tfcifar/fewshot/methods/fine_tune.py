"""The linear probe first, then a few steps of Adam with all weights.

In this order, since a random head would first of all spoil the features under it: Kumar et al. 2022, "Fine-Tuning can
Distort Pretrained Features and Underperform Out-of-Distribution", arXiv:2202.10054.
"""

import keras
import numpy as np
import tensorflow as tf

from tfcifar.fewshot.inner_loop import cross_entropy
from tfcifar.fewshot.methods import Learned
from tfcifar.fewshot.methods.feature_head import Features, unit_body, with_head
from tfcifar.fewshot.methods.linear_probe import fit_head

STEPS = 20
LEARNING_RATE = 1e-4  # five times as much, and more steps, were worse on meta-validation classes
BATCH = 32  # images a step, drawn anew each time


class FineTune:
    name = "fine_tune"

    def __init__(self, model: keras.Model, remember: bool = False):
        self.features = Features(model, remember)
        # A copy: the one trains, the other keeps its weights, from which each task starts again.
        self.body = unit_body(keras.models.clone_model(model))
        self.heads: dict[int, _Trainable] = {}

    def learn(self, images: np.ndarray, labels: np.ndarray, num_classes: int) -> Learned:
        features = self.features(images)
        if num_classes not in self.heads:
            self.heads[num_classes] = _Trainable(self.body, features.shape[1], num_classes)
        task = self.heads[num_classes]
        kernel, bias = fit_head(features, labels, num_classes)
        task.reset([*self.features.body.get_weights(), kernel, bias])
        random = np.random.RandomState(0)
        for _ in range(STEPS):
            batch = random.permutation(len(images))[:BATCH]
            task.step(tf.constant(images[batch]), tf.constant(labels[batch]))
        weights = task.model.get_weights()

        def logits(images: np.ndarray) -> np.ndarray:
            task.model.set_weights(weights)  # another task may have been learned since
            return task.logits(images).numpy()

        def to_model() -> keras.Model:
            model = keras.models.clone_model(task.model)
            model.set_weights(weights)
            return model

        return Learned(logits, to_model)


class _Trainable:
    """A network with a head for so many classes, its optimizer and its compiled step."""

    def __init__(self, body: keras.Model, width: int, num_classes: int):
        self.model = with_head(body, np.zeros((width, num_classes)), np.zeros(num_classes))
        self.optimizer = keras.optimizers.Adam(LEARNING_RATE)
        self.optimizer.build(self.model.trainable_variables)
        self.fresh = [each.numpy() for each in self.optimizer.variables]
        size = self.model.input_shape[1:]
        images = tf.TensorSpec([None, *size], tf.uint8)
        self.step = tf.function(self._step, input_signature=[images, tf.TensorSpec([None], tf.int64)])
        self.logits = tf.function(lambda images: self.model(images, training=False), input_signature=[images])

    def reset(self, weights: list[np.ndarray]) -> None:
        self.model.set_weights(weights)
        for variable, value in zip(self.optimizer.variables, self.fresh, strict=True):
            variable.assign(value)

    def _step(self, images, labels):
        with tf.GradientTape() as tape:
            loss = cross_entropy(self.model(images, training=False), labels)  # a handful has no statistics of its own
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
