"""Folding changes no output, and folds what it says."""

import keras
import numpy as np
import pytest
from keras import layers

from export.fold import fold
from tests.export.models import build, images, outputs, randomized
from tfcifar.models.nested import all_layers


@pytest.mark.parametrize(
    "name",
    [
        "small_cnn",
        "fast_cnn",
        "fast_cnn_deep",
        "fast_cnn_late",
        "residual_cnn",
        "attention_cnn",
        "separable_cnn",
        "mobilenet",
        "mobilenet_v3_small",
    ],
)
def test_outputs_stay_the_same(name):
    model = build(name)
    folded = fold(model)
    expected, received = (outputs(each, images(model)) for each in (model, folded))
    np.testing.assert_allclose(received, expected, atol=1e-4 * np.ptp(expected))
    assert not [layer for layer in all_layers(folded) if isinstance(layer, layers.BatchNormalization)]


def test_of_the_fast_network_nothing_but_convolutions_activations_and_pooling_is_left():
    kinds = {type(layer).__name__ for layer in fold(build("fast_cnn")).layers}
    assert kinds == {
        "InputLayer",
        "PatchWhitening",
        "FastConv2D",
        "FusedGelu",
        "MaxPooling2D",
        "GlobalMaxPooling2D",
        "Dense",
    }


def count(model: keras.Model, kind) -> int:
    return sum(isinstance(layer, kind) for layer in model.layers)


def test_what_folding_would_change_stays():
    inputs = keras.Input((6, 6, 3))
    x = layers.Rescaling(2.0, 0.5)(inputs)  # padding adds zeros behind it, not halves
    x = shared = layers.Conv2D(4, 3, padding="same")(x)
    x = layers.BatchNormalization()(x)  # whose input is needed as it is, too
    x = layers.Add()([x, shared])
    x = layers.MaxPooling2D()(layers.Conv2D(4, 1)(x))
    x = layers.BatchNormalization(name="negative")(x)  # turns the largest into the smallest
    x = layers.Conv2D(4, 1, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    model = randomized(keras.Model(inputs, x))
    model.get_layer("negative").gamma.assign([1.0, -1.0, 1.0, 1.0])
    folded = fold(model)
    assert count(folded, layers.BatchNormalization) == 3
    assert count(folded, layers.Rescaling) == 1
    expected, received = (outputs(each, images(model)) for each in (model, folded))
    np.testing.assert_allclose(received, expected, atol=1e-4 * np.ptp(expected))


def test_depthwise_and_dense_layers_take_batch_norm_too():
    inputs = keras.Input((6, 6, 3))
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(3, depth_multiplier=2)(inputs))
    x = layers.BatchNormalization()(layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))
    model = randomized(keras.Model(inputs, x))
    folded = fold(model)
    assert count(folded, layers.BatchNormalization) == 0
    expected, received = (outputs(each, images(model)) for each in (model, folded))
    np.testing.assert_allclose(received, expected, atol=1e-4 * np.ptp(expected))


def test_relu_goes_into_the_convolution_before_it_over_norm_and_pooling_alone():
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, name="first")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(scale=False)(layers.MaxPooling2D()(x)))
    x = shared = layers.Conv2D(4, 1, name="second")(x)
    x = layers.Add()([layers.ReLU()(x), shared])  # which is needed as it is, too
    x = layers.ReLU(max_value=6.0)(layers.Conv2D(4, 1, name="third")(x))
    model = randomized(keras.Model(inputs, x))
    folded = fold(model)
    activations = {name: folded.get_layer(name).activation.__name__ for name in ("first", "second", "third")}
    assert activations == {"first": "relu", "second": "linear", "third": "linear"}
    assert count(folded, layers.ReLU) == 2
    expected, received = (outputs(each, images(model)) for each in (model, folded))
    np.testing.assert_allclose(received, expected, atol=1e-4 * np.ptp(expected))
