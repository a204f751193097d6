"""Maps on models whose evidence is known, and on every kind of model that the table holds."""

from functools import cache

import keras
import numpy as np
import pytest
from keras import layers

from pipelines.errors import InputError
from tfcifar.explain import METHODS
from tfcifar.explain.activations import target_layer
from tfcifar.explain.gradcam import grad_cam, grad_cam_plus_plus
from tfcifar.explain.methods import explain
from tfcifar.explain.saliency import guided_saliency, occlusion, pixel_gradients, smooth_grad
from tfcifar.explain.scores import deletion_insertion, rank_correlation, with_random_weights
from tfcifar.models import build_model, feature_maps
from tfcifar.models.feature_maps import spatial_layers
from tfcifar.recipe import Model

CLASSES = np.array([1, 2])


def images(size=16, count=2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def model_of_pooled_maps() -> keras.Model:
    """Convolution, ReLU, global average, dense: here Grad-CAM is the class activation map of Zhou et al. 2016."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    x = layers.ReLU(name="maps")(layers.Conv2D(6, 3, padding="same", strides=2)(inputs))
    return keras.Model(inputs, layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(x)))


def looks_at_top_left() -> keras.Model:
    """Class 1 by the brightness of the top left quarter, and nothing else."""
    inputs = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(layers.Cropping2D(((0, 8), (0, 8)))(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="logits")(x))
    model.get_layer("logits").set_weights([np.array([[0, 1.0]] * 3) / 30, np.array([0, -10.0])])
    return model


def test_grad_cam_is_the_class_activation_map_where_maps_are_averaged():
    model = model_of_pooled_maps()
    maps = np.asarray(keras.Model(model.input, model.get_layer("maps").output)(images()))
    weights = model.get_layer("logits").kernel.numpy()[:, CLASSES].T
    expected = np.maximum((maps * weights[:, None, None]).sum(-1), 0)
    expected = keras.ops.image.resize(expected[..., None], (16, 16)).numpy()[..., 0]
    expected /= expected.max((1, 2), keepdims=True)
    found = grad_cam(model, images(), CLASSES, target_layer(model))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_grad_cam_plus_plus_weighs_a_single_position_by_its_own_gradient():
    """Equations 10 and 19 by hand, for one map whose gradient is the same everywhere."""
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones", name="maps")(inputs)
    model = keras.Model(inputs, layers.Dense(1, use_bias=False, kernel_initializer="ones")(layers.Flatten()(x)))
    batch = np.zeros((1, 4, 4, 3), np.uint8)
    batch[0, 1, 2] = 10
    # Gradient 1, sum of the map 30: alpha = 1 / (2 + 30) everywhere, so the map is a multiple of the activation.
    found = grad_cam_plus_plus(model, batch, np.array([0]), model.get_layer("maps"))
    expected = np.zeros((4, 4))
    expected[1, 2] = 1
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


def test_smooth_grad_of_a_linear_model_is_its_weight():
    found = smooth_grad(looks_at_top_left(), images(), np.array([1, 1]))
    expected = np.zeros((16, 16))
    expected[:8, :8] = 1
    np.testing.assert_allclose(found, [expected] * 2, atol=1e-5)


def test_occlusion_finds_the_quarter_that_is_looked_at():
    batch = images()
    batch[:, :8, :8] = 255
    found = occlusion(looks_at_top_left(), batch, np.array([1, 1]), patch=4)
    assert found[:, :8, :8].min() > 0
    assert found[:, 10:, 10:].max() == 0  # beyond the patches that touch the quarter


def test_guided_saliency_stops_at_inactive_units_and_at_negative_gradients():
    """Springenberg et al. 2015, figure 1, with three units: inactive, wanted and unwanted."""
    inputs = keras.Input((1, 1, 3))
    x = layers.ReLU()(layers.Rescaling((-1.0, 1.0, 1.0))(inputs))  # the first unit is inactive
    dense = layers.Dense(1, use_bias=False)
    model = keras.Model(inputs, dense(layers.Flatten()(x)))
    dense.set_weights([np.array([[5.0], [2.0], [-7.0]])])
    batch = np.full((1, 1, 1, 3), 100, np.uint8)
    np.testing.assert_allclose(pixel_gradients(model, batch, np.array([0]))[0, 0, 0], [0, 2, -7])
    assert guided_saliency(model, batch, np.array([0]))[0, 0, 0] == 1
    dense.set_weights([np.array([[5.0], [-2.0], [-7.0]])])
    assert guided_saliency(model, batch, np.array([0]))[0, 0, 0] == 0


def test_the_map_of_what_is_looked_at_scores_better_than_its_opposite():
    batch = np.full((1, 16, 16, 3), 40, np.uint8)
    batch[:, 2:6, 2:6] = 255
    right = np.zeros((1, 16, 16))
    right[:, :8, :8] = 1
    model, classes = looks_at_top_left(), np.array([1])
    deletion, insertion = deletion_insertion(model, batch, classes, right + batch[..., 0] / 255)
    worse_deletion, worse_insertion = deletion_insertion(model, batch, classes, 1 - right)
    assert deletion < worse_deletion
    assert insertion > worse_insertion


def test_deletion_of_a_model_that_sees_nothing_is_its_constant_probability():
    inputs = keras.Input((16, 16, 3))
    flat = layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, layers.Dense(4, kernel_initializer="zeros")(flat))
    scores = deletion_insertion(model, images(), CLASSES, np.random.default_rng(0).random((2, 16, 16)))
    np.testing.assert_allclose(scores, 0.25, rtol=1e-6)


@pytest.mark.parametrize("name", ["fast_cnn", "mobilenet_v2"])
@pytest.mark.parametrize("method", [grad_cam, grad_cam_plus_plus, smooth_grad, guided_saliency, occlusion])
def test_each_method_gives_a_map_for_each_kind_of_model(name, method):
    model = small(name)
    options = {"layer": target_layer(model)} if method in (grad_cam, grad_cam_plus_plus) else {}
    before = model(images(32)).numpy()
    maps = method(model, images(32), CLASSES, **options)
    assert maps.shape == (2, 32, 32)
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    assert maps.max() <= 1
    np.testing.assert_array_equal(model(images(32)), before)  # nothing of the method stays in the model


@cache
def small(name: str) -> keras.Model:
    """Shared between tests, which must leave it as it is."""
    keras.utils.set_random_seed(0)
    backbone = name == "mobilenet_v2"
    config = Model(name, image_size=64) if backbone else Model(name, widths=(8, 8, 8))
    return build_model(config, (32, 32, 3), 3, (0.5,) * 3, (0.25,) * 3)


def test_layers_inside_a_nested_backbone_can_be_looked_at():
    model = small("mobilenet_v2")
    backbone = next(layer.name for layer in model.layers if isinstance(layer, keras.Model))
    assert f"{backbone}/block_6_expand" in spatial_layers(model)
    maps = grad_cam(model, images(32), CLASSES, target_layer(model, f"{backbone}/block_6_expand"))
    assert maps.max() == 1


def test_the_default_layer_is_in_line_with_the_image():
    """At 96 px the last maps of 4x4 and more are those of block_13, and the first of them is a padding of others."""
    config = Model("mobilenet_v2", image_size=96)
    model = build_model(config, (32, 32, 3), 3, (0.5,) * 3, (0.25,) * 3)
    assert target_layer(model).name == "block_13_expand_relu"


def test_the_default_layer_is_rectified():
    """A bare convolution before its normalization and pooling says little: its zero is not the absence of evidence."""
    assert target_layer(small("fast_cnn")).name == "block2_2_gelu"
    assert target_layer(model_of_pooled_maps()).name == "maps"


def test_large_maps_make_small_batches_with_the_same_result(monkeypatch):
    model = model_of_pooled_maps()
    maps_of_an_image = 2 * 8 * 8 * 6 * 4  # two layers of float32
    whole = {name: explain(name, model, images(count=5), np.arange(5) % 4) for name in METHODS}
    monkeypatch.setattr(feature_maps, "MOST_BYTES", 2 * maps_of_an_image)
    assert feature_maps.images_to_differentiate(model) == 2
    for name in set(METHODS) - {"smooth_grad"}:  # whose noise is drawn for each batch
        np.testing.assert_allclose(explain(name, model, images(count=5), np.arange(5) % 4), whole[name], atol=1e-5)
    monkeypatch.setattr(feature_maps, "MOST_BYTES", 1)
    assert feature_maps.images_to_differentiate(model) == feature_maps.images_to_predict(model) == 1


def test_hundreds_of_small_images_are_predicted_at_once_and_fewer_large_ones():
    assert feature_maps.images_to_predict(model_of_pooled_maps()) == 500
    large = build_model(Model("mobilenet_v2", image_size=224), (32, 32, 3), 10, (0.5,) * 3, (0.25,) * 3)
    largest = 4 * 113 * 113 * 96  # bytes of the map after the first expansion, padded
    assert feature_maps.images_to_predict(large) == 2**30 // (4 * largest)


def test_an_unknown_layer_is_named_with_the_nearest():
    with pytest.raises(InputError, match=r"layer: no such name: map\. Did you mean maps\?"):
        target_layer(model_of_pooled_maps(), "map")


def test_random_weights_change_the_map_and_leave_the_model_alone():
    model = model_of_pooled_maps()
    before = [value.copy() for value in model.get_weights()]
    randomized = with_random_weights(model)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    maps = [smooth_grad(each, images(), CLASSES) for each in (model, randomized)]
    assert (np.abs(rank_correlation(*maps)) < 0.9).all()
    np.testing.assert_allclose(rank_correlation(maps[0], maps[0]), 1)
    assert np.isnan(rank_correlation(maps[0], np.zeros_like(maps[0]))).all()
