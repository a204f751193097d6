"""Ranges of activations: against a closed form, and what lies behind an activation, a maximum and a kernel."""

import numpy as np
import pytest
from scipy.special import lambertw
from tf_keras import Model, layers

from export.activation_ranges import activation_ranges, least_error_range

BINS = 8192


def histogram(values: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    ends = float(values.min()), float(values.max())
    return np.histogram(values, BINS, ends)[0], ends


def test_the_range_of_laplace_values_is_that_of_the_closed_form():
    """Banner et al. 2019 (arXiv:1810.05723), equation 6: the derivative of 2 exp(-a) + a^2 / (3 * 4^8) is zero."""
    low, high = least_error_range(*histogram(np.random.default_rng(0).laplace(size=2_000_000)))
    expected = lambertw(3 * 4**8).real
    assert (-low, high) == pytest.approx((expected, expected), rel=0.1)  # the steps of the search


def test_values_of_equal_frequency_keep_their_whole_range_and_those_of_a_dead_layer_any():
    assert least_error_range(*histogram(np.linspace(-1, 3, 100_000))) == (-1, 3)
    assert least_error_range(np.array([5.0]), (0.0, 0.0)) == (0.0, 1.0)


def network(behind: list, images: np.ndarray) -> tuple[float, float]:
    """The range of a layer that hands on its inputs, halved, to the layers `behind` it."""
    inputs = outputs = layers.Input(images.shape[1:])
    for layer in [layers.Rescaling(0.5, name="values"), *behind]:
        outputs = layer(outputs)
    return activation_ranges(Model(inputs, outputs), images)["values"]


def test_what_an_activation_or_a_maximum_has_no_use_for_gets_no_steps():
    images = np.random.default_rng(0).normal(0, 10, (8, 16, 16, 2))
    whole = network([], images)
    relu = network([layers.ReLU()], images)
    gelu = network([layers.MaxPooling2D(1), layers.Activation("gelu")], images)
    maximum = network([layers.MaxPooling2D(8)], images)
    assert whole[0] < -10
    assert relu[0] == pytest.approx(0, abs=1.5)
    assert -4 < gelu[0] < -1
    assert maximum[0] == 0  # of 64 values none is the largest below zero
    assert all(other[1] >= 0.9 * whole[1] for other in (relu, gelu, maximum))


def test_channels_weigh_as_much_as_the_kernels_that_they_meet():
    """One of a thousand times smaller values, which a depthwise convolution multiplies by ten thousand."""
    images = np.random.default_rng(0).normal(0, [10, 0.01], (8, 16, 16, 2))
    equal, unequal = layers.DepthwiseConv2D(1), layers.DepthwiseConv2D(1)
    for layer, gains in ((equal, [1, 1]), (unequal, [1, 10_000])):
        layer.build(images.shape)
        layer.set_weights([np.reshape(gains, (1, 1, 2, 1)), np.zeros(2)])
    assert network([unequal], images)[1] < 0.5 * network([equal], images)[1]
