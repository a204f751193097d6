"""Ranges of activations for INT8: those that keep most of what the next layers see.

From the lowest value to the highest, a range spends most of its 256 steps on a few outliers; a narrower one clips them
and is finer for all others. Nagel et al. 2021, "A White Paper on Neural Network Quantization" (arXiv:2106.08295),
section 3.1. What counts is the error behind the activations and max-pooling that follow, since GELU has no use for what
lies far below zero, and a maximum none for what is not one; and that of a channel by the kernels it meets: a depthwise
convolution may multiply one of small values by much.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf
import tf_keras
from tf_keras import layers

BATCH = 20  # images, of which all maps of a network are held at once
BINS = 8192
SHRINKS = 2.0 ** -(np.arange(33) / 8)  # of either end, to a sixteenth
MOST_POSITIONS = 32  # of a map, along either axis, that are counted; more of them tell little more
SELECTING = (layers.MaxPooling2D, layers.GlobalMaxPooling2D, layers.ZeroPadding2D)  # values stay as they are


def activation_ranges(model: tf_keras.Model, images: np.ndarray) -> dict[str, tuple[float, float]]:
    """The range of each layer's output, by its name; zero lies in it.

    Args:
        model: functional, of plain layers.
        images: uint8 [n, h, w, c], the values to expect.
    """
    plain = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    followers = {layer.name: _followers(layer) for layer in plain}
    inner = tf_keras.Model(model.input, {layer.name: layer.output for layer in plain})

    def seen() -> Iterator[tuple[str, np.ndarray]]:
        for start in range(0, len(images), BATCH):
            for name, values in inner(images[start : start + BATCH].astype(np.float32), training=False).items():
                for layer in [each for each in followers[name] if isinstance(each, SELECTING)]:
                    values = layer(values)
                yield name, values.numpy()

    ends = {layer.name: (0.0, 0.0) for layer in plain}
    for name, values in seen():
        low, high = ends[name]
        ends[name] = min(low, float(values.min())), max(high, float(values.max()))
    gains = {layer.name: _gains([layer, *followers[layer.name]][-1]) for layer in plain}
    counts = {layer.name: np.zeros(BINS) for layer in plain}
    for name, values in seen():
        values = _thinned(values)
        weights = np.broadcast_to(gains[name].astype(np.float32), values.shape)
        counts[name] += np.histogram(values, BINS, ends[name], weights=weights)[0]
    functions = {name: [each for each in found if not isinstance(each, SELECTING)] for name, found in followers.items()}
    return {name: least_error_range(counts[name], ends[name], functions[name]) for name in counts}


def least_error_range(
    counts: np.ndarray, ends: tuple[float, float], functions: Sequence[Callable] = ()
) -> tuple[float, float]:
    """The range in 256 steps with the least mean squared error of what `functions` make of the values.

    Args:
        counts: [bins], how many values lie in each of so many equal parts of the range `ends`, or what they weigh.
        functions: of tensors of any shape, element by element, applied in order.
    """
    low, high = ends
    if low == high:
        return 0.0, 1.0  # of nothing but zeros: any range will do
    width = (high - low) / len(counts)
    values = tf.constant(np.linspace(low + width / 2, high - width / 2, len(counts)), tf.float32)[:, None]
    shares = tf.constant(counts / counts.sum(), tf.float32)[:, None]

    def outputs(inputs: tf.Tensor) -> tf.Tensor:
        for function in functions:
            inputs = function(inputs)
        return inputs

    exact, best = outputs(values), (np.inf, ends)
    highs = tf.constant(high * SHRINKS if high else [0.0], tf.float32)
    for shorter in low * SHRINKS if low else [0.0]:
        lows = tf.fill(highs.shape, tf.constant(shorter, tf.float32))
        rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            tf.repeat(values, len(highs), axis=1), lows, highs
        )
        errors = tf.reduce_sum(shares * tf.square(outputs(rounded) - exact), 0)
        found = int(tf.argmin(errors))
        best = min(best, (float(errors[found]), (float(shorter), float(highs[found]))))
    return best[1]


def _thinned(values: np.ndarray) -> np.ndarray:
    if values.ndim != 4:
        return values
    rows, columns = (-(-size // MOST_POSITIONS) for size in values.shape[1:3])
    return values[:, ::rows, ::columns]


def _followers(layer: layers.Layer) -> list[layers.Layer]:
    """The max-pooling, padding and activation layers that alone see a layer's output, in order."""
    found: list[layers.Layer] = []
    while len(layer.outbound_nodes) == 1:
        layer = layer.outbound_nodes[0].outbound_layer
        if not isinstance(layer, (*SELECTING, layers.ReLU)) and not _is_activation(layer):
            break
        found.append(layer)
    return found


def _gains(layer: layers.Layer) -> np.ndarray:
    """How much an error in each channel of a layer's output weighs, in all who take it; one number for all or [c]."""
    gains = np.zeros(1)
    for consumer in [node.outbound_layer for node in layer.outbound_nodes]:
        if isinstance(consumer, layers.DepthwiseConv2D):
            gains = gains + np.square(consumer.depthwise_kernel.numpy()).sum((0, 1, 3))
        elif isinstance(consumer, (layers.Conv2D, layers.Dense)) and getattr(consumer, "groups", 1) == 1:
            kernel = consumer.kernel.numpy()
            gains = gains + np.square(kernel.reshape(-1, *kernel.shape[-2:])).sum((0, 2))
        else:
            gains = gains + 1.0
    return gains if gains.any() else np.ones(1)


def _is_activation(layer: layers.Layer) -> bool:
    return isinstance(layer, layers.Activation) and layer.activation.__name__ != "softmax"
