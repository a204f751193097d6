"""Logits of many images on a CPU, for networks that Keras runs slowly there."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfcifar.environment import cores
from tfcifar.models.nested import all_layers

IMAGES_AT_ONCE = 10  # of LiteRT: what passes between two layers of MobileNetV2 at 224 pixels stays in the cache


def fast_logits(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """A function: images float32 [n, h, w, 3] in 0..255 -> logits float32 [n, k], those of `model` to rounding.

    Depthwise networks are converted to LiteRT where there is no GPU: with BatchNorm and activations inside the
    convolutions it is several times as fast as Keras, for which they are memory traffic. Others stay in Keras.
    """
    depthwise = any(isinstance(layer, keras.layers.DepthwiseConv2D) for layer in all_layers(model))
    if not depthwise or tf.config.list_physical_devices("GPU"):
        return model.predict_on_batch
    return _LiteRT(model)


class _LiteRT:
    def __init__(self, model: keras.Model):
        from ai_edge_litert.interpreter import Interpreter

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.tflite"
            model.export(file, format="litert", verbose=False)
            self.interpreter = Interpreter(model_content=file.read_bytes(), num_threads=cores())
        self.input = self.interpreter.get_input_details()[0]["index"]
        self.output = self.interpreter.get_output_details()[0]["index"]
        self.batch_size = 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        starts = range(0, len(images), IMAGES_AT_ONCE)
        return np.concatenate([self._batch(images[start : start + IMAGES_AT_ONCE]) for start in starts])

    def _batch(self, images: np.ndarray) -> np.ndarray:
        if len(images) != self.batch_size:
            self.interpreter.resize_tensor_input(self.input, images.shape)
            self.interpreter.allocate_tensors()
            self.batch_size = len(images)
        self.interpreter.set_tensor(self.input, images)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.output)
