"""What stands in tf_keras for each layer and operation of Keras 3, with the same name and the same computation."""

import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
import tf_keras
from keras import Operation, layers
from tf_keras import layers as legacy

from pipelines.errors import InputError
from tfcifar.models.activations import FusedGelu
from tfcifar.models.attention import ChannelSummary, LearnedScale, PositionEmbedding
from tfcifar.models.convolution import FastConv2D
from tfcifar.models.normalization import FusedBatchNormalization
from tfcifar.models.transfer import Upscale
from tfcifar.models.whitening import PatchWhitening

CONVOLUTION = ("kernel_size", "strides", "padding", "data_format", "dilation_rate", "activation", "use_bias")
POOLING = ("pool_size", "strides", "padding", "data_format")
# Arguments that mean the same in both, by layer. Initializers, regularizers and constraints are left behind: weights
# are copied, and who trains the result chooses anew.
SAME: dict[type, tuple[type, tuple[str, ...]]] = {
    layers.Conv2D: (legacy.Conv2D, ("filters", "groups", *CONVOLUTION)),
    FastConv2D: (legacy.Conv2D, ("filters", "groups", *CONVOLUTION)),
    PatchWhitening: (legacy.Conv2D, ("filters", "groups", *CONVOLUTION)),
    layers.DepthwiseConv2D: (legacy.DepthwiseConv2D, ("depth_multiplier", *CONVOLUTION)),
    layers.SeparableConv2D: (legacy.SeparableConv2D, ("filters", "depth_multiplier", *CONVOLUTION)),
    layers.Dense: (legacy.Dense, ("units", "activation", "use_bias")),
    layers.BatchNormalization: (legacy.BatchNormalization, ("axis", "momentum", "epsilon", "center", "scale")),
    FusedBatchNormalization: (legacy.BatchNormalization, ("axis", "momentum", "epsilon", "center", "scale")),
    layers.LayerNormalization: (legacy.LayerNormalization, ("axis", "epsilon", "center", "scale")),
    layers.GroupNormalization: (legacy.GroupNormalization, ("groups", "axis", "epsilon", "center", "scale")),
    layers.MultiHeadAttention: (
        legacy.MultiHeadAttention,
        ("num_heads", "key_dim", "value_dim", "dropout", "use_bias", "output_shape", "attention_axes"),
    ),
    layers.MaxPooling2D: (legacy.MaxPooling2D, POOLING),
    layers.AveragePooling2D: (legacy.AveragePooling2D, POOLING),
    layers.GlobalMaxPooling2D: (legacy.GlobalMaxPooling2D, ("data_format", "keepdims")),
    layers.GlobalAveragePooling2D: (legacy.GlobalAveragePooling2D, ("data_format", "keepdims")),
    layers.ZeroPadding2D: (legacy.ZeroPadding2D, ("padding", "data_format")),
    layers.Cropping2D: (legacy.Cropping2D, ("cropping", "data_format")),
    layers.UpSampling2D: (legacy.UpSampling2D, ("size", "interpolation", "data_format")),
    layers.Add: (legacy.Add, ()),
    layers.Subtract: (legacy.Subtract, ()),
    layers.Multiply: (legacy.Multiply, ()),
    layers.Average: (legacy.Average, ()),
    layers.Maximum: (legacy.Maximum, ()),
    layers.Minimum: (legacy.Minimum, ()),
    layers.Concatenate: (legacy.Concatenate, ("axis",)),
    layers.Activation: (legacy.Activation, ("activation",)),
    layers.ReLU: (legacy.ReLU, ("max_value", "negative_slope", "threshold")),
    layers.Softmax: (legacy.Softmax, ("axis",)),
    layers.Dropout: (legacy.Dropout, ("rate", "noise_shape")),
    layers.SpatialDropout2D: (legacy.SpatialDropout2D, ("rate", "data_format")),
    layers.Flatten: (legacy.Flatten, ("data_format",)),
    layers.Reshape: (legacy.Reshape, ("target_shape",)),
    layers.Permute: (legacy.Permute, ("dims",)),
    layers.Rescaling: (legacy.Rescaling, ("scale", "offset")),
}
# Names that mean the same function in both. Keras 3 changed what hard_sigmoid computes.
SAME_ACTIVATIONS = (
    "linear", "relu", "sigmoid", "tanh", "softmax", "elu", "selu", "softplus", "softsign", "exponential", "gelu",
)  # fmt: skip
ACTIVATIONS = dict(zip(SAME_ACTIVATIONS, SAME_ACTIVATIONS, strict=True)) | {"silu": "swish", "swish": "swish"}


@tf_keras.saving.register_keras_serializable(package="tfcifar")
def relu6(x):
    return tf.nn.relu6(x)


@tf_keras.saving.register_keras_serializable(package="tfcifar")
def hard_sigmoid(x):
    """As in Keras 3: relu6(x + 3) / 6."""
    return tf.nn.relu6(x + 3.0) / 6.0


@tf_keras.saving.register_keras_serializable(package="tfcifar")
def hard_silu(x):
    return x * hard_sigmoid(x)


@tf_keras.saving.register_keras_serializable(package="tfcifar")
def tanh_gelu(x):
    """The approximation of GELU by the hyperbolic tangent."""
    return tf.nn.gelu(x, approximate=True)


OWN_ACTIVATIONS = {"relu6": relu6, "hard_sigmoid": hard_sigmoid, "hard_silu": hard_silu, "hard_swish": hard_silu}
# Operations of Keras' functions on tensors, by the name of their class.
ACTIVATION_OPERATIONS = {
    "Relu": "relu", "Relu6": "relu6", "Silu": "silu", "Sigmoid": "sigmoid", "Tanh": "tanh",
    "HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu", "Softplus": "softplus",
}  # fmt: skip
ARITHMETIC = {"Add": legacy.Add, "Subtract": legacy.Subtract, "Multiply": legacy.Multiply}


@tf_keras.saving.register_keras_serializable(package="tfcifar", name="ChannelSummary")
class LegacyChannelSummary(legacy.Layer):
    """[n, h, w, c] -> [n, h, w, 2]: mean and maximum over the channels."""

    def call(self, inputs):
        mean, most = tf.reduce_mean(inputs, -1, keepdims=True), tf.reduce_max(inputs, -1, keepdims=True)
        return tf.concat([mean, most], -1)


@tf_keras.saving.register_keras_serializable(package="tfcifar", name="PositionEmbedding")
class LegacyPositionEmbedding(legacy.Layer):
    """Adds to each token [n, tokens, c] a learned vector of its position."""

    def build(self, input_shape):
        self.embedding = self.add_weight(name="embedding", shape=input_shape[1:])

    def call(self, inputs):
        return inputs + self.embedding


@tf_keras.saving.register_keras_serializable(package="tfcifar", name="LearnedScale")
class LegacyLearnedScale(legacy.Layer):
    """Multiplies by one learned number."""

    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=())

    def call(self, inputs):
        return inputs * self.scale


def _normalization(layer: layers.Normalization) -> legacy.Layer:
    if layer.axis != (-1,) and layer.axis != (3,):
        raise _untranslated(layer, f"over the axes {layer.axis}")
    mean, variance = (np.asarray(each, "float32").ravel() for each in (layer.mean, layer.variance))
    return legacy.Normalization(mean=mean, variance=variance, **_common(layer))


def _resizing(layer: layers.Resizing) -> legacy.Layer:
    if getattr(layer, "pad_to_aspect_ratio", False) or getattr(layer, "antialias", False):
        raise _untranslated(layer, "that pads or smooths")
    return legacy.Resizing(layer.height, layer.width, layer.interpolation, layer.crop_to_aspect_ratio, **_common(layer))


SPECIAL: dict[type, Callable] = {
    FusedGelu: lambda layer: legacy.Activation(tanh_gelu, **_common(layer)),
    ChannelSummary: lambda layer: LegacyChannelSummary(**_common(layer)),
    PositionEmbedding: lambda layer: LegacyPositionEmbedding(**_common(layer)),
    LearnedScale: lambda layer: LegacyLearnedScale(**_common(layer)),
    layers.Normalization: _normalization,
    layers.Resizing: _resizing,
    Upscale: _resizing,
    layers.LeakyReLU: lambda layer: legacy.LeakyReLU(layer.negative_slope, **_common(layer)),
}
WITHOUT_WEIGHTS = (layers.Normalization,)  # whose weights are arguments in tf_keras


def translate_layer(layer: layers.Layer) -> legacy.Layer:
    """A tf_keras layer of the same name that computes the same, in float32; without the weights.

    Raises:
        InputError: there is none for this kind of layer; names it.
    """
    if type(layer) in SPECIAL:
        return SPECIAL[type(layer)](layer)
    if type(layer) not in SAME:
        raise _untranslated(layer)
    kind, names = SAME[type(layer)]
    # Not from get_config: what a layer has worked out since, such as the filters of a whitening, is in it.
    arguments = {name: getattr(layer, f"_{name}" if kind is legacy.MultiHeadAttention else name) for name in names}
    if "activation" in arguments:
        arguments["activation"] = _activation(arguments["activation"], layer)
    if isinstance(layer, layers.LayerNormalization) and getattr(layer, "rms_scaling", False):
        raise _untranslated(layer, "with rms_scaling")
    return kind(**arguments, **_common(layer))


def translate_operation(operation: Operation, arguments: list) -> legacy.Layer:
    """The same for a function on tensors, such as `x + 3` or `keras.activations.relu(x)`.

    Args:
        arguments: of its call: numbers, and anything else for tensors.
    """
    kind = type(operation).__name__
    numbers = [each for each in arguments if isinstance(each, int | float)]
    if kind in ARITHMETIC and not numbers:
        return ARITHMETIC[kind](name=operation.name)
    if (len(arguments) == 2 and isinstance(arguments[1], int | float)) or (kind in ("Add", "Multiply") and numbers):
        (number,) = numbers
        scale_and_offset = {"Add": (1.0, number), "Subtract": (1.0, -number), "Multiply": (number, 0.0),
                            "TrueDivide": (1 / number if number else math.nan, 0.0)}  # fmt: skip
        if kind in scale_and_offset:
            return legacy.Rescaling(*scale_and_offset[kind], name=operation.name)
    if kind == "ReLU":
        slope, most, threshold = operation.negative_slope, operation.max_value, operation.threshold
        return legacy.ReLU(most, slope, threshold, name=operation.name)
    if kind in ACTIVATION_OPERATIONS:
        name = ACTIVATION_OPERATIONS[kind]
        return legacy.Activation(OWN_ACTIVATIONS.get(name) or ACTIVATIONS[name], name=operation.name)
    raise _untranslated(operation)


def _common(layer: layers.Layer) -> dict:
    return {"name": layer.name, "trainable": layer.trainable, "dtype": "float32"}


def _activation(function, layer):
    for name, own in (*OWN_ACTIVATIONS.items(), *ACTIVATIONS.items()):
        if keras.activations.get(name) is function:  # not by its name, which anyone's function may have
            return own
    raise _untranslated(layer, f"with the activation {getattr(function, '__name__', type(function).__name__)}")


def _untranslated(operation: Operation, how: str = "") -> InputError:
    known = sorted({each.__name__ for each in (*SAME, *SPECIAL)})
    return InputError(
        f"tf_keras: no translation of the layer {operation.name}, a {type(operation).__name__}{how and ' ' + how}; "
        f"known: {', '.join(known)}."
    )
