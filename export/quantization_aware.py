"""Quantization-aware training: a network that computes as if in INT8 while it trains (TF-MOT, over tf_keras).

Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference"
(arXiv:1712.05877). The network is folded first: what trains is what the INT8 file will hold, BatchNorm included.
"""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
    default_8bit_quantize_configs,
    default_8bit_quantize_registry,
    default_8bit_quantizers,
)
from tensorflow_model_optimization.python.core.quantization.keras.quantize_layer import QuantizeLayer
from tf_keras import layers

from export.activation_ranges import BATCH, activation_ranges
from export.fold import fold
from export.kernel_rounding import round_kernels
from export.tf_keras_bridge import to_tf_keras
from tfcifar.models.nested import all_layers


class OutputOnly(default_8bit_quantize_configs.Default8BitOutputQuantizeConfig):
    """For layers without weights that TF-MOT does not know, such as GELU and Rescaling: their output in 8 bits."""


class ByChannelQuantizer(default_8bit_quantizers.Default8BitConvWeightsQuantizer):
    """Weights [h, w, channels, multiplier] in 8 bits, a range for each channel: TF-MOT has one for each multiplier."""

    def build(self, tensor_shape, name, layer):
        return super().build((1, 1, 1, np.prod(tensor_shape[2:])), name, layer)

    def __call__(self, inputs, training, weights, **kwargs):
        channels_last = tf.reshape(inputs, (*inputs.shape[:2], 1, -1))
        return tf.reshape(super().__call__(channels_last, training, weights, **kwargs), inputs.shape)


class ByChannel(default_8bit_quantize_registry.Default8BitConvQuantizeConfig):
    """For depthwise convolutions: as TFLite quantizes them."""

    def __init__(self, weight_attrs=("depthwise_kernel",), activation_attrs=("activation",), quantize_output=False):
        super().__init__(list(weight_attrs), list(activation_attrs), quantize_output)
        self.weight_quantizer = ByChannelQuantizer()


def quantization_aware(model: keras.Model, images: np.ndarray, keep_zeros: bool = False) -> tf_keras.Model:
    """A tf_keras model of the folded `model`, with weights and activations rounded to 8 bits in the forward pass.

    Args:
        model: functional, images 0..255 -> logits.
        images: uint8 [n, h, w, 3] of the training split, from which activations take their ranges; `FixedRanges`
            keeps them in training.
        keep_zeros: weights that are zero stay zero in training: of a pruned network.
    """
    clone = to_tf_keras(fold(model), flatten=True)
    ranges = activation_ranges(clone, images)
    if not keep_zeros:  # rounding makes more of them
        round_kernels(clone, images)
    annotated = tf_keras.models.clone_model(clone, clone_function=_annotate)
    scheme = (
        tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()
        if keep_zeros
        else tfmot.quantization.keras.default_8bit.Default8BitQuantizeScheme()
    )
    own = {each.__name__: each for each in (OutputOnly, ByChannel)}
    with tfmot.quantization.keras.quantize_scope(own):
        quantized = tfmot.quantization.keras.quantize_apply(annotated, scheme)
    quantized(images[:BATCH].astype(np.float32), training=True)  # the ranges of weights are those of the last step
    _set_ranges(quantized, ranges)
    return quantized


def trained_weights(quantized: tf_keras.Model, folded: keras.Model) -> None:
    """Give the folded model the weights that its quantization-aware counterpart has come to."""
    own = {layer.name: layer for layer in all_layers(folded)}
    for wrapper in [each for each in quantized.layers if hasattr(each, "layer")]:
        name = wrapper.layer.name
        # Not the wrapper's own: ranges and steps. The layer itself has its rounded kernel in place of the kernel.
        weights = [weight.numpy() for weight in wrapper.weights if weight.name.startswith(f"{name}/")]
        if weights:
            own[name].set_weights(weights)


def _annotate(layer: layers.Layer) -> layers.Layer:
    if isinstance(layer, (layers.InputLayer, layers.MultiHeadAttention)):  # the latter is left to the converter
        return layer
    if isinstance(layer, layers.DepthwiseConv2D):
        return tfmot.quantization.keras.quantize_annotate_layer(layer, ByChannel())
    registry = default_8bit_quantize_registry.Default8BitQuantizeRegistry()
    # It knows the layer Activation, but of its functions only a few.
    known = registry.supports(layer) and not (
        isinstance(layer, layers.Activation) and layer.activation.__name__ not in ("relu", "softmax", "sigmoid", "tanh")
    )
    return tfmot.quantization.keras.quantize_annotate_layer(layer, None if known else OutputOnly())


class FixedRanges(tf_keras.callbacks.Callback):
    """Keeps the ranges of activations as they are: TF-MOT would move them to the last batch's ends by a thousandth."""

    def on_train_begin(self, logs=None):
        self.ranges = [(weight, weight.numpy()) for weight in self.model.weights if _is_range(weight.name)]

    def on_train_batch_end(self, batch, logs=None):
        for weight, value in self.ranges:
            weight.assign(value)


def _set_ranges(quantized: tf_keras.Model, ranges: dict[str, tuple[float, float]]) -> None:
    for layer in quantized.layers:
        of_inputs = isinstance(layer, QuantizeLayer)  # bytes come in as they are
        for variable in layer.weights:
            if _is_range(variable.name) or (of_inputs and variable.name.endswith(("_min:0", "_max:0"))):
                low, high = (0.0, 255.0) if of_inputs else ranges[layer.name.removeprefix("quant_")]
                variable.assign(high if variable.name.endswith("_max:0") else low)


def _is_range(name: str) -> bool:
    return name.endswith(("/output_min:0", "/output_max:0", "/post_activation_min:0", "/post_activation_max:0"))
