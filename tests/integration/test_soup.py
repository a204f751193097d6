"""Soups of runs: a run like any other for the commands that follow, made by the real command."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import InputError
from tests.integration.commands import SMOKE, error_lines, run
from tests.tfcifar.test_run_lock import holder
from tfcifar.models.saved import load_model
from tfcifar.recipe import Model
from tfcifar.recipe_json import load_json
from tfcifar.reporting.run_report import load_run
from tfcifar.run_dir import RunDir
from tfcifar.training.model_soup import _architecture

STATISTICS = ("moving_mean", "moving_variance")


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A run of one epoch on an image folder of two colours, each in 60 images; 15% of them are the test split."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    path = tmp_path_factory.mktemp("runs") / "first"
    for name, colour in (("green", (60, 140, 60)), ("red", (140, 60, 60))):
        (folder / "train" / name).mkdir(parents=True)
        for index in range(60):
            pixels = np.clip(random.normal(colour, 60, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "train" / name / f"{index}.png")
    run(*SMOKE, "--dataset", folder, "--set", "epochs=1", "--set", "batch_size=30", "--no-evaluate", "--run-dir", path)
    return RunDir(path)


def like(first: RunDir, name: str, noise: float) -> RunDir:
    """A run that ended near the first, or far from it: its kernels plus noise."""
    other = RunDir(shutil.copytree(first.path, first.path.with_name(name)))
    model, random = load_model(first.model), np.random.default_rng(0)
    model.set_weights([value + noise * random.normal(size=value.shape) * (value.ndim > 1)
                       for value in model.get_weights()])  # fmt: skip
    model.save(other.model)
    return other


def weights(run_dir: RunDir) -> list[np.ndarray]:
    return load_model(run_dir.model).get_weights()


def test_the_soup_of_a_run_with_itself_is_the_run_at_twice_the_cost(first):
    twin, soup = like(first, "twin", noise=0), RunDir(first.path.with_name("soup"))
    run("tfcifar.soup", first.path, twin.path, "--output", soup.path)
    assert all(np.array_equal(a, b) for a, b in zip(weights(soup), weights(first), strict=True))
    run("tfcifar.evaluate", soup.path)
    metrics, timing = json.loads(soup.metrics.read_text()), json.loads(first.timing.read_text())
    assert metrics["validation_accuracy"] == pytest.approx(timing["val_accuracy"], abs=1e-6)
    assert metrics["train_seconds"] == pytest.approx(2 * timing["seconds"], abs=0.1)
    assert metrics["pflop"] == pytest.approx(2 * 6 * metrics["macs"] * 90 / 1e15)  # 92 images, in batches of 30
    assert load_run(soup.path).history == []


def test_a_soup_is_the_mean_of_the_weights_and_serves_as_a_run(first, tmp_path):
    near, soup = like(first, "near", noise=0.01), RunDir(tmp_path / "soup")
    run("tfcifar.soup", first.path, near.path, "--output", soup.path)
    names = [weight.name for weight in load_model(soup.model).weights]
    for name, value, a, b in zip(names, weights(soup), weights(first), weights(near), strict=True):
        assert np.allclose(value, (a + b) / 2, atol=1e-6) != (name in STATISTICS)
    provenance = json.loads(soup.environment.read_text())["soup"]
    assert provenance["kind"] == "uniform"
    assert [(tmp_path / "soup" / row["run_dir"]).resolve() for row in provenance["members"]] == [first.path, near.path]
    Image.new("RGB", (32, 32), (200, 0, 0)).save(tmp_path / "red.png")
    assert "red.png" in run("tfcifar.predict", soup.path, tmp_path / "red.png").stdout
    resumed = run(*SMOKE, "--run-dir", soup.path, "--resume", expect=2)
    assert "holds a soup of runs" in error_lines(resumed)[0]


def test_a_greedy_soup_leaves_out_what_makes_it_worse(first, tmp_path):
    far, soup = like(first, "far", noise=3.0), RunDir(tmp_path / "soup")
    stdout = run("tfcifar.soup", far.path, first.path, "--greedy", "--output", soup.path).stdout
    members = {row["name"]: row for row in json.loads(soup.environment.read_text())["soup"]["members"]}
    assert [row["in_soup"] for row in (members["first"], members["far"])] == [True, False]
    assert all(np.array_equal(a, b) for a, b in zip(weights(soup), weights(first), strict=True))
    assert json.loads(soup.timing.read_text())["val_accuracy"] == members["first"]["validation_accuracy"]
    assert "left out" in stdout
    assert "McNemar" not in stdout  # it was chosen by the images that such a test would look at


def test_runs_that_cannot_be_averaged_are_refused(first, tmp_path):
    def refusal(*arguments) -> str:
        (line,) = error_lines(run("tfcifar.soup", *arguments, expect=2))
        return line

    assert "at least 2 runs" in refusal(first.path, "--output", tmp_path / "soup")
    assert "already holds a run" in refusal(first.path, first.path, "--output", first.path)
    with holder(tmp_path / "taken"):
        assert "is at work in there" in refusal(first.path, first.path, "--output", tmp_path / "taken")
    other = RunDir(shutil.copytree(first.path, tmp_path / "other"))
    recipe = json.loads(other.recipe.read_text())
    recipe["model"] |= {"name": "residual_cnn", "widths": []}
    other.recipe.write_text(json.dumps(recipe))
    line = refusal(first.path, other.path, "--output", tmp_path / "soup")
    assert "one architecture, received small_cnn, widths (" in line
    assert "and residual_cnn (other)" in line
    backbone = load_json(first.recipe).replace(model=Model("mobilenet_v2", image_size=96))
    larger = backbone.replace(model=Model("mobilenet_v2", image_size=192, dropout=0.1))
    assert _architecture(backbone) == "mobilenet_v2, image_size 96" != _architecture(larger)
    with pytest.raises(InputError, match="expected one made by"):
        RunDir.existing(tmp_path / "soup")
