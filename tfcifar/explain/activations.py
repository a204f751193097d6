"""A layer's output and the gradient to it, wherever in a model the layer sits."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from pipelines.errors import InputError, unknown
from tfcifar.models.activations import FusedGelu

RECTIFIERS = tuple(getattr(keras.activations, name) for name in ("relu", "relu6", "gelu", "silu", "hard_silu"))
SMALLEST_MAP = 4  # pixels; a map of fewer positions says little about where
BATCH_BYTES = 1 << 30  # of the maps of a batch, which a gradient keeps all


def spatial_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """All layers with an output [n, h, w, c], in the order of their calls; those of nested models as "model/layer"."""
    found: dict[str, keras.layers.Layer] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= {f"{layer.name}/{name}": inner for name, inner in spatial_layers(layer).items()}
        elif not isinstance(layer, keras.layers.InputLayer) and len(getattr(layer.output, "shape", ())) == 4:
            found[layer.name] = layer
    return found


def target_layer(model: keras.Model, name: str | None = None) -> keras.layers.Layer:
    """The layer called `name`; None: the last rectifier whose map has at least 4x4 positions.

    Grad-CAM is made for rectified maps, whose zero says that there is nothing. Without one it is the last such map, or
    else the last of all, without padding, whose map is no longer in line with the image.

    Raises:
        InputError: no such layer, or none with a map at all.
    """
    found = spatial_layers(model)
    if not found:
        raise InputError(f"layer: expected a model with feature maps [n, h, w, c], {model.name} has none.")
    if name is not None:
        if name not in found:
            raise unknown("layer", name, list(found))
        return found[name]
    aligned = [layer for layer in found.values() if not isinstance(layer, keras.layers.ZeroPadding2D)]
    large = [layer for layer in aligned if min(layer.output.shape[1:3]) >= SMALLEST_MAP]
    rectified = [layer for layer in large if is_rectifier(layer)]
    return (rectified or large or aligned)[-1]


def is_rectifier(layer: keras.layers.Layer) -> bool:
    """Whether a layer is one by itself; an activation inside a dense layer or a convolution does not count."""
    if isinstance(layer, keras.layers.Activation):
        return layer.activation in RECTIFIERS
    return isinstance(layer, (keras.layers.ReLU, FusedGelu))


def images_at_once(model: keras.Model) -> int:
    """How large a batch may be so that all of its maps fit into BATCH_BYTES; at least 1."""
    values = sum(math.prod(layer.output.shape[1:]) for layer in spatial_layers(model).values())
    return max(1, BATCH_BYTES // max(1, 4 * values))


@contextmanager
def replaced_call(layer: keras.layers.Layer, call: Callable) -> Iterator[None]:
    """While the block runs, `layer` computes with `call` in place of its own."""
    layer.call = call
    try:
        yield
    finally:
        del layer.call  # the class's own again


@contextmanager
def recorded(layer: keras.layers.Layer, tape: tf.GradientTape) -> Iterator[list[tf.Tensor]]:
    """While the block runs, each call of `layer` adds its output to the list, and `tape` watches it.

    Reading a nested layer's `output` would give a tensor of the inner model's own graph, which is connected to
    nothing that the outer model computes ("graph disconnected"); what a call returns is always the real thing.
    """
    outputs, call = [], layer.call

    def watch(*args, **kwargs):
        output = call(*args, **kwargs)
        tape.watch(output)
        outputs.append(output)
        return output

    with replaced_call(layer, watch):
        yield outputs


def maps_and_gradients(
    model: keras.Model, images: np.ndarray, classes: np.ndarray, layer: keras.layers.Layer
) -> tuple[np.ndarray, np.ndarray]:
    """What `layer` gives for `images`, and the gradient of each image's logit of its class to it.

    Args:
        images: [n, h, w, 3], 0..255.
        classes: int [n].

    Returns:
        Two float32 arrays [n, h', w', c].
    """
    with tf.GradientTape() as tape, recorded(layer, tape) as outputs:
        logits = model(tf.cast(images, tf.float32), training=False)
        chosen = tf.gather(logits, classes, batch_dims=1)
    gradients = tape.gradient(chosen, outputs[-1])
    return tf.cast(outputs[-1], tf.float32).numpy(), tf.cast(gradients, tf.float32).numpy()
