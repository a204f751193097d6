"""separable_cnn: what it costs by hand, where its maps are halved, what its blocks add to."""

import keras
import numpy as np
import pytest

from tfcifar.models.complexity import count_macs
from tfcifar.models.separable_cnn import block, separable_cnn


def build(widths, size=32):
    return separable_cnn((size, size, 3), 10, (0.5,) * 3, (0.25,) * 3, widths=widths)


def test_a_pair_costs_nine_weights_a_channel_and_one_for_each_pair_of_channels():
    """9c + cd per position (Howard et al. 2017, section 3.1), against 9cd of a dense convolution."""
    model = build((8, 16, 16), size=32)
    assert count_macs(model) == 32**2 * 27 * 8 + 16**2 * (9 * 8 + 8 * 16 + 9 * 16 + 16 * 16) + 16 * 10


@pytest.mark.parametrize(("size", "sides"), [(32, [32, 16, 16, 8]), (15, [15, 8, 8, 4])])
def test_maps_are_halved_where_the_channels_change(size, sides):
    model = build((4, 6, 6, 8), size)
    outputs = [
        layer.output for layer in model.layers if layer.name == "stem_gelu" or layer.name.endswith("pointwise_gelu")
    ]
    assert [tuple(each.shape[1:]) for each in outputs] == list(zip(sides, sides, [4, 6, 6, 8], strict=True))


def test_a_block_adds_to_what_it_was_given():
    inputs = keras.Input((6, 6, 4))
    model = keras.Model(inputs, block(inputs, 4, "block"))
    model.get_layer("block_pointwise_norm").gamma.assign(np.zeros(4))
    images = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
    np.testing.assert_allclose(model(images), keras.activations.gelu(images, approximate=True), atol=1e-6)
