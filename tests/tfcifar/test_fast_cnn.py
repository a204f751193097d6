"""The parts of the fast network, each against Keras' own layer or NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcifar.models import build_model
from tfcifar.models.activations import FusedGelu
from tfcifar.models.complexity import count_macs
from tfcifar.models.convolution import FastConv2D, weight_gradient
from tfcifar.models.fast_cnn import PartialIdentity
from tfcifar.models.saved import load_model
from tfcifar.models.whitening import PatchWhitening, adapt_to, whitening_filters
from tfcifar.recipe import Model

MEAN, STD = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)


def normal(shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def fast_cnn(**options) -> keras.Model:
    return build_model(Model("fast_cnn", **options), (32, 32, 3), 10, MEAN, STD)


def test_gelu_and_its_gradient_are_those_of_keras():
    x = tf.constant(np.linspace(-6, 6, 241), "float32")[:, None]
    found = []
    for call in (lambda x: FusedGelu()(x, training=True), lambda x: keras.activations.gelu(x, approximate=True)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = call(x)
        found.append((value, tape.gradient(value, x)))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_gelu_is_within_a_thousandth_of_the_exact_one():
    x = np.linspace(-6, 6, 2401).astype("float32")[:, None]
    for training in (False, True):
        assert np.abs(FusedGelu()(x, training=training) - keras.activations.gelu(x, approximate=False)).max() < 1e-3


@pytest.mark.parametrize("count", [3, 250])  # 250: three parts, added up
def test_weight_gradient_is_that_of_the_convolution(count):
    images, upstream = normal((count, 7, 5, 4)), normal((count, 7, 5, 6), 1)
    kernel = tf.zeros((3, 3, 4, 6))
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        loss = tf.reduce_sum(tf.nn.conv2d(images, kernel, 1, "SAME") * upstream)
    expected = tape.gradient(loss, kernel)
    np.testing.assert_allclose(weight_gradient(tf.constant(images), tf.constant(upstream)), expected, atol=1e-3)


@pytest.mark.parametrize(("size", "products"), [(8, True), (9, False)])
def test_fast_convolution_trains_as_keras_own(monkeypatch, size, products):
    """Both in bfloat16, so to a rounding of 1/256; on small maps through matrix products, else not."""
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])  # as on a machine without GPU
    layers = [kind(6, 3, padding="same", dtype="mixed_bfloat16") for kind in (FastConv2D, keras.layers.Conv2D)]
    for layer in layers:
        layer.build((None, size, size, 4))
        layer.set_weights([normal((3, 3, 4, 6), 2), normal((6,), 3)])
    x, upstream = tf.constant(normal((4, size, size, 4))), tf.cast(normal((4, size, size, 6), 1), "bfloat16")

    @tf.function
    def gradients(layer_index, x):
        layer = layers[layer_index]
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = layer(x, training=True) if layer_index == 0 else layer(x)
            loss = tf.reduce_sum(value * upstream)
        return value, tape.gradient(loss, [x, layer.kernel.value, layer.bias.value])

    operations = {operation.type for operation in gradients.get_concrete_function(0, x).graph.get_operations()}
    assert ("MatMul" in operations) == products
    for ours, theirs in zip(*(tf.nest.flatten(gradients(index, x)) for index in (0, 1)), strict=True):
        ours, theirs = np.asarray(ours, "float32"), np.asarray(theirs, "float32")
        assert np.abs(ours - theirs).max() <= 0.02 * np.abs(theirs).max()


def test_whitening_makes_patches_uncorrelated_with_unit_variance():
    smooth = normal((200, 9, 9, 3)).cumsum(axis=1).cumsum(axis=2)  # neighbours strongly correlated
    smooth -= smooth.mean(axis=(0, 1, 2))
    filters = whitening_filters(smooth, (2, 2), epsilon=0.0)
    assert filters.shape == (2, 2, 3, 24)
    np.testing.assert_array_equal(filters[..., 12:], -filters[..., :12])
    responses = np.asarray(tf.nn.conv2d(smooth, filters[..., :12], 1, "VALID")).reshape(-1, 12)
    np.testing.assert_allclose(responses.T @ responses / len(responses), np.eye(12), atol=1e-3)


def test_partial_identity_passes_the_input_on():
    layer = keras.layers.Conv2D(6, 3, padding="same", use_bias=False, kernel_initializer=PartialIdentity())
    images = normal((2, 5, 5, 4))
    outputs = np.asarray(layer(images))
    np.testing.assert_allclose(outputs[..., :4], images, rtol=1e-6)
    bound = 1 / np.sqrt(3 * 3 * 4)  # PyTorch's default
    others = layer.kernel.numpy()[..., 4:]
    assert 0.8 * bound < np.abs(others).max() <= bound


def test_the_network_has_the_papers_size():
    model = fast_cnn()
    assert model.count_params() == pytest.approx(1.97e6, rel=0.01)  # arXiv:2404.00498, section 3
    # 0.36 PFLOP for 9.9 epochs of 50,000 images, at 6 FLOP a MAC.
    assert 6 * count_macs(model) * 9.9 * 50_000 / 1e15 == pytest.approx(0.36, rel=0.04)


def test_whitening_is_set_from_the_images_and_never_trains():
    model = fast_cnn(widths=(8, 8, 8))
    images = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3)).astype("uint8")
    adapt_to(model, images)
    layer = next(layer for layer in model.layers if isinstance(layer, PatchWhitening))
    normalized = (images / 255 - MEAN) / STD
    # Eigenvectors may turn their sign, so the products of the filters are compared.
    found, expected = (
        np.asarray(each).reshape(12, 24) for each in (layer.kernel, whitening_filters(normalized, (2, 2), 5e-4))
    )
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, rtol=1e-2, atol=1e-2)
    assert not layer.trainable_weights


@pytest.mark.parametrize("name", ["fast_cnn", "fast_cnn_deep", "fast_cnn_late"])
def test_the_saved_network_gives_equal_outputs_after_training(name, tmp_path):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = build_model(Model(name, widths=(8, 16, 16)), (32, 32, 3), 10, MEAN, STD)
    images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3)).astype("uint8")
    adapt_to(model, images)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-3), loss, jit_compile=False)
    before = model.predict(images, verbose=0)
    model.train_on_batch(images, np.eye(10)[np.arange(20) % 10])
    after = model.predict(images, verbose=0)
    assert np.abs(after - before).max() > 0
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(load_model(tmp_path / "model.keras").predict(images, verbose=0), after)
