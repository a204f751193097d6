"""Statistics measured anew: exact moments on tiny networks, and nothing else changed."""

import keras
import numpy as np
import pytest

from tfcifar.models.normalization import FusedBatchNormalization
from tfcifar.training.batch_norm_statistics import recompute_statistics

SHAPE = (6, 5, 3)


@pytest.fixture(scope="module")
def images():
    """Sorted, as those of a folder may be: a batch of neighbours would be like no other."""
    random = np.random.default_rng(0)
    return np.sort(random.integers(0, 256, (50, *SHAPE)), axis=0).astype(np.uint8)


def network(*layers) -> keras.Model:
    inputs = keras.Input(SHAPE)
    x = inputs
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def moments(values) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(values, np.float64)
    return values.mean((0, 1, 2)), values.var((0, 1, 2))


@pytest.mark.parametrize("kind", [FusedBatchNormalization, keras.layers.BatchNormalization])
def test_the_first_layer_has_the_exact_moments_whatever_the_batches(images, kind):
    convolution, norm = keras.layers.Conv2D(4, 3), kind(momentum=0.9)
    model = network(convolution, norm)
    recompute_statistics(model, images, batch_size=16)  # 16, 16, 16 and 2
    mean, variance = moments(convolution(images.astype("float32")))
    np.testing.assert_allclose(norm.moving_mean, mean, rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, variance, rtol=1e-4)
    assert norm.momentum == 0.9


def test_by_default_as_many_images_at_once_as_fit_into_memory(images, monkeypatch):
    monkeypatch.setattr("tfcifar.training.batch_norm_statistics.images_to_predict", lambda model: 7)
    later = []  # of a second layer, whose statistics depend on the batches
    for batch_size in (None, 7, 50):
        norms = [FusedBatchNormalization(), FusedBatchNormalization()]
        recompute_statistics(network(norms[0], keras.layers.ReLU(), norms[1]), images, batch_size)
        later.append(np.array(norms[1].moving_variance))
    np.testing.assert_array_equal(later[0], later[1])
    assert np.abs(later[0] - later[2]).max() > 0


def test_a_later_layer_has_the_moments_of_what_it_will_see_with_dropout_off(images):
    first, second = FusedBatchNormalization(name="first"), FusedBatchNormalization(name="second")
    between = keras.Sequential([keras.layers.ReLU(), keras.layers.Dropout(0.5), keras.layers.Conv2D(3, 2)])
    model = network(keras.layers.Conv2D(4, 3), first, *between.layers, second)
    recompute_statistics(model, images, batch_size=len(images))
    seen = keras.Model(model.inputs, model.get_layer("second").input).predict(images, verbose=0)
    mean, variance = moments(seen)
    np.testing.assert_allclose(second.moving_mean, mean, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(second.moving_variance, variance, rtol=1e-3)


def test_nested_layers_are_found_frozen_ones_and_all_other_weights_stay(images):
    inner = network(keras.layers.Conv2D(2, 1, name="nested"), FusedBatchNormalization(name="inside"))
    frozen = FusedBatchNormalization(name="frozen", trainable=False)
    model = network(frozen, inner, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2))
    before = {weight.path: weight.numpy() for weight in model.weights}
    recompute_statistics(model, images)
    changed = {weight.path for weight in model.weights if not np.array_equal(before[weight.path], weight.numpy())}
    assert changed == {weight.path for weight in inner.get_layer("inside").non_trainable_weights}
    seen = inner.get_layer("nested")(frozen(images.astype("float32")))
    np.testing.assert_allclose(inner.get_layer("inside").moving_mean, moments(seen)[0], rtol=1e-4)


def test_a_model_without_batch_norm_is_left_alone(images):
    model = network(keras.layers.Flatten(), keras.layers.Dense(2))
    before = model.get_weights()
    recompute_statistics(model, images)
    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))


def test_layers_that_it_cannot_reach_are_refused(images):
    class Wrapped(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.norm = keras.layers.BatchNormalization()

        def call(self, inputs):
            return self.norm(inputs)

    with pytest.raises(ValueError, match="in functional models only"):
        recompute_statistics(network(Wrapped()), images)
