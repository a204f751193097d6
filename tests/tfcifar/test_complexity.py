"""Multiply-accumulates of single layers, computed by hand."""

import keras
import pytest
from keras import layers

from tfcifar.models.complexity import count_macs


class SelfAttention(layers.MultiHeadAttention):
    def __call__(self, inputs):
        return super().__call__(inputs, inputs)


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (layers.Conv2D(8, 3, padding="same"), (6, 5, 4), 6 * 5 * 8 * 3 * 3 * 4),
        (layers.Conv2D(8, 3, strides=2), (7, 7, 4), 3 * 3 * 8 * 3 * 3 * 4),
        (layers.Conv2D(8, 3, padding="same", groups=2), (6, 5, 4), 6 * 5 * 8 * 3 * 3 * 2),
        (layers.DepthwiseConv2D(3, padding="same"), (6, 5, 4), 6 * 5 * 3 * 3 * 4),
        (layers.SeparableConv2D(8, 3, padding="same"), (6, 5, 4), 6 * 5 * (3 * 3 * 4 + 4 * 8)),
        (layers.Dense(7), (5,), 5 * 7),
        (layers.Dense(7), (11, 5), 11 * 5 * 7),
        (layers.BatchNormalization(), (6, 5, 4), 0),
        (SelfAttention(2, 3), (11, 6), 4 * 11 * 6 * 6 + 2 * 2 * 11 * 11 * 3),
    ],
)
def test_macs_of_a_layer_match_the_hand_computed_ones(layer, shape, macs):
    inputs = keras.Input(shape)
    inner = keras.Model(inputs, layer(inputs))
    assert count_macs(inner) == macs
    assert count_macs(keras.Sequential([keras.Input(shape), inner])) == macs
