"""Rounding of kernels: on the grid, against every other rounding of a small one, and in each kind of layer."""

from itertools import product

import numpy as np
import pytest
from tf_keras import Model, layers

from export.kernel_rounding import LARGEST, round_kernels, round_weights

RANDOM = np.random.default_rng(0)


def errors(weights, rounded, moments) -> np.ndarray:
    return np.einsum("io,ij,jo->o", rounded - weights, moments, rounded - weights)


def test_alike_inputs_are_rounded_almost_as_well_as_the_best_of_all_roundings():
    weights = RANDOM.normal(size=(8, 20))
    inputs = RANDOM.normal(size=(1000, 1)) + 0.2 * RANDOM.normal(size=(1000, 8))
    moments, steps = np.cov(inputs.T), np.abs(weights).max(0) / LARGEST
    rounded = round_weights(weights, moments, steps)
    np.testing.assert_allclose(rounded / steps, np.round(rounded / steps), atol=1e-9)
    all_roundings = [
        errors(weights, (np.floor(weights / steps) + np.reshape(up, (8, 1))) * steps, moments)
        for up in product((0, 1), repeat=8)
    ]
    best = np.mean(np.min(all_roundings, 0))
    nearest = np.mean(errors(weights, np.round(weights / steps) * steps, moments))
    assert np.mean(errors(weights, rounded, moments)) < 2 * best < 0.5 * nearest


def test_inputs_that_have_nothing_in_common_are_rounded_to_the_nearest():
    weights = RANDOM.normal(size=(6, 4))
    steps = np.abs(weights).max(0) / LARGEST
    for moments in (np.diag(RANDOM.uniform(1, 2, 6)), np.zeros((6, 6))):
        np.testing.assert_allclose(round_weights(weights, moments, steps), np.round(weights / steps) * steps)


def test_zeros_of_pruning_stay():
    weights = RANDOM.normal(size=(8, 20)) * (RANDOM.random((8, 20)) < 0.5)
    rounded = round_weights(weights, np.ones((8, 8)) + np.eye(8), np.abs(weights).max(0) / LARGEST)
    assert not rounded[weights == 0].any()


@pytest.mark.parametrize(
    ("layer", "axes"),
    [
        (layers.Conv2D(5, 3, strides=2, padding="same"), (0, 1, 2)),
        (layers.Conv2D(5, 2, use_bias=False, dilation_rate=2), (0, 1, 2)),
        (layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2), (0, 1)),
        (layers.Dense(5), (0, 1)),
    ],
)
def test_outputs_change_less_than_by_rounding_to_the_nearest(layer, axes):
    random = np.random.default_rng(0)
    smooth = np.repeat(np.repeat(random.normal(100, 40, (40, 4, 4, 3)), 3, 1), 3, 2)
    images = np.clip(smooth + random.normal(0, 2, smooth.shape), 0, 255).astype(np.uint8)
    inputs = layers.Input(images.shape[1:])
    model = Model(inputs, layer(inputs))
    layer.set_weights([random.normal(size=weight.shape) for weight in layer.weights])
    kernel, *others = layer.get_weights()
    exact = model(images.astype(np.float32)).numpy()
    steps = np.abs(kernel).max(axes, keepdims=True) / LARGEST

    round_kernels(model, images)
    integers = layer.get_weights()[0] / steps
    np.testing.assert_allclose(integers, np.round(integers), atol=1e-3)
    np.testing.assert_allclose(np.abs(integers).max(axes), LARGEST, rtol=1e-5)  # so that the scale stays
    found = np.mean((model(images.astype(np.float32)).numpy() - exact) ** 2)
    layer.set_weights([np.round(kernel / steps) * steps, *others])
    nearest = np.mean((model(images.astype(np.float32)).numpy() - exact) ** 2)
    assert found < 0.5 * nearest
