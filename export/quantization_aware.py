"""Quantization-aware training: a network that computes as if in INT8 while it trains (TF-MOT, over tf_keras).

Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference"
(arXiv:1712.05877). The network is folded first: what trains is what the INT8 file will hold, BatchNorm included.
"""

from collections import defaultdict

import keras
import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
    default_8bit_quantize_configs,
    default_8bit_quantize_registry,
)
from tf_keras import layers

from export.fold import fold
from export.tf_keras_bridge import to_tf_keras

BATCH = 100  # images


class OutputOnly(default_8bit_quantize_configs.Default8BitOutputQuantizeConfig):
    """For layers without weights that TF-MOT does not know, such as GELU and Rescaling: their output in 8 bits."""


def quantization_aware(model: keras.Model, images: np.ndarray, keep_zeros: bool = False) -> tf_keras.Model:
    """A tf_keras model of the folded `model`, with weights and activations rounded to 8 bits in the forward pass.

    Args:
        model: functional, images 0..255 -> logits.
        images: uint8 [n, h, w, 3] of the training split, from which activations take their first ranges.
        keep_zeros: weights that are zero stay zero in training: of a pruned network.
    """
    clone = to_tf_keras(fold(model), flatten=True)
    ranges = _ranges(clone, images)
    annotated = tf_keras.models.clone_model(clone, clone_function=_annotate)
    scheme = (
        tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()
        if keep_zeros
        else tfmot.quantization.keras.default_8bit.Default8BitQuantizeScheme()
    )
    with tfmot.quantization.keras.quantize_scope({OutputOnly.__name__: OutputOnly}):
        quantized = tfmot.quantization.keras.quantize_apply(annotated, scheme)
    quantized(images[:BATCH].astype(np.float32), training=True)  # the ranges of weights are those of the last step
    _set_ranges(quantized, ranges)
    return quantized


def trained_weights(quantized: tf_keras.Model, folded: keras.Model) -> None:
    """Give the folded model the weights that its quantization-aware counterpart has come to."""
    for wrapper in [each for each in quantized.layers if hasattr(each, "layer")]:
        name = wrapper.layer.name
        # Not the wrapper's own: ranges and steps. The layer itself has its rounded kernel in place of the kernel.
        weights = [weight.numpy() for weight in wrapper.weights if weight.name.startswith(f"{name}/")]
        if weights:
            folded.get_layer(name).set_weights(weights)


def _annotate(layer: layers.Layer) -> layers.Layer:
    if isinstance(layer, layers.InputLayer):
        return layer
    registry = default_8bit_quantize_registry.Default8BitQuantizeRegistry()
    # It knows the layer Activation, but of its functions only a few.
    known = registry.supports(layer) and not (
        isinstance(layer, layers.Activation) and layer.activation.__name__ not in ("relu", "softmax", "sigmoid", "tanh")
    )
    return tfmot.quantization.keras.quantize_annotate_layer(layer, None if known else OutputOnly())


def _ranges(clone: tf_keras.Model, images: np.ndarray) -> dict[str, tuple[float, float]]:
    """Lowest and highest output of each layer, mean over batches, as moving ranges would become; with zero in them."""
    outputs = {layer.name: layer.output for layer in clone.layers if not isinstance(layer, layers.InputLayer)}
    inner = tf_keras.Model(clone.input, outputs)
    lows, highs = defaultdict(list), defaultdict(list)
    for start in range(0, len(images), BATCH):
        for name, output in inner(images[start : start + BATCH].astype(np.float32), training=False).items():
            lows[name].append(min(float(tf.reduce_min(output)), 0.0))
            highs[name].append(max(float(tf.reduce_max(output)), 0.0))
    return {name: (float(np.mean(lows[name])), float(np.mean(highs[name]))) for name in outputs}


def _set_ranges(quantized: tf_keras.Model, ranges: dict[str, tuple[float, float]]) -> None:
    """They begin at -6 to 6 and move by a thousandth with each step: a training that begins so would first unlearn."""
    for layer in quantized.layers:
        for variable in layer.weights:
            if variable.name.endswith("quantize_layer_min:0"):
                variable.assign(0.0)  # bytes come in as they are
            if variable.name.endswith("quantize_layer_max:0"):
                variable.assign(255.0)
            for place in ("output", "post_activation"):
                for end, name in enumerate(("min", "max")):
                    if variable.name.endswith(f"/{place}_{name}:0"):
                        variable.assign(ranges[layer.name.removeprefix("quant_")][end])
