"""Convolutional Muon against NumPy: the polar factor of SciPy, and the update rules written out."""

import keras
import numpy as np
import pytest
import scipy.linalg

from tfcifar.training.muon import ConvolutionalMuon, orthogonalize

RATE, BATCH = 0.1, 4


def kernel(seed: int, shape=(3, 3, 4, 8)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def as_matrix(kernel: np.ndarray) -> np.ndarray:
    return np.asarray(kernel).reshape(-1, kernel.shape[-1])


@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (1, 1, 4, 16)])  # a tall and a wide matrix
def test_orthogonalize_keeps_the_singular_vectors_and_brings_the_values_near_one(shape):
    gradient = kernel(0, shape)
    found = as_matrix(orthogonalize(gradient, steps=5))
    polar, _ = scipy.linalg.polar(as_matrix(gradient))
    values = np.linalg.svd(found, compute_uv=False)
    assert 0.65 < values.min() < values.max() < 1.25
    assert np.sum(found * polar) / np.linalg.norm(found) / np.linalg.norm(polar) > 0.97


def test_one_iteration_is_the_quintic_of_the_singular_values():
    gradient = kernel(1)
    matrix = as_matrix(gradient)
    u, s, vt = np.linalg.svd(matrix / np.linalg.norm(matrix), full_matrices=False)
    expected = u @ np.diag(3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5) @ vt
    np.testing.assert_allclose(as_matrix(orthogonalize(gradient, steps=1)), expected, atol=1e-5)


def test_bfloat16_gives_nearly_the_same_directions():
    exact, rounded = (as_matrix(orthogonalize(kernel(1), 3, dtype)) for dtype in ("float32", "bfloat16"))
    assert rounded.dtype == "float32"
    assert np.sum(exact * rounded) / np.linalg.norm(exact) / np.linalg.norm(rounded) > 0.999


def test_kernels_are_normalized_then_moved_along_the_orthogonal_nesterov_momentum():
    optimizer = ConvolutionalMuon(RATE, BATCH, momentum=0.6)
    variable = keras.Variable(kernel(2), name="kernel")
    expected, buffer = kernel(2), np.zeros_like(kernel(2))
    for seed in (3, 4):
        gradient = kernel(seed)
        optimizer.apply([gradient], [variable])
        buffer = 0.6 * buffer + gradient
        step = np.asarray(orthogonalize(gradient + 0.6 * buffer, 3))
        expected = expected * np.sqrt(8) / np.linalg.norm(expected) - RATE * step
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("shape", "ratio"), [((5,), 0.22), ((5, 3), 2.8)])
def test_other_variables_follow_pytorchs_sgd_on_the_summed_loss(shape, ratio):
    decay = 0.01
    optimizer = ConvolutionalMuon(RATE, BATCH, sgd_weight_decay=decay)
    variable = keras.Variable(kernel(5, shape), name="other")
    expected, buffer = kernel(5, shape), np.zeros(shape)
    for seed in (6, 7):
        gradient = kernel(seed, shape)
        optimizer.apply([gradient], [variable])
        summed = gradient * BATCH + decay / ratio * expected
        buffer = 0.85 * buffer + summed
        expected = expected - RATE * ratio * (summed + 0.85 * buffer)
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-4)


def test_each_channel_of_a_depthwise_kernel_is_a_matrix_of_its_own():
    optimizer = ConvolutionalMuon(RATE, BATCH)
    variable = keras.Variable(kernel(8, (3, 3, 4, 1)), name="depthwise")
    apart = [keras.Variable(variable.numpy()[:, :, [channel]], name="one") for channel in range(4)]
    for seed in (9, 10):
        gradient = kernel(seed, (3, 3, 4, 1))
        optimizer.apply([gradient], [variable])
    for channel, alone in enumerate(apart):
        expected, buffer = alone.numpy() * 1.0, 0.0
        for seed in (9, 10):
            gradient = kernel(seed, (3, 3, 4, 1))[:, :, [channel]]
            buffer = 0.6 * buffer + gradient
            polar, _ = scipy.linalg.polar(as_matrix(gradient + 0.6 * buffer))
            expected = expected / np.linalg.norm(expected) - RATE * polar.reshape(3, 3, 1, 1)
        np.testing.assert_allclose(variable.numpy()[:, :, [channel]], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(5,), (5, 3)])
def test_other_variables_follow_adam_where_it_is_asked_for(shape):
    optimizer = ConvolutionalMuon(RATE, BATCH, sgd_weight_decay=0.1, adam_ratio=0.02)
    decay = 0.1 if len(shape) > 1 else None
    adam = keras.optimizers.AdamW(0.02 * RATE, weight_decay=decay or 0.0, beta_1=0.9, beta_2=0.98)
    found, expected = (keras.Variable(kernel(5, shape), name="other") for _ in range(2))
    for seed in (6, 7):
        optimizer.apply([kernel(seed, shape)], [found])
        adam.apply([kernel(seed, shape)], [expected])
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5)


def test_config_comes_back():
    config = ConvolutionalMuon(RATE, BATCH, momentum=0.5, sgd_weight_decay=0.1, adam_ratio=0.02).get_config()
    again = ConvolutionalMuon.from_config(config)
    assert (again.batch_size, again.momentum, again.sgd_weight_decay) == (BATCH, 0.5, 0.1)
    assert again.adam_ratio == 0.02
