"""Kernels rounded to 8 bits so that outputs, not weights, change least.

Frantar et al. 2023, "GPTQ" (arXiv:2210.17323): what rounding one weight adds to an output is taken off by those that
follow, as far as their inputs are alike. Neighbouring pixels are; patches of them, whitened, are weighted by much to
tell them apart, and rounding each weight to the nearest step lets through what they have in common. Constant errors go
into the bias (Nagel et al. 2019, arXiv:1906.04721, section 4.2).
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from tf_keras import layers

BATCH = 20  # images; patches of nine pixels take nine times the memory of a map
DAMPING = 0.01  # of their mean square, added to that of each input: GPTQ's own
LARGEST = 127  # of integers in 8 bits, the same on both sides


def round_kernels(model: tf_keras.Model, images: np.ndarray) -> None:
    """Give convolutions and dense layers kernels that 8 bits can hold, and biases that fit them.

    One scale for each output of a convolution, one for all of a dense layer, each by the largest weight, which stays.

    Args:
        model: functional, of plain layers.
        images: uint8 [n, h, w, c], the inputs to expect.
    """
    found = [layer for layer in model.layers if _is_rounded(layer)]
    inner = tf_keras.Model(model.input, {layer.name: layer.input for layer in found})

    def seen() -> Iterator[tuple[layers.Layer, tf.Tensor]]:
        for start in range(0, len(images), BATCH):
            inputs = inner(images[start : start + BATCH].astype(np.float32), training=False)
            yield from ((layer, _patches(layer, inputs[layer.name])) for layer in found)

    counts: dict[str, int] = defaultdict(int)
    means: dict[str, Any] = defaultdict(float)
    for layer, patches in seen():
        counts[layer.name] += patches.shape[1]
        means[layer.name] += tf.reduce_sum(patches, 1, keepdims=True).numpy().astype(np.float64)
    for layer in found:  # a bias makes up for what is constant
        means[layer.name] *= float(layer.use_bias) / counts[layer.name]
    moments: dict[str, Any] = defaultdict(float)
    for layer, patches in seen():
        patches -= means[layer.name].astype(np.float32)
        moments[layer.name] += tf.matmul(patches, patches, transpose_a=True).numpy() / counts[layer.name]
    for layer in found:
        kernel, *others = layer.get_weights()
        columns = _columns(layer, kernel.astype(np.float64))
        largest = np.abs(columns).max() if isinstance(layer, layers.Dense) else np.abs(columns).max(1, keepdims=True)
        steps = np.broadcast_to(largest / LARGEST, (len(columns), 1, columns.shape[2]))[:, 0]
        triples = zip(columns, moments[layer.name], steps, strict=True)
        rounded = np.stack([round_weights(*each) for each in triples])
        if layer.use_bias:
            others = [others[0] + (means[layer.name] @ (columns - rounded)).ravel()]
        layer.set_weights([_kernel(layer, rounded, kernel.shape), *others])


def round_weights(weights: np.ndarray, moments: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Multiples of a step with which weighted sums of the inputs differ least from those with `weights`.

    Args:
        weights: float64 [inputs, outputs]; those of LARGEST steps and zeros stay as they are.
        moments: float64 [inputs, inputs], mean products of the inputs.
        steps: [outputs], what each output's weights become multiples of, up to LARGEST times.
    """
    sizes = np.diag(moments)
    if not sizes.any():
        moments, sizes = np.eye(len(weights)), np.ones(len(weights))
    damped = moments + DAMPING * sizes.mean() * np.eye(len(weights))
    order = np.argsort(-sizes)  # those that matter most can still be made up for
    upper = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    ordered = weights[order]
    left, rounded = ordered.copy(), np.zeros_like(ordered)
    steps = np.where(steps > 0, steps, 1.0)
    # The largest, so that the scale by it is the same afterwards; and zeros, which pruning has made.
    kept = (np.abs(left) >= LARGEST * steps * (1 - 1e-9)) | (left == 0)
    for index in range(len(left)):
        integers = np.clip(np.round(left[index] / steps), -LARGEST, LARGEST)
        rounded[index] = np.where(kept[index], ordered[index], integers * steps)
        error = (left[index] - rounded[index]) / upper[index, index]
        left[index + 1 :] -= upper[index, index + 1 :, None] * error
    return rounded[np.argsort(order)]


def _is_rounded(layer: layers.Layer) -> bool:
    if isinstance(layer, layers.Dense):
        return True
    return isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)) and layer.groups == 1


def _patches(layer: layers.Layer, inputs: tf.Tensor) -> tf.Tensor:
    """[groups, positions, inputs]: what each output of the layer is a weighted sum of; depthwise, a group a channel."""
    if isinstance(layer, layers.Dense):
        return tf.reshape(inputs, (1, -1, inputs.shape[-1]))
    patches = tf.image.extract_patches(
        inputs, [1, *layer.kernel_size, 1], [1, *layer.strides, 1], [1, *layer.dilation_rate, 1], layer.padding.upper()
    )
    if not isinstance(layer, layers.DepthwiseConv2D):
        return tf.reshape(patches, (1, -1, patches.shape[-1]))
    return tf.transpose(tf.reshape(patches, (-1, np.prod(layer.kernel_size), inputs.shape[-1])), (2, 0, 1))


def _columns(layer: layers.Layer, kernel: np.ndarray) -> np.ndarray:
    """[groups, inputs, outputs of each group], of a kernel as the layer has it."""
    if isinstance(layer, layers.DepthwiseConv2D):
        return kernel.reshape(-1, *kernel.shape[2:]).transpose(1, 0, 2)
    return kernel.reshape(1, -1, kernel.shape[-1])


def _kernel(layer: layers.Layer, columns: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of `_columns`."""
    return (columns.transpose(1, 0, 2) if isinstance(layer, layers.DepthwiseConv2D) else columns).reshape(shape)
