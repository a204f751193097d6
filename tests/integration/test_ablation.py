"""A small grid on generated images: trained, judged on the validation split, resumed, written."""

import csv
import dataclasses

import numpy as np
import pytest

from tests.integration.commands import run
from tfcifar.recipes import level_2, load, load_grid

SMALL = ("--set", "data.dataset=synthetic", "--set", "data.image_size=12", "--set", "epochs=1", "--set",
         "model.widths=4,4,4", "--rows", "none", "+ flip and crop")  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    output = tmp_path_factory.mktemp("ablation")
    stdout = run("tfcifar.ablation", "--level", 2, "--seeds", 0, 1, *SMALL, "--output", output).stdout
    return output, stdout


def test_the_table_holds_a_row_for_each_recipe_with_all_seeds(finished):
    output, stdout = finished
    rows = list(csv.DictReader((output / "ablation.csv").open()))
    assert [row["row"] for row in rows] == ["none", "+ flip and crop"]
    for row in rows:
        accuracies = [float(row["seed_0"]), float(row["seed_1"])]
        assert float(row["validation_accuracy"]) == pytest.approx(np.mean(accuracies), abs=1e-5)
        assert float(row["std"]) == pytest.approx(np.std(accuracies, ddof=1), abs=1e-5)
    difference = float(rows[1]["validation_accuracy"]) - float(rows[0]["validation_accuracy"])
    assert float(rows[1]["difference"]) == pytest.approx(difference, abs=2e-5)
    assert f"| {100 * difference:+.2f} |" in stdout
    assert (output / "ablation.md").is_file()
    assert (output / "ablation.png").is_file()


def test_the_test_split_stays_closed(finished):
    output, _ = finished
    assert not list(output.rglob("test_openings.jsonl"))
    assert not list(output.rglob("predictions.npz"))


def test_what_is_trained_is_not_trained_again(finished):
    output, _ = finished
    before = {path: path.stat().st_mtime_ns for path in output.rglob("model.keras")}
    assert len(before) == 4
    run("tfcifar.ablation", "--level", 2, "--seeds", 0, 1, *SMALL, "--output", output)
    assert {path: path.stat().st_mtime_ns for path in output.rglob("model.keras")} == before


def test_finished_runs_of_another_recipe_are_not_taken_for_those_of_this_one(finished):
    output, _ = finished
    other = ("--level", 2, "--seeds", 0, 1, *SMALL, "--set", "optimizer.learning_rate=0.2", "--output", output)
    assert "holds a finished run of another recipe" in run("tfcifar.ablation", *other, expect=2).stderr


def test_the_grid_is_nothing_each_part_all_and_all_but_each():
    grid = load_grid("level_2")
    parts = len(level_2.PARTS)
    assert len(grid) == 2 + 2 * parts
    assert next(iter(grid)) == "none"
    assert grid["+ CutMix"].augment.cutmix_alpha == 1.0
    assert grid["+ CutMix"].augment.mixup_alpha == 0
    assert grid["all - CutMix"].augment.cutmix_alpha == 0
    assert grid["all - CutMix"].augment.mixup_alpha == 0.2
    assert grid["all - EMA"].optimizer.ema_decay is None
    assert grid["all"].optimizer.ema_decay is not None


def test_an_unknown_row_and_a_recipe_without_a_grid_are_named():
    stderr = run("tfcifar.ablation", "--level", 2, "--rows", "+ Cutmix", expect=2).stderr
    assert "--rows: no such name: + Cutmix. Did you mean + CutMix?" in stderr
    stderr = run("tfcifar.ablation", "--recipe", "smoke", expect=2).stderr
    assert "expected one with an ablation grid (level_1, level_2, level_3, robust_cnn), received smoke" in stderr


def test_the_robust_grid_differs_in_augmix_alone():
    standard, mixed = load_grid("robust_cnn").values()
    assert mixed.augment == dataclasses.replace(standard.augment, augmix_chains=3)
    assert mixed.replace(augment=standard.augment, name=standard.name) == standard
    assert load("robust_cnn").replace(name=mixed.name) == mixed
    assert not standard.data.train_on_validation
