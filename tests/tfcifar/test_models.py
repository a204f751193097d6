"""Every model of the table builds, counts, saves and loads; backbones compute what keras.applications computes."""

import os
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest

from pipelines.errors import InputError
from tfcifar.models import MODELS, build_model
from tfcifar.models.complexity import count_macs
from tfcifar.models.image_size import at_image_size
from tfcifar.models.saved import load_model
from tfcifar.models.transfer import backbone_of, set_trainable_share
from tfcifar.recipe import Model

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)
BACKBONES = {
    "resnet50": (keras.applications.ResNet50, keras.applications.resnet50.preprocess_input),
    "mobilenet_v2": (keras.applications.MobileNetV2, keras.applications.mobilenet_v2.preprocess_input),
    "mobilenet": (keras.applications.MobileNet, keras.applications.mobilenet.preprocess_input),
}
MOBILENET_V2_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
REAL_WEIGHTS = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models" / MOBILENET_V2_FILE


@cache
def make(name: str, image_shape=(32, 32, 3), num_classes=3, size=32) -> keras.Model:
    """Shared between tests, which must leave it as it is."""
    config = Model(name, image_size=size if MODELS[name].pretrained else None, dropout=0.2)
    return build_model(config, image_shape, num_classes, MEAN, STD)


def images(image_shape, count=2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *image_shape)).astype(np.uint8)


@pytest.mark.parametrize(("image_shape", "num_classes"), [((32, 32, 3), 3), ((28, 20, 3), 100)])
@pytest.mark.parametrize("name", MODELS)
def test_each_model_gives_float32_logits_for_any_image_shape_and_classes(name, image_shape, num_classes):
    model = make(name, image_shape, num_classes)
    logits = model(images(image_shape))
    assert logits.shape == (2, num_classes)
    assert logits.dtype == "float32"
    assert np.isfinite(logits).all()
    # Logits: no softmax at the end.
    assert model.layers[-1].activation is keras.activations.linear
    np.testing.assert_array_equal(model(images(image_shape).astype("float32")), logits)


@pytest.mark.parametrize("name", MODELS)
def test_a_call_without_more_is_inference(name):
    """Keras' own Resizing layer makes it training for all that follows in a nested model."""
    model = make(name, (28, 20, 3), 100)
    before = [weight.numpy() for weight in model.weights]
    logits = model(images((28, 20, 3))).numpy()
    np.testing.assert_array_equal(logits, model(images((28, 20, 3)), training=False))
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("name", MODELS)
def test_each_model_saves_and_loads_with_equal_outputs(tmp_path, name):
    model = make(name)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images((32, 32, 3))), model(images((32, 32, 3))))


@pytest.mark.parametrize("name", ["small_cnn", "residual_cnn"])
def test_own_models_give_float32_logits_under_mixed_precision(name):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = build_model(Model(name, widths=(8, 16)), (16, 16, 3), 3, MEAN, STD)
    assert model(images((16, 16, 3))).dtype == "float32"
    assert {weight.dtype for weight in model.weights} == {"float32"}


def test_own_models_normalize_with_the_statistics_of_the_data():
    layer = make("small_cnn").get_layer("standardize")
    pixels = np.array([[[[255.0, 0.0, 51.0]]]], "float32")
    expected = [(1.0 - 0.5) / 0.25, (0.0 - 0.4) / 0.2, (0.2 - 0.3) / 0.3]
    np.testing.assert_allclose(layer(pixels)[0, 0, 0], expected, rtol=1e-5)


# Of the tables of keras.io/api/applications, less the classifier of 1,000 classes.
@pytest.mark.parametrize(
    ("name", "parameters"),
    [("mobilenet_v2", 2_257_984), ("resnet50", 23_587_712), ("mobilenet", 3_228_864), ("efficientnet_b0", 4_049_571)],
)
def test_backbones_have_the_published_number_of_parameters(name, parameters):
    assert backbone_of(make(name)).count_params() == parameters


# MobileNetV2: Sandler et al. 2018, table 4. ResNet50: He et al. 2015, table 1, says 3.8 G; counted exactly, 3.86 G.
# MobileNet: Howard et al. 2017, table 4; EfficientNet: Tan and Le 2019, table 2, says
# 0.39 G, with the classifier.
@pytest.mark.parametrize(
    ("name", "macs"),
    [("mobilenet_v2", 300e6), ("resnet50", 3.86e9), ("mobilenet", 568e6), ("efficientnet_b0", 384.5e6)],
)
def test_backbones_have_the_published_number_of_macs_at_224_pixels(name, macs):
    assert count_macs(make(name, size=224)) == pytest.approx(macs, rel=0.015)


def random_backbone(application, size: int) -> keras.Model:
    """With statistics that are neither 0 nor 1, so that a swap of weights shows."""
    rng = np.random.default_rng(1)
    backbone = application(include_top=False, weights=None, input_shape=(size, size, 3))
    for weight in backbone.weights:
        if weight.name in ("gamma", "moving_variance", "variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        if weight.name in ("beta", "moving_mean", "mean"):
            weight.assign(rng.normal(0, 0.2, weight.shape))
    return backbone


def features(model: keras.Model, batch) -> np.ndarray:
    return np.asarray(keras.Model(model.input, model.get_layer("pool").output)(batch))


@pytest.mark.parametrize("name", BACKBONES)
def test_a_weights_file_gives_the_features_of_keras_own_preprocessing_and_backbone(tmp_path, name):
    """Fixes the order of colours, the scale, and which weight goes where."""
    application, preprocess_input = BACKBONES[name]
    backbone = random_backbone(application, 64)
    backbone.save_weights(tmp_path / "backbone.weights.h5")
    batch = images((64, 64, 3))
    expected = np.asarray(backbone(preprocess_input(batch.astype("float32")))).mean((1, 2))

    config = Model(name, weights=str(tmp_path / "backbone.weights.h5"), image_size=64)
    found = features(build_model(config, (64, 64, 3), 10, MEAN, STD), batch)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_efficientnet_normalizes_as_keras_does_with_its_imagenet_weights(tmp_path, monkeypatch):
    """Keras adds a layer when it loads that file by itself, and only then; the test gives it a file of its own."""
    from keras.src.utils import file_utils

    file = tmp_path / "efficientnet.weights.h5"
    random = random_backbone(keras.applications.EfficientNetB0, 64)
    random.save_weights(file)
    monkeypatch.setattr(file_utils, "get_file", lambda *args, **kwargs: str(file))
    reference = keras.applications.EfficientNetB0(include_top=False, weights="imagenet", input_shape=(64, 64, 3))
    batch = images((64, 64, 3))
    expected = np.asarray(reference(batch.astype("float32"))).mean((1, 2))
    for weights in ("imagenet", str(file)):
        config = Model("efficientnet_b0", weights=weights, image_size=64)
        found = features(build_model(config, (64, 64, 3), 10, MEAN, STD), batch)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_narrow_mobilenet_has_the_published_number_of_parameters():
    config = Model("mobilenet", image_size=32, alpha=0.25)
    model = build_model(config, (32, 32, 3), 3, MEAN, STD)
    # Howard et al. 2017, table 7: 0.5 M with the classifier of 1,000 classes, 256 features and a bias each.
    assert backbone_of(model).count_params() == 475_544 - 257_000 == 218_544


def test_widths_without_weights_are_refused_with_the_choices():
    with pytest.raises(InputError, match=r"model.alpha: expected one of 0.25, 0.5, 0.75, 1.0, received 0.3"):
        Model("mobilenet", alpha=0.3)
    with pytest.raises(InputError, match=r"model.alpha: expected none for resnet50, received 0.5"):
        Model("resnet50", alpha=0.5)


@pytest.mark.skipif(not REAL_WEIGHTS.is_file(), reason=f"KERAS_HOME holds no models/{MOBILENET_V2_FILE}")
def test_imagenet_weights_of_the_cache_serve_96_pixels():
    batch = images((96, 96, 3))
    backbone = keras.applications.MobileNetV2(include_top=False, weights=str(REAL_WEIGHTS), input_shape=(96, 96, 3))
    preprocessed = keras.applications.mobilenet_v2.preprocess_input(batch.astype("float32"))
    expected = np.asarray(backbone(preprocessed)).mean((1, 2))

    model = build_model(Model("mobilenet_v2", weights="imagenet", image_size=96), (96, 96, 3), 10, MEAN, STD)
    np.testing.assert_allclose(features(model, batch), expected, rtol=1e-3, atol=1e-4)


def test_smaller_images_are_upscaled_bilinearly_inside_the_model():
    model = make("mobilenet_v2", image_shape=(28, 20, 3), size=32)
    ramp = np.broadcast_to(np.arange(20, dtype="float32")[:, None], (1, 28, 20, 3))
    row = np.asarray(model.get_layer("upscale")(ramp))[0, 0, :, 0]
    # Half-pixel centres, clamped at the border, as in PyTorch's interpolate(align_corners=False).
    expected = np.clip((np.arange(32) + 0.5) * 20 / 32 - 0.5, 0, 19)
    np.testing.assert_allclose(row, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet", "efficientnet_b0"])
def test_a_backbone_at_another_size_computes_what_one_built_for_it_does(name):
    large, small = make(name, size=224), make.__wrapped__(name, size=64)
    smaller = at_image_size(large, 64)
    small.set_weights(large.get_weights())
    np.testing.assert_allclose(smaller(images((32, 32, 3))), small(images((32, 32, 3))), rtol=1e-5, atol=1e-5)


def test_a_missing_weights_file_is_named():
    with pytest.raises(InputError, match=r"weights: expected .* of mobilenet_v2, found no file at nowhere.h5"):
        build_model(Model("mobilenet_v2", weights="nowhere.h5", image_size=32), (32, 32, 3), 3, MEAN, STD)


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_weights_of_another_backbone_are_refused(tmp_path):
    path = tmp_path / "other.weights.h5"
    make("small_cnn").save_weights(path)
    with pytest.raises(InputError, match="does not fit mobilenet_v2"):
        build_model(Model("mobilenet_v2", weights=str(path), image_size=32), (32, 32, 3), 3, MEAN, STD)


def test_a_file_that_holds_no_weights_is_refused(tmp_path):
    path = tmp_path / "page.h5"
    path.write_text("<html>not found</html>")
    with pytest.raises(InputError, match=r"page.h5"):
        build_model(Model("mobilenet_v2", weights=str(path), image_size=32), (32, 32, 3), 3, MEAN, STD)


@pytest.fixture(scope="module")
def mobilenet() -> keras.Model:
    """One that tests may freeze and thaw."""
    return build_model(Model("mobilenet_v2", image_size=32), (32, 32, 3), 3, MEAN, STD)


def training_layers(model) -> list[bool]:
    return [layer.trainable for layer in backbone_of(model).layers]


def test_share_0_trains_the_head_alone(mobilenet):
    set_trainable_share(mobilenet, 0.0)
    assert [weight.path for weight in mobilenet.trainable_weights] == ["logits/kernel", "logits/bias"]


def test_a_share_trains_the_top_of_the_backbone(mobilenet):
    set_trainable_share(mobilenet, 0.25)
    training = training_layers(mobilenet)
    assert sum(training) == pytest.approx(0.25 * len(training), abs=1)
    assert training == sorted(training)  # frozen ones first


def test_share_1_trains_everything_whatever_was_frozen_before(mobilenet):
    set_trainable_share(mobilenet, 1.0)
    everything = len(mobilenet.trainable_weights)
    set_trainable_share(mobilenet, 0.0)
    set_trainable_share(mobilenet, 0.3)
    set_trainable_share(mobilenet, 1.0)
    assert all(training_layers(mobilenet))
    assert len(mobilenet.trainable_weights) == everything


def test_frozen_normalization_keeps_its_statistics_while_the_head_trains(mobilenet):
    set_trainable_share(mobilenet, 0.0)
    statistics = [weight for weight in backbone_of(mobilenet).weights if "moving" in weight.name]
    before = [weight.numpy() for weight in statistics]
    mobilenet(images((32, 32, 3)), training=True)
    for weight, value in zip(statistics, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
