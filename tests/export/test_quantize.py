"""Quantization-aware training: what is rounded, that it starts near the float model, and the command."""

import csv
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from export.card import read_card
from export.flatbuffer import read
from export.fold import fold
from export.quantization_aware import FixedRanges, quantization_aware, trained_weights
from export.quantized_run import quantization_recipe
from export.runtimes import open_artifact
from export.tflite import convert_to_int8
from tests.export.models import build, images, outputs
from tests.integration.commands import SMOKE, error_lines, run
from tfcifar.models.saved import load_model
from tfcifar.recipe_json import load_json
from tfcifar.recipes import load
from tfcifar.run_dir import write_text


@pytest.mark.parametrize("name", ["fast_cnn", "residual_cnn"])
def test_it_starts_where_the_float_model_is_and_rounds_every_kernel(name):
    model = build(name)
    pictures = images(model, 60)
    quantized = quantization_aware(model, pictures.astype(np.uint8))
    expected, received = (outputs(each, pictures) for each in (model, quantized))
    assert np.abs(received - expected).max() <= 0.1 * np.ptp(expected)
    kernels = {weight.name for weight in quantized.weights if weight.name.endswith("kernel:0")}
    rounded = {weight.name for weight in quantized.weights if weight.name.endswith("kernel_min:0")}
    assert len(rounded) == len(kernels)


@pytest.mark.parametrize("name", ["fast_cnn", "attention_cnn"])
def test_the_file_says_what_the_trained_network_says(tmp_path, name):
    model = build(name)
    pictures = images(model, 60)
    quantized = quantization_aware(model, pictures.astype(np.uint8))
    quantized.compile("sgd", "mse")
    quantized.fit(pictures, np.zeros((60, 5)), epochs=1, verbose=0)
    path = tmp_path / "model.tflite"
    path.write_bytes(convert_to_int8(quantized, pictures[:4].astype(np.uint8)))
    expected = outputs(quantized, pictures)
    received = open_artifact(path)(pictures.astype(np.uint8))
    assert np.abs(received - expected).max() <= 0.05 * np.ptp(expected)


def test_ranges_of_activations_stay_in_training():
    model = build("fast_cnn")
    pictures = images(model, 40)
    quantized = quantization_aware(model, pictures.astype(np.uint8))
    ranges = [weight for weight in quantized.weights if "output_m" in weight.name]
    before = [weight.numpy() for weight in ranges]
    quantized.compile("sgd", "mse")
    quantized.fit(255 - pictures, np.ones((40, 5)), epochs=2, verbose=0, callbacks=[FixedRanges()])
    assert len(before) > 10
    np.testing.assert_array_equal([weight.numpy() for weight in ranges], before)


def test_each_channel_of_a_depthwise_convolution_has_its_own_range():
    model = build("separable_cnn")
    model.get_layer("block1_depthwise").kernel.assign(np.random.default_rng(0).normal(size=(3, 3, 32, 1)))
    pictures = images(model, 40).astype(np.uint8)
    (graph,) = read(convert_to_int8(quantization_aware(model, pictures), pictures)).subgraphs
    (kernel,) = [each for each in graph.tensors if list(each.shape) == [1, 3, 3, 32] and each.quantization.scale.size]
    assert len(set(kernel.quantization.scale)) == 32


def test_zeros_stay_where_they_are_kept():
    model = build("residual_cnn")
    kernel = model.get_layer("stage1_block_1_conv").kernel
    kernel.assign(kernel * (np.random.default_rng(0).random(kernel.shape) < 0.5))
    pictures = images(model, 40)
    for keep, check in ((True, np.testing.assert_array_equal), (False, np.testing.assert_array_less)):
        quantized = quantization_aware(model, pictures.astype(np.uint8), keep_zeros=keep)
        quantized.compile("sgd", "mse")
        quantized.fit(pictures, np.ones((40, 5)), epochs=2, verbose=0)
        folded = fold(model)
        trained_weights(quantized, folded)
        zeros = np.mean(np.asarray(folded.get_layer("stage1_block_1_conv").kernel) == 0)
        check(zeros, np.mean(np.asarray(kernel) == 0))


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    """A run, the one fine-tuned from it, and what the command has said."""
    source = tmp_path_factory.mktemp("runs") / "smoke"
    output = source.with_name("smoke-int8")
    run(*SMOKE, "--run-dir", source, "--no-evaluate")
    return source, output, run("export.quantize", source, "--epochs", 1, "--output", output).stdout


def test_the_command_makes_a_run_with_its_int8_file_and_resumes(quantized):
    source, output, stdout = quantized
    asked = ("export.quantize", source, "--epochs", 1, "--output", output)
    rows = list(csv.DictReader((output / "history.csv").open()))
    found = json.loads((output / "environment.json").read_text())["quantized"]
    assert found["validation"] == pytest.approx(max(float(row["val_accuracy"]) for row in rows))
    assert f"{found['validation']:.2%}, before fine-tuning {found['validation_before']:.2%}" in stdout
    runtime = open_artifact(output / "export" / "smoke-int8.int8.tflite")
    model = load_model(output / "model.keras")
    assert not [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    pictures = images(model, 20)
    same = runtime(pictures.astype(np.uint8)).argmax(-1) == outputs(model, pictures).argmax(-1)
    assert same.mean() >= 0.8
    assert "already holds a run" in error_lines(run(*asked, expect=2))[0]
    resumed = run("tfcifar.train", "--recipe", output / "recipe.json", "--run-dir", output, "--resume", expect=2)
    assert "holds a quantized run, which export.quantize --resume continues" in error_lines(resumed)[0]
    assert "was started otherwise" in error_lines(run(*asked, "--keep-zeros", "--resume", expect=2))[0]
    assert run(*asked, "--resume").stdout.splitlines()[-2:] == stdout.splitlines()[-2:]


def test_a_deterministic_run_is_fine_tuned_so_but_on_a_gpu_which_has_no_such_gradients(
    quantized, tmp_path, monkeypatch
):
    source = Path(shutil.copytree(quantized[0], tmp_path / "source"))
    recipe = load_json(source / "recipe.json").replace(deterministic=True)
    write_text(source / "recipe.json", recipe.to_json())

    def enabled():
        raise KeyboardInterrupt  # nothing is computed before

    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", enabled)
    run("export.quantize", source, "--epochs", 1, "--output", tmp_path / "output", expect=130)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert not quantization_recipe(recipe, 1, 0.01, 1000).deterministic


def test_batches_that_would_not_fit_into_memory_are_halved():
    recipe = load("ic01")
    sizes = [quantization_recipe(recipe, 1, 0.01, most).batch_size for most in (1000, 999, 300, 1)]
    assert (recipe.batch_size, sizes) == (1000, [1000, 500, 250, 1])


def test_compress_takes_the_fine_tuned_file_as_it_is(quantized):
    _, output, _ = quantized
    file = output / "export" / "smoke-int8.int8.tflite"
    before = file.read_bytes()
    asked = ("export.compress", output, "--formats", "tflite_int8", "--no-test", "--no-benchmark")
    stdout = run(*asked).stdout
    assert file.read_bytes() == before
    assert "as set by export.quantize" in stdout
    assert set(read_card(file)["metrics"]) == {"validation"}
    run(*asked, "--name", "student")
    assert (output / "export" / "student.int8.tflite").read_bytes() == before
    away = file.rename(file.with_suffix(".away"))
    assert "expected" in error_lines(run(*asked, expect=2))[0]
    away.rename(file)
