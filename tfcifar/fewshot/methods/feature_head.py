"""What prototypes and probes share: features of unit length from a frozen network, and a head on top of them.

Length one, since without it a few images with strong features outweigh all others (Wang et al. 2019, "SimpleShot",
arXiv:1911.04623; Tian et al. 2020, arXiv:2003.11539).
"""

from functools import partial

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfcifar.fewshot.inner_loop import body_of
from tfcifar.fewshot.methods import Learned
from tfcifar.models.multi_task import CLASSES

BATCH = 256  # images at a time; of upscaling models 64 would do, and these take seconds anyway


class Features:
    """Unit features of a model, in a compiled graph.

    Args:
        remember: compute those of an image once, however often it is asked for, as in cross-validation.
    """

    def __init__(self, model: keras.Model, remember: bool = False):
        self.known: dict[bytes, np.ndarray] | None = {} if remember else None
        self.body = unit_body(model)
        anything = tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8)  # one graph for batches of every size
        self.graph = tf.function(lambda images: self.body(images, training=False), input_signature=[anything])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 [n, h, w, 3] -> float32 [n, d], rows of length 1."""
        if self.known is None:
            return self._compute(images)
        keys = [image.tobytes() for image in images]
        new = {key: place for place, key in enumerate(keys) if key not in self.known}
        if new:
            self.known.update(zip(new, self._compute(images[list(new.values())]), strict=True))
        return np.stack([self.known[key] for key in keys])

    def _compute(self, images: np.ndarray) -> np.ndarray:
        parts = [self.graph(images[start : start + BATCH]).numpy() for start in range(0, len(images), BATCH)]
        return np.concatenate(parts)

    def learned(self, kernel: np.ndarray, bias: np.ndarray) -> Learned:
        """Logits features @ kernel + bias; kernel: [d, k]."""
        kernel, bias = kernel.astype(np.float32), bias.astype(np.float32)
        return Learned(lambda images: self(images) @ kernel + bias, partial(with_head, self.body, kernel, bias))


def unit_body(model: keras.Model) -> keras.Model:
    """What a model computes before its head, each row of length 1, in float32."""
    body = body_of(model)
    return keras.Model(body.input, layers.UnitNormalization(dtype="float32", name="unit_features")(body.output))


def with_head(body: keras.Model, kernel: np.ndarray, bias: np.ndarray) -> keras.Model:
    """A model of the layers of `body` and a head with these weights."""
    head = layers.Dense(kernel.shape[1], dtype="float32", name=CLASSES)
    model = keras.Model(body.input, head(body.output), name="few_shot")
    head.set_weights([kernel, bias])
    return model
