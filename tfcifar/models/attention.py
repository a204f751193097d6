"""Attention for feature maps: squeeze-and-excitation, CBAM, and self-attention over positions."""

import keras
from keras import layers, ops


def squeeze_and_excitation(x: keras.KerasTensor, name: str, ratio: int = 8) -> keras.KerasTensor:
    """Channels weighed by what the whole map holds: average -> two dense layers -> sigmoid.

    Hu et al. 2018, "Squeeze-and-Excitation Networks" (arXiv:1709.01507).

    Args:
        x: [n, h, w, c].
        ratio: c / ratio units in the middle, at least 8.
    """
    channels = x.shape[-1]
    weights = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    weights = layers.Dense(max(8, channels // ratio), activation="relu", name=f"{name}_reduce")(weights)
    weights = layers.Dense(channels, activation="sigmoid", name=f"{name}_excite")(weights)
    return layers.Multiply(name=f"{name}_scale")([x, weights])


def cbam(x: keras.KerasTensor, name: str, ratio: int = 8, kernel: int = 7) -> keras.KerasTensor:
    """Channels weighed by their average and maximum, then positions by those over the channels.

    Woo et al. 2018, "CBAM: Convolutional Block Attention Module" (arXiv:1807.06521).

    Args:
        x: [n, h, w, c].
        kernel: of the convolution that weighs positions.
    """
    channels = x.shape[-1]
    reduce = layers.Dense(max(8, channels // ratio), activation="relu", name=f"{name}_reduce")
    excite = layers.Dense(channels, name=f"{name}_excite")
    average = excite(reduce(layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_average")(x)))
    maximum = excite(reduce(layers.GlobalMaxPooling2D(keepdims=True, name=f"{name}_maximum")(x)))
    weights = layers.Activation("sigmoid", name=f"{name}_channel_weights")(
        layers.Add(name=f"{name}_add")([average, maximum])
    )
    x = layers.Multiply(name=f"{name}_scale_channels")([x, weights])
    summary = ChannelSummary(name=f"{name}_summary")(x)
    weights = layers.Conv2D(1, kernel, padding="same", activation="sigmoid", name=f"{name}_position_weights")(summary)
    return layers.Multiply(name=f"{name}_scale_positions")([x, weights])


def self_attention(x: keras.KerasTensor, name: str, heads: int = 4) -> keras.KerasTensor:
    """Each position gathers from all others; added to what it had, with a learned weight that starts at zero.

    Vaswani et al. 2017 (arXiv:1706.03762) on the positions of a map, as in "Bottleneck Transformers" (Srinivas et al.
    2021, arXiv:2101.11605); the weight from zero, so that at the start the network is the one without, is that of
    Zhang et al. 2019, "Self-Attention Generative Adversarial Networks" (arXiv:1805.08318).

    Args:
        x: [n, h, w, c] with h and w known: cost grows with (h * w)^2.
    """
    _, height, width, channels = x.shape
    tokens = layers.Reshape((height * width, channels), name=f"{name}_tokens")(x)
    placed = PositionEmbedding(name=f"{name}_positions")(layers.LayerNormalization(name=f"{name}_norm")(tokens))
    gathered = layers.MultiHeadAttention(heads, channels // heads, name=f"{name}_heads")(placed, placed)
    gathered = LearnedScale(name=f"{name}_weight")(gathered)
    return layers.Reshape((height, width, channels), name=f"{name}_map")(
        layers.Add(name=f"{name}_add")([tokens, gathered])
    )


@keras.saving.register_keras_serializable(package="tfcifar")
class ChannelSummary(layers.Layer):
    """[n, h, w, c] -> [n, h, w, 2]: mean and maximum over the channels."""

    def call(self, inputs):
        return ops.concatenate(
            [ops.mean(inputs, axis=-1, keepdims=True), ops.max(inputs, axis=-1, keepdims=True)], axis=-1
        )


@keras.saving.register_keras_serializable(package="tfcifar")
class PositionEmbedding(layers.Layer):
    """Adds to each token [n, tokens, c] a learned vector of its position."""

    def build(self, input_shape):
        normal = keras.initializers.RandomNormal(stddev=0.02)
        self.embedding = self.add_weight(name="embedding", shape=input_shape[1:], initializer=normal)

    def call(self, inputs):
        return inputs + ops.cast(self.embedding, inputs.dtype)


@keras.saving.register_keras_serializable(package="tfcifar")
class LearnedScale(layers.Layer):
    """Multiplies by one learned number, 0 at the start."""

    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=(), initializer="zeros")

    def call(self, inputs):
        return inputs * ops.cast(self.scale, inputs.dtype)


ATTENTION = {"se": squeeze_and_excitation, "cbam": cbam, "mhsa": self_attention}
