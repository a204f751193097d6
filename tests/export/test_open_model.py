"""Whatever form a model has, it is opened with its class names and its calibration."""

import hashlib

import keras
import numpy as np
import pytest

from export.card import write_card
from export.open_model import open_model
from export.saved_model import export_saved_model
from pipelines.errors import InputError
from tests.tiny_models import write_onnx
from tfcifar.evaluation.openings import model_digest
from tfcifar.run_dir import RunDir, write_json

CLASSES = ["a", "b", "c"]
SHAPE = (8, 6, 3)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, *SHAPE)).astype(np.uint8)


@pytest.fixture
def artifact(tmp_path):
    return write_onnx(tmp_path / "tiny.onnx", SHAPE, num_classes=3)


@pytest.fixture
def run_dir(tmp_path):
    """A run that was trained to its end, as far as a reader can tell."""
    run_dir = RunDir(tmp_path / "run")
    run_dir.path.mkdir()
    write_json(run_dir.recipe, {})
    write_json(run_dir.timing, {})
    write_json(run_dir.environment, {"data": {"class_names": CLASSES}})
    inputs = keras.Input(SHAPE, dtype="uint8")
    features = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    keras.Model(inputs, keras.layers.Dense(3)(features)).save(run_dir.model)
    return run_dir


def write_tiny_card(artifact, **more):
    digest = hashlib.sha256(artifact.read_bytes()).hexdigest()
    write_card(artifact, {"file": artifact.name, "sha256": digest, "class_names": CLASSES} | more)


def test_a_file_without_a_card_is_just_its_logits(artifact, images):
    opened = open_model(artifact)
    assert (opened.platform, opened.image_shape) == ("onnxruntime", SHAPE)
    assert (opened.class_names, opened.scaling, opened.card) == (None, None, None)
    assert opened.run(images).shape == (5, 3)


def test_a_card_gives_class_names_and_the_temperature(artifact, images):
    write_tiny_card(artifact, calibration={"temperature": 2.0})
    opened = open_model(artifact)
    assert opened.class_names == CLASSES
    logits = opened.run(images)
    expected = np.exp(logits / 2) / np.exp(logits / 2).sum(1, keepdims=True)
    np.testing.assert_allclose(np.exp(opened.scaling.apply(logits)), expected, rtol=1e-5)


def test_a_card_that_does_not_fit_is_refused(artifact):
    write_tiny_card(artifact, calibration={"temperature": 0})
    with pytest.raises(InputError, match="expected a temperature above 0, received 0"):
        open_model(artifact)
    write_tiny_card(artifact, sha256="other")
    with pytest.raises(InputError, match="has changed since its card"):
        open_model(artifact)


def test_a_run_and_its_saved_model_are_one_model_in_batches_of_any_size(run_dir, images, tmp_path):
    scale = {"temperature": 2.0, "scale": [0.5] * 3, "bias": [0.0] * 3}
    calibration = {"model": model_digest(run_dir), "kept": "temperature", "methods": {"temperature": scale}}
    write_json(run_dir.calibration, calibration)
    export_saved_model(run_dir, tmp_path / "saved_model")
    run, saved = open_model(run_dir.path), open_model(tmp_path / "saved_model")
    assert (run.platform, saved.platform) == ("keras", "tensorflow")
    assert run.image_shape == saved.image_shape == SHAPE
    assert run.class_names == saved.class_names == CLASSES
    assert run.scaling.temperature == 2.0
    for n in (5, 1, 3):
        np.testing.assert_allclose(saved.run(images[:n]), run.run(images[:n]), atol=1e-5)


@pytest.mark.parametrize("shape", [(12,), (8, 6, 1), (2, 8, 6, 3)])
def test_a_model_for_other_things_than_rgb_images_of_one_size_is_refused(tmp_path, shape):
    with pytest.raises(InputError, match=r"expected a model for images, uint8 \[n, height, width, 3\], received"):
        open_model(write_onnx(tmp_path / "other.onnx", shape))


def test_what_is_no_model_is_refused(tmp_path, run_dir):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "saved_model.pb").write_bytes(b"no model")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    for path in (tmp_path / "empty", tmp_path / "broken.onnx", tmp_path / "nothing.tflite"):
        with pytest.raises(InputError):
            open_model(path)
    run_dir.timing.unlink()
    with pytest.raises(InputError, match="not trained to its end"):
        open_model(run_dir.path)
