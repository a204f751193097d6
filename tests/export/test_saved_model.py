"""A SavedModel gives the Keras model's logits without Keras, and replaces nothing but a former export."""

import hashlib
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from export import saved_model
from export.parity import parity_images
from export.saved_model import RELOAD, check_parity, check_replaceable, export_saved_model
from pipelines.errors import InputError
from pipelines.preprocess import standardize
from tests.export.triton import read_config, tensors
from tests.integration.commands import PROJECT, error_lines, run
from tfcifar.models import build_model
from tfcifar.recipe import Model
from tfcifar.run_dir import RunDir, write_json

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)


def linear_model(seed):
    """Standardized pixels times random weights: what NumPy can say again."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 6, 3))
    features = keras.layers.Flatten()(standardize(MEAN, STD)(inputs))
    return keras.Model(inputs, keras.layers.Dense(3, bias_initializer="normal")(features))


def finished_run(folder, model) -> RunDir:
    run_dir = RunDir(folder)
    folder.mkdir(parents=True)
    write_json(run_dir.recipe, {})
    write_json(run_dir.timing, {})
    write_json(run_dir.environment, {"data": {"class_names": ["a", "b", "c"]}})
    model.save(run_dir.model)
    return run_dir


@pytest.fixture
def run_dir(tmp_path):
    return finished_run(tmp_path / "run", linear_model(0))


@pytest.fixture
def no_fresh_process(monkeypatch):
    """The check's second process costs seconds; tests of what is written do without it."""

    def load_here(folder, images):
        loaded = tf.saved_model.load(str(folder))  # a name: its variables live as long as it does
        return loaded.serve(images)["logits"].numpy()

    monkeypatch.setattr(saved_model, "_logits_in_fresh_process", load_here)


def test_the_folder_is_what_tensorflow_serving_and_triton_are_told_of(tmp_path, run_dir, no_fresh_process):
    record = export_saved_model(run_dir, tmp_path / "serving" / "level_2" / "1")
    signature = tf.saved_model.load(str(tmp_path / "serving" / "level_2" / "1")).signatures["serving_default"]
    (images,), (logits,) = signature.structured_input_signature[1].values(), signature.structured_outputs.values()
    assert (images.name, list(images.shape)) == ("images", record["input"]["shape"])
    assert list(signature.structured_outputs) == ["logits"]
    (name, kind, sizes), output = tensors(read_config("level_2"))
    assert (name, kind, len(sizes)) == ("images", "TYPE_UINT8", images.shape.rank - 1)
    assert (images.dtype, logits.dtype) == (tf.uint8, tf.float32)
    assert output[:2] == ("logits", "TYPE_FP32")


def test_the_command_writes_a_model_that_takes_uint8_and_gives_the_logits_of_numpy(run_dir):
    completed = run("export.saved_model", run_dir.path)
    target = run_dir.path / "export" / "saved_model"
    assert "largest difference of logits" in completed.stdout
    assert str(target) in completed.stdout

    images = np.random.default_rng(1).integers(0, 256, (5, 8, 6, 3)).astype(np.uint8)
    kernel, bias = linear_model(0).get_weights()
    expected = ((images / 255 - MEAN) / STD).reshape(5, -1) @ kernel + bias
    loaded = tf.saved_model.load(str(target))
    for batch in (slice(0, 1), slice(0, 5)):
        logits = loaded.serve(tf.constant(images[batch]))["logits"]
        assert logits.dtype == tf.float32
        np.testing.assert_allclose(logits, expected[batch], rtol=0, atol=1e-4)
    _, inputs = loaded.signatures["serving_default"].structured_input_signature
    assert inputs["images"].dtype == tf.uint8
    assert inputs["images"].shape.as_list() == [None, 8, 6, 3]

    record = json.loads((target / "export.json").read_text())
    assert record["model_sha256"] == hashlib.sha256(run_dir.model.read_bytes()).hexdigest()
    assert record["input"] == {"name": "images", "dtype": "uint8", "shape": [None, 8, 6, 3]}
    assert record["output"] == {"name": "logits", "dtype": "float32", "shape": [None, 3]}
    assert record["class_names"] == ["a", "b", "c"]
    assert record["parity"]["max_difference"] <= 1e-4 * record["parity"]["logit_range"]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_network_of_this_project_passes_the_check_in_a_process_without_keras(tmp_path, policy):
    keras.mixed_precision.set_global_policy(policy)
    keras.utils.set_random_seed(0)
    model = build_model(Model("small_cnn", widths=(8, 16)), (32, 32, 3), 10, MEAN, STD)
    random = np.random.default_rng(0)
    # Normalization as after training: means and variances of their own, none of them 0 or 1.
    model.set_weights([weight + random.uniform(0.1, 0.5, weight.shape) for weight in model.get_weights()])
    record = export_saved_model(finished_run(tmp_path / "run", model), tmp_path / "out")
    assert record["parity"]["precision"] == policy.removeprefix("mixed_")
    assert record["parity"]["images"] == 96
    assert record["parity"]["logit_range"] > 0


@pytest.mark.usefixtures("no_fresh_process")
def test_a_former_export_is_replaced_and_nothing_else(run_dir, tmp_path):
    output = tmp_path / "out"
    first = export_saved_model(run_dir, output)
    linear_model(1).save(run_dir.model)
    second = export_saved_model(run_dir, output)
    assert first["model_sha256"] != second["model_sha256"]
    assert json.loads((output / "export.json").read_text()) == second
    assert {path.name for path in tmp_path.iterdir()} == {"run", "out"}

    other = tmp_path / "holiday"
    other.mkdir()
    (other / "picture.png").touch()
    (line,) = error_lines(run("export.saved_model", run_dir.path, "--output", other, expect=2))
    assert "expected a new folder or a former export" in line
    assert [path.name for path in other.iterdir()] == ["picture.png"]


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), lambda path: path.touch(), lambda path: path.symlink_to("x")]
)
def test_what_is_no_former_export_is_not_touched(tmp_path, make):
    make(tmp_path / "out")
    with pytest.raises(InputError, match="--output"):
        check_replaceable(tmp_path / "out")


@pytest.mark.usefixtures("no_fresh_process")
def test_a_model_that_comes_out_different_is_not_left_behind(run_dir, tmp_path, monkeypatch):
    output = tmp_path / "out"
    export_saved_model(run_dir, output)
    before = (output / "export.json").read_bytes()
    write = saved_model._write

    def write_with_one_weight_lost(model, folder):
        kernel, bias = model.get_weights()
        model.set_weights([kernel, 0 * bias])
        write(model, folder)
        model.set_weights([kernel, bias])

    monkeypatch.setattr(saved_model, "_write", write_with_one_weight_lost)
    (line,) = error_lines(run("export.saved_model", run_dir.path, "--output", output, expect=2))
    assert "differ from the Keras model's by up to" in line
    assert (output / "export.json").read_bytes() == before
    run("export.saved_model", run_dir.path, expect=2)
    assert list((run_dir.path / "export").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"run", "out"}


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_logits_that_are_no_numbers_fail_the_check(monkeypatch, broken):
    model = linear_model(0)
    monkeypatch.setattr(
        saved_model, "_logits_in_fresh_process", lambda _, images: np.full((len(images), 3), broken, np.float32)
    )
    with pytest.raises(InputError, match="differ"):
        check_parity(model, None, parity_images((8, 6)))


def test_the_process_of_the_check_cannot_import_keras_or_this_project():
    for name in ("keras", "tfcifar", "export"):
        program = "".join(RELOAD.splitlines(keepends=True)[:3]) + f"import {name}"
        completed = subprocess.run([sys.executable, "-I", "-c", program], cwd=PROJECT, capture_output=True, text=True)
        assert "ModuleNotFoundError" in completed.stderr


def test_the_images_of_the_check_are_always_the_same_and_of_the_models_size():
    images = parity_images((40, 24))
    assert (images.shape, images.dtype) == ((96, 40, 24, 3), np.uint8)
    assert np.array_equal(images, parity_images((40, 24)))


def test_help_imports_nothing_heavy():
    program = (
        "import sys\nfrom export import saved_model\ntry:\n    saved_model.main(['--help'])\n"
        "except SystemExit:\n    print('MODULES', *sys.modules)"
    )
    completed = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60
    )
    assert not {"tensorflow", "keras", "numpy"} & set(completed.stdout.splitlines()[-1].split())
    assert "example:" in completed.stdout
