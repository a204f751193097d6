"""The fused BatchNormalization against Keras' own, whose place it takes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcifar.models.normalization import FusedBatchNormalization
from tfcifar.models.saved import load_model

SHAPE = (4, 6, 5, 3)  # n, h, w, c: odd sizes, so that n and n - 1 differ
# gamma, beta, moving mean, moving variance: the order of Keras
WEIGHTS = [[1.5, 0.5, -2.0], [0.1, 0.0, 3.0], [0.2, -2.5, 0.1], [0.8, 20.0, 0.05]]


def images(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=SHAPE) * [1, 5, 0.1] + [0, -3, 0.2]).astype("float32")


def pair(**options) -> tuple[keras.layers.Layer, keras.layers.Layer]:
    """(fused, Keras' own) with equal weights that are neither 0 nor 1."""
    layers = FusedBatchNormalization(**options), keras.layers.BatchNormalization(**options)
    for layer in layers:
        layer.build((None, *SHAPE[1:]))
        layer.set_weights([np.array(values, "float32") for values in WEIGHTS])
    return layers


def assert_close(fused, own, tolerance=1e-5):
    np.testing.assert_allclose(np.asarray(fused), np.asarray(own), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("training", [False, True])
def test_outputs_equal_those_of_keras(training):
    fused, own = pair()
    assert_close(fused(images(0), training=training), own(images(0), training=training), 2e-5)


def test_the_fused_kernel_is_what_runs():
    fused, _ = pair()
    graph = tf.function(lambda x: fused(x, training=True)).get_concrete_function(tf.TensorSpec(SHAPE)).graph
    assert "FusedBatchNormV3" in {operation.type for operation in graph.get_operations()}


@pytest.mark.parametrize("training", [False, True])
def test_gradients_equal_those_of_keras(training):
    weights = images(9)  # of a loss that tells every position apart
    found = []
    for layer in pair():
        x = tf.constant(images(0))
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, training=training) * weights)
        found.append(tape.gradient(loss, [x, layer.gamma.value, layer.beta.value]))
    for fused, own in zip(*found, strict=True):
        assert_close(fused, own, 1e-3)


def test_moving_statistics_equal_those_of_keras_after_several_steps():
    fused, own = pair(momentum=0.7)
    for step in range(5):
        for layer in (fused, own):
            layer(images(step), training=True)
    assert_close(fused.moving_mean, own.moving_mean)
    assert_close(fused.moving_variance, own.moving_variance)


def test_moving_variance_takes_in_the_biased_variance_of_the_batch():
    fused = FusedBatchNormalization(momentum=0.0)
    fused(images(0), training=True)
    assert_close(fused.moving_mean, images(0).mean((0, 1, 2)))
    assert_close(fused.moving_variance, images(0).var((0, 1, 2)), 1e-4)


def test_without_scale_and_center_it_equals_keras():
    options = {"scale": False, "center": False}
    fused, own = FusedBatchNormalization(**options), keras.layers.BatchNormalization(**options)
    assert_close(fused(images(0), training=True), own(images(0), training=True), 2e-5)
    assert len(fused.weights) == len(own.weights) == 2


def test_frozen_layer_uses_its_moving_statistics_and_leaves_them():
    fused, own = pair()
    fused.trainable = own.trainable = False
    before = fused.moving_mean.numpy()
    outputs = fused(images(0), training=True)
    assert_close(outputs, own(images(0), training=True))
    assert_close(outputs, fused(images(0), training=False))
    np.testing.assert_array_equal(fused.moving_mean.numpy(), before)


def test_under_mixed_bfloat16_only_the_outputs_are_bfloat16():
    fused, own = pair(dtype="mixed_bfloat16")
    outputs, expected = (layer(images(0), training=True) for layer in (fused, own))
    assert outputs.dtype == tf.bfloat16
    # bfloat16 keeps 8 bits: a relative error of 1/256 in inputs around 60 standard deviations from zero.
    assert_close(tf.cast(outputs, tf.float32), tf.cast(expected, tf.float32), 0.1)
    assert {weight.dtype for weight in fused.weights} == {"float32"}
    assert_close(fused.moving_mean, own.moving_mean, 1e-3)
    assert_close(fused.moving_variance, own.moving_variance, 1e-3)


@pytest.mark.parametrize(("axis", "shape"), [(-1, (16, 3)), (1, (4, 3, 6, 5)), (-1, (4, 7, 3))])
def test_other_inputs_than_channels_last_images_run_keras_own_code(axis, shape):
    x = np.random.default_rng(0).normal(3, 2, shape).astype("float32")
    fused, own = FusedBatchNormalization(axis=axis), keras.layers.BatchNormalization(axis=axis)
    for training in (True, False):
        np.testing.assert_array_equal(fused(x, training=training), own(x, training=training))
    np.testing.assert_array_equal(fused.moving_variance, own.moving_variance)


def test_a_mask_is_honoured_as_in_keras():
    fused, own = pair()
    mask = np.zeros(SHAPE[:3], bool)
    mask[:, :3] = True
    assert_close(fused(images(0), training=True, mask=mask), own(images(0), training=True, mask=mask))
    assert_close(fused.moving_mean, own.moving_mean)


def model(layer) -> keras.Model:
    inputs = keras.Input(SHAPE[1:])
    return keras.Model(inputs, layer(inputs))


def test_weights_interchange_with_keras():
    trained, fresh = model(pair()[1]), model(FusedBatchNormalization())
    fresh.set_weights(trained.get_weights())
    assert_close(fresh(images(1)), trained(images(1)))


def test_a_saved_model_loads_as_the_fused_layer_with_equal_outputs(tmp_path):
    saved = model(pair(momentum=0.8, epsilon=1e-4)[0])
    saved.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    layer = loaded.layers[-1]
    assert type(layer) is FusedBatchNormalization
    assert (layer.momentum, layer.epsilon) == (0.8, 1e-4)
    np.testing.assert_array_equal(loaded(images(1)), saved(images(1)))
