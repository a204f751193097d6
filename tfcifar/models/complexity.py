"""Parameters and multiply-accumulates (MACs) of a model for one image."""

import math

import keras
from keras import layers


def count_macs(model: keras.Model) -> int:
    """MACs of all convolutions, dense layers and attention for one image; nested models included.

    One MAC is a multiplication and an addition (2 FLOP). Normalization, activations and pooling are left out, as
    in published tables.
    """
    return sum(count_macs(layer) if isinstance(layer, keras.Model) else layer_macs(layer) for layer in model.layers)


def layer_macs(layer: layers.Layer) -> int:
    if isinstance(layer, layers.SeparableConv2D):
        positions = math.prod(layer.output.shape[1:3])
        return positions * (math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape))
    if isinstance(layer, layers.DepthwiseConv2D | layers.Conv2D):
        return math.prod(layer.output.shape[1:3]) * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.Dense):
        # A dense layer on [n, tokens, features] runs once for each token.
        return math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.MultiHeadAttention):
        tokens = math.prod(layer.output.shape[1:-1])
        projections = sum(math.prod(weight.shape) for weight in layer.weights if weight.name == "kernel")
        # Of each position with each other, and of the values with the result.
        products = tokens * layer.num_heads * (layer.key_dim + (layer.value_dim or layer.key_dim))
        return tokens * (projections + products)
    return 0
