"""Pruned runs: zeros where they were asked for, made by the real command, interrupted, evaluated like any other."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow_model_optimization as tfmot
import tf_keras
from PIL import Image

from export import fine_tune
from export.fine_tune import make_legacy_optimizer
from export.magnitude_pruning import make_schedule, prunable_layers, wrap, zero_share
from export.pruned_run import prune_run
from export.pruning_config import Pruning, fine_tuning_recipe
from export.tf_keras_bridge import from_tf_keras, to_tf_keras
from pipelines.augment_config import Augment
from pipelines.errors import InputError
from tests.export.models import outputs
from tests.integration.commands import PROJECT, SMOKE, error_lines, run
from tfcifar import recipes
from tfcifar.models import build_model
from tfcifar.models.saved import load_model
from tfcifar.recipe import Distill, Model, Optimizer
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir, read_history, read_json
from tfcifar.training import callbacks

PRUNED = ["stage1_conv2", "stage2_conv1", "stage2_conv2"]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> RunDir:
    """A run of one epoch on an image folder of two colours, with dropout and two stages of 16 channels."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    path = tmp_path_factory.mktemp("runs") / "source"
    for name, colour in (("green", (60, 140, 60)), ("red", (140, 60, 60))):
        (folder / "train" / name).mkdir(parents=True)
        for index in range(60):
            pixels = np.clip(random.normal(colour, 60, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "train" / name / f"{index}.png")
    fields = ("data.image_size=16", "model.widths=16,16", "model.dropout=0.3", "epochs=1", "batch_size=30",
              "mixed_precision=float32")  # fmt: skip
    settings = [each for field in fields for each in ("--set", field)]
    run(*SMOKE, "--dataset", folder, *settings, "--no-evaluate", "--run-dir", path)
    return RunDir(path)


def kernels(run_dir: RunDir) -> dict[str, np.ndarray]:
    layers = load_model(run_dir.model).layers
    return {layer.name: np.asarray(layer.kernel) for layer in layers if hasattr(layer, "kernel")}


def test_fine_tuning_that_diverges_says_so_and_that_it_cannot_go_on(source, tmp_path):
    with pytest.raises(InputError, match=r"diverged in epoch 1, step \d.* Start again with a lower --learning-rate"):
        prune_run(source, RunDir(tmp_path / "pruned"), Pruning("magnitude", 0.75), epochs=1, learning_rate=1e30)
    assert (tmp_path / "pruned" / "divergence.json").is_file()
    assert not (tmp_path / "pruned" / "model.keras").exists()


def test_the_smallest_weights_of_each_kernel_but_the_first_and_last_become_zero(source, tmp_path):
    output = RunDir(tmp_path / "pruned")
    found = prune_run(source, output, Pruning("magnitude", 0.75), epochs=1)
    for name, kernel in kernels(output).items():
        assert (kernel == 0).mean() == (0.75 if name in PRUNED else 0), name
    reached = found["reached"]
    assert reached["layers"] == PRUNED
    assert reached["sparsity"] == 0.75
    assert reached["after"]["parameters"] == reached["before"]["parameters"]
    pruned_weights = sum(kernel.size for name, kernel in kernels(output).items() if name in PRUNED)
    assert reached["before"]["nonzero"] - reached["after"]["nonzero"] == 0.75 * pruned_weights
    assert reached["after"]["gzip_bytes"] < 0.7 * reached["before"]["gzip_bytes"]
    # What trains beside the kernels has trained, and came back too.
    before, after = (load_model(each.model).get_layer("stage2_norm2").get_weights() for each in (source, output))
    assert not any(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_two_of_four_neighbouring_input_channels_are_zero_in_every_pruned_kernel(source, tmp_path):
    output = RunDir(tmp_path / "pruned")
    prune_run(source, output, Pruning("magnitude", pattern="2:4"), epochs=1)
    for name, kernel in kernels(output).items():
        # [h, w, in, out] -> groups of four along `in`, as the kernels lie in TFLite
        groups = np.moveaxis(kernel, -2, -1)
        groups = groups.reshape(-1, 4) if name in PRUNED else groups
        nonzero = np.count_nonzero(groups, axis=-1)
        assert nonzero.max() == (2 if name in PRUNED else groups.shape[-1]), name


def test_growing_sparsity_reaches_what_was_asked_before_a_model_is_kept(source, tmp_path, monkeypatch):
    shares, wrapped = [], []
    monkeypatch.setattr("export.magnitude_pruning.wrap", lambda *args: wrapped.append(wrap(*args)) or wrapped[0])
    save_state = fine_tune.save_state

    def save_and_look(*args):
        masks = [weight for weight in wrapped[0].weights if "mask" in weight.name]
        shares.append(1 - np.mean([np.mean(mask) for mask in masks]))
        save_state(*args)

    monkeypatch.setattr(fine_tune, "save_state", save_and_look)
    output = RunDir(tmp_path / "pruned")
    prune_run(source, output, Pruning("magnitude", 0.75, "polynomial"), epochs=4)
    assert 0.3 < shares[0] < 0.75
    assert shares[1:] == pytest.approx([0.75] * 3)
    assert zero_share(load_model(output.model), PRUNED) == 0.75
    accuracies = [row["val_accuracy"] for row in read_history(output.history)]
    timing = read_json(output.timing)
    assert timing["best_epoch"] == 2 + int(np.argmax(accuracies[1:]))
    assert timing["val_accuracy"] == pytest.approx(max(accuracies[1:]))


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 51, 52, 120])
def test_the_last_update_of_the_masks_asks_for_the_whole_sparsity(steps):
    schedule = make_schedule(0.8, steps)
    asked = [schedule(step) for step in range(1, steps + 10)]
    updates = [float(sparsity) for update, sparsity in asked if update]
    assert updates[-1] == pytest.approx(0.8)
    assert len(updates) <= 100
    assert not any(update for update, _ in asked[max(steps, 1) :])


def test_without_its_masks_the_model_computes_the_same(source):
    model = load_model(source.model)
    pruned = wrap(to_tf_keras(model, flatten=True), PRUNED, make_schedule(0.5, 1))
    pruned.compile("sgd", tf_keras.losses.CategoricalCrossentropy(from_logits=True))
    images = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3)).astype("float32")
    pruned.fit(images, np.eye(2)[np.arange(30) % 2], verbose=0, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()])
    expected = outputs(pruned, images)
    came_back = from_tf_keras(tfmot.sparsity.keras.strip_pruning(pruned), model)
    np.testing.assert_allclose(outputs(came_back, images), expected, atol=1e-5 * np.ptp(expected))
    assert zero_share(came_back, PRUNED) == 0.5


def test_what_is_pruned_of_whitened_nested_and_tiny_networks():
    def layers(name, **options):
        return prunable_layers(build_model(Model(name, **options), (32, 32, 3), 3, (0.5,) * 3, (0.25,) * 3))

    assert layers("fast_cnn", widths=(8, 8, 8)) == [
        f"block{block}_{index}_conv" for block in (1, 2, 3) for index in (1, 2)
    ]
    of_mobilenet = layers("mobilenet", alpha=0.25, image_size=32)
    assert "conv1" not in of_mobilenet
    assert [name for name in of_mobilenet if "conv_pw" in name] == of_mobilenet  # neither depthwise ones nor logits
    with pytest.raises(InputError, match="no layer to prune between its first and its last"):
        prunable_layers(keras.Model(inputs := keras.Input((4,)), keras.layers.Dense(2)(inputs)))


@pytest.mark.parametrize(
    ("pruning", "where", "epochs", "stop_after"),
    [
        (Pruning("magnitude", 0.75, "polynomial"), fine_tune, 4, 1),
        (Pruning("channels", 0.5), callbacks, 2, 1),
    ],
)
def test_an_interrupted_pruning_goes_on_as_if_nothing_had_happened(
    source, tmp_path, monkeypatch, pruning, where, epochs, stop_after
):
    undisturbed, resumed = RunDir(tmp_path / "undisturbed"), RunDir(tmp_path / "resumed")
    prune_run(source, undisturbed, pruning, epochs)
    save_state = where.save_state

    def save_and_be_interrupted(folder, epoch, *rest):
        save_state(folder, epoch, *rest)
        if epoch == stop_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(where, "save_state", save_and_be_interrupted)
    with pytest.raises(KeyboardInterrupt):
        prune_run(source, resumed, pruning, epochs)
    monkeypatch.setattr(where, "save_state", save_state)
    assert not resumed.timing.exists()
    with pytest.raises(InputError, match=r"different: sparsity\."):
        prune_run(source, resumed, Pruning(pruning.method, 0.6, pruning.schedule), epochs, resume=True)
    other_method = {"magnitude": "channels", "channels": "magnitude"}[pruning.method]
    with pytest.raises(InputError, match="different: method, "):
        prune_run(source, resumed, Pruning(other_method), epochs, resume=True)
    prune_run(source, resumed, pruning, epochs, resume=True)
    assert read_history(resumed.history) == read_history(undisturbed.history)
    last = f"state-{epochs:04d}.npz"
    with np.load(undisturbed.checkpoints / last) as expected, np.load(resumed.checkpoints / last) as found:
        assert expected.files == found.files
        for name in expected.files:
            if name != "header":  # which holds seconds
                assert np.array_equal(expected[name], found[name]), name
    for a, b in zip(*(load_model(each.model).get_weights() for each in (undisturbed, resumed)), strict=True):
        assert np.array_equal(a, b)


def test_the_command_leaves_a_smaller_network_that_is_evaluated_like_any_other_run(source, tmp_path):
    output = RunDir(tmp_path / "half")
    arguments = ("--method", "channels", "--sparsity", "0.5", "--epochs", "1", "--learning-rate", "0.05")
    stdout = run("export.prune", source.path, *arguments, "--output", output.path).stdout
    assert "source: 50.0% of the channels removed, 50.0% asked" in stdout
    assert not output.test_openings.exists()

    pruned = read_json(output.environment)["pruned"]
    reached = pruned["reached"]
    assert {name: pruned[name] for name in ("source", "method", "score", "scope")} == {
        "source": "source", "method": "channels", "score": "taylor", "scope": "group",
    }  # fmt: skip
    assert reached["removed"]["macs"] == reached["after"]["macs"] < 0.4 * reached["before"]["macs"]
    assert kernels(output)["stage2_conv2"].shape == (3, 3, 8, 8)
    assert load_json(output.recipe).optimizer == Optimizer("sgd", learning_rate=0.05, weight_decay=5e-4)

    run("tfcifar.evaluate", output.path)
    metrics, before = read_json(output.metrics), read_json(source.timing)
    assert metrics["parameters"] == reached["after"]["parameters"] < 0.4 * reached["before"]["parameters"]
    assert metrics["validation_accuracy"] == reached["after"]["validation_accuracy"]
    images = 90  # of 92, in batches of 30; one epoch each
    expected_pflop = 6 * images * (reached["before"]["macs"] + reached["after"]["macs"]) / 1e15
    assert metrics["pflop"] == pytest.approx(expected_pflop)
    assert metrics["train_seconds"] > before["seconds"]
    (opening,) = output.test_openings.read_text().splitlines()
    assert json.loads(opening)["purpose"] == "evaluation"

    refused = run("export.prune", source.path, *arguments, "--output", output.path, expect=2)
    assert "already holds a run; --resume continues it" in error_lines(refused)[0]
    refused = run("tfcifar.train", "--recipe", output.recipe, "--run-dir", output.path, "--resume", expect=2)
    assert "holds a pruned run" in error_lines(refused)[0]
    refused = run("export.prune", source.path, *arguments, "--output", source.path, "--resume", expect=2)
    assert "holds a run that is not a pruned one" in error_lines(refused)[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "channels", "--pattern", "2:4"), "--pattern: expected none with --method channels"),
        (("--method", "magnitude", "--scope", "global"), "--scope: expected none with --method magnitude"),
        (("--method", "magnitude", "--sparsity", "1"), "--sparsity: expected a number between 0 and 1, received 1.0"),
        (("--method", "magnitude", "--pattern", "2:4", "--sparsity", "0.6"), "--sparsity: expected 0.5 with 2:4"),
        (("--method", "magnitude", "--pattern", "2:4", "--schedule", "polynomial"), "--schedule: expected constant"),
        (("--method", "channels", "--epochs", "0"), "epochs: expected at least 1, received 0"),
        (("--method", "channels", "--sparsity", "0.01"), "expected a share that removes channels"),
    ],
)
def test_bad_input_ends_in_one_line_and_leaves_nothing(source, tmp_path, options, message):
    refused = run("export.prune", source.path, "--epochs", "1", *options, "--output", tmp_path / "out", expect=2)
    (line,) = error_lines(refused)
    assert message in line
    assert not (tmp_path / "out").exists()


def test_a_recipe_with_muon_phases_and_averages_is_fine_tuned_by_adam_or_by_its_own():
    recipe = recipes.load("level_3", "cpu")
    with_zeros = fine_tuning_recipe(recipe, Pruning("magnitude"), 3, None)
    assert with_zeros.optimizer == Optimizer("adam", learning_rate=1e-3)
    assert fine_tuning_recipe(recipe, Pruning("magnitude"), 3, 0.01).optimizer.learning_rate == 0.01
    narrower = fine_tuning_recipe(recipe, Pruning("channels"), 3, None)
    assert narrower.optimizer == recipe.optimizer
    assert (narrower.epochs, narrower.augment, narrower.small_images.epochs) == (3, recipe.augment, 0)
    with pytest.raises(InputError, match="expected sgd, adam or adamw, which tf_keras has, received 'muon'"):
        make_legacy_optimizer(narrower, 0.1)


def test_magnitude_pruning_learns_from_one_hot_labels_whatever_the_run_did():
    recipe = recipes.load("smoke").replace(labels="integer", augment=Augment())
    assert fine_tuning_recipe(recipe, Pruning("magnitude"), 1, None).labels == "one_hot"
    assert fine_tuning_recipe(recipe, Pruning("channels"), 1, None).labels == "integer"


def test_only_a_method_that_learns_from_teachers_names_them():
    recipe = recipes.load("level_5", "cpu").replace(distill=Distill(teachers=("runs/level_2",)))
    assert fine_tuning_recipe(recipe, Pruning("channels"), 1, None).distill == recipe.distill
    assert fine_tuning_recipe(recipe, Pruning("magnitude"), 1, None).distill == Distill()


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom export import prune\ntry:\n    prune.main(['--help'])\n"
        "except SystemExit:\n    print('MODULES', *sys.modules)"
    )
    completed = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    imported = set(completed.stdout.splitlines()[-1].split())
    assert "export.prune" in imported
    assert not imported & {"tensorflow", "keras", "numpy"}
