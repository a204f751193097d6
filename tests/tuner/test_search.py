"""A search on generated images: real trials where that tells something, stand-ins for their process elsewhere."""

import dataclasses
import json
import subprocess
import sys

import pytest

from pipelines.augment_config import Augment
from tests.integration.commands import run
from tests.tuner.stand_in_trials import SMALL, accuracy_of, rows_of
from tfcifar.cli import CANNOT_WRITE
from tfcifar.overrides import override
from tfcifar.recipe_json import load_json
from tfcifar.recipes import load
from tuner.report import record_search
from tuner.space import recipe_from, space_of
from tuner.trials import make_oracle


@pytest.mark.parametrize("oracle", ["random", "bayesian", "hyperband"])
def test_the_winner_is_the_recipe_of_the_best_trial(tmp_path, children, oracle):
    seen, _ = children
    output = tmp_path / "search"
    options = ("--recipe", "smoke", "--oracle", oracle, "--trials", 6, "--set", "epochs=3", "--output", output)
    stdout = run("tuner.search", *options).stdout
    assert len(rows_of(output)) == len(seen) == 6
    best = max(seen, key=accuracy_of)
    winner = load_json(output / "winner.json")
    assert accuracy_of(winner) == accuracy_of(best)
    assert winner.epochs == 3  # all of them, however few Hyperband gave
    assert "winner:" in stdout
    assert (output / "trials.png").is_file()


@pytest.mark.parametrize("oracle", ["random", "bayesian", "hyperband"])
def test_the_first_trial_is_the_recipe_itself(tmp_path, children, oracle):
    """So that no winner is worse than what was there before, in the epochs that a trial gets."""
    seen, _ = children
    options = ("--oracle", oracle, "--trials", 3, "--set", "epochs=3", "--set", "model.dropout=0.15")
    run("tuner.search", "--recipe", "smoke", *options, "--output", tmp_path / "search")
    recipe = override(load("smoke", "cpu"), ["epochs=3", "model.dropout=0.15"])
    first = seen[0].replace(name=recipe.name, epochs=3, schedule=recipe.schedule)
    assert dataclasses.replace(first, model=dataclasses.replace(first.model, widths=(8, 16))) == recipe
    assert len({each.to_json() for each in seen}) == 3  # and none but the first


def test_a_bayesian_search_of_thirty_trials_models_the_later_ones():
    assert make_oracle("bayesian", load("smoke"), 30, 3, 0).num_initial_points == 10


def test_a_failed_trial_is_put_down_and_the_search_goes_on(tmp_path, children):
    seen, fails = children
    fails[1] = -9  # killed, as by the system when memory runs out
    stdout = run("tuner.search", *SMALL, "--trials", 4, "--output", tmp_path / "search").stdout
    rows = rows_of(tmp_path / "search")
    assert [row["status"] for row in rows].count("FAILED") == 1
    assert len(seen) == len(rows) == 4
    assert "exit code -9: out of memory" in rows[-1]["message"]
    assert "4 trials, 1 of them failed" in stdout


def test_stages_of_a_schedule_cannot_be_cut_short(tmp_path):
    three = ("--recipe", "residual_three_stage", "--output", tmp_path)
    assert "add up to 35 epochs" in run("tuner.search", *three, "--max-epochs", 2, expect=2).stderr
    assert "add up to 35 epochs" in run("tuner.search", *three, "--oracle", "hyperband", expect=2).stderr


def test_integer_labels_are_neither_mixed_nor_smoothed():
    recipe = load("smoke").replace(labels="integer", augment=Augment())
    values = {hp.name: hp.default for hp in space_of(recipe).space}
    assert not {"mixup_alpha", "label_smoothing"} & set(values)
    assert recipe_from(values, recipe).labels == "integer"


def test_a_search_without_a_completed_trial_has_no_winner(tmp_path, children):
    _, fails = children
    fails.update({0: 1, 1: 1})
    stderr = run("tuner.search", *SMALL, "--trials", 2, "--output", tmp_path / "search", expect=2).stderr
    assert "no trial was completed" in stderr
    assert not (tmp_path / "search" / "winner.json").exists()


def test_few_epochs_of_a_trial_shrink_what_is_counted_in_epochs():
    values = {hp.name: hp.default for hp in space_of(load("level_2", "demo")).space} | {"optimizer": "sgd"}
    recipe = recipe_from(values, load("level_2", "demo"), epochs=1)
    assert recipe.schedule.warmup_epochs == pytest.approx(1 / 6)


def test_seeds_of_the_trials_do_not_judge_their_winner(tmp_path):
    stderr = run("tuner.search", *SMALL, "--compare", 0, "--output", tmp_path, expect=2).stderr
    assert "--compare: expected other seeds than the trials' own, 0" in stderr


def test_the_comparison_is_trained_on_the_devices_of_the_trials(tmp_path, children, monkeypatch):
    used = []
    monkeypatch.setenv("TF_CONFIG", "of several machines")
    monkeypatch.setattr("tuner.search.open_devices", lambda *asked: asked)
    monkeypatch.setattr("tfcifar.evaluation.run_grid.run_grid", lambda *asked: used.append(asked[-1]))
    monkeypatch.setattr("tfcifar.reporting.ablation_report.write_ablation", lambda rows, output: "")
    run("tuner.search", *SMALL, "--trials", 1, "--compare", 1, "--strategy", "mirrored", "--output", tmp_path)
    ((strategy, environment),) = used
    assert (strategy, environment.get("TF_CONFIG")) == ("mirrored", None)


def test_one_failure_after_the_other_ends_the_search_with_the_place_of_the_reason(tmp_path, children):
    _, fails = children
    fails.update(dict.fromkeys(range(20), 1))
    stderr = run("tuner.search", *SMALL, "--trials", 20, "--output", tmp_path / "search", expect=2).stderr
    assert "exit code 1: out of memory" in stderr


def test_real_trials_train_in_processes_of_their_own_and_the_winner_is_compared(tmp_path):
    output = tmp_path / "search"
    small = ("--set", "model.widths=8,8", "--set", "batch_size=200", "--set", "data.image_size=12")
    stdout = run("tuner.search", *SMALL, *small, "--trials", 1, "--compare", 1, "--output", output).stdout
    (row,) = rows_of(output)
    assert row["status"] == "COMPLETED"
    assert 0 <= float(row["val_accuracy"]) <= 1
    assert not list(output.rglob("test_openings.jsonl"))
    assert "| tuned |" in stdout


def test_the_space_of_a_backbone_has_no_width_and_no_muon():
    names = {hp.name for hp in space_of(load("level_1")).space}
    assert "width" not in names
    assert "muon.learning_rate" not in names
    assert {"adamw.learning_rate", "weight_decay", "dropout", "batch_size"} <= names


@pytest.mark.parametrize("name", ["mobilenet_v3", "residual_three_stage"])  # Muon without weights, and "adam"
def test_the_defaults_of_the_space_are_those_of_the_recipe(name):
    recipe = load(name)
    assert recipe_from(space_of(recipe).values, recipe).optimizer == dataclasses.replace(
        recipe.optimizer, weight_decay=max(recipe.optimizer.weight_decay, 1e-4)
    )


def test_hyperparameters_become_the_fields_of_a_recipe():
    values = {"optimizer": "muon", "muon.learning_rate": 0.2, "weight_decay": 0.01, "batch_size": 250, "dropout": 0.1,
              "crop_padding": 4, "cutout_size": 8, "color_jitter": 0.1, "mixup_alpha": 0.2, "label_smoothing": 0.05,
              "width": 0.5}  # fmt: skip
    recipe = recipe_from(values, load("residual_cnn"), epochs=3)
    assert recipe.model.widths == (32, 64, 128, 256)
    assert (recipe.optimizer.name, recipe.optimizer.learning_rate, recipe.optimizer.momentum) == ("muon", 0.2, 0.6)
    assert (recipe.augment.cutout_size, recipe.augment.mixup_alpha) == (8, 0.2)
    assert (recipe.epochs, recipe.batch_size) == (3, 250)


def test_recipes_that_train_on_the_validation_split_cannot_be_tuned(tmp_path):
    stderr = run("tuner.search", "--recipe", "fast_94", "--output", tmp_path, expect=2).stderr
    assert "trains on the validation split" in stderr


def test_a_record_holds_trials_winner_and_the_comparison_of_this_search_alone(tmp_path, children):
    output, compared, results = tmp_path / "search", tmp_path / "compared", tmp_path / "results"
    run("tuner.search", *SMALL, "--trials", 2, "--output", output)
    compared.mkdir()
    for trial, cores in (("trial_0", "1 core"), ("trial_1", "2 cores")):
        environment = output / trial / "run" / "environment.json"
        environment.write_text(json.dumps({"hardware": cores, "commit": "abc1234"}))
    (compared / "ablation.md").write_text("# Ablation\n\n| row |\n\n![differences](ablation.png)\n")
    record_search([{"seconds": 2.0}, {"seconds": None}], output, compared, results)
    assert {path.name for path in (results / "tuner").iterdir()} == {
        "trials.md", "trials.csv", "trials.png", "winner.json", "comparison.md",
    }  # fmt: skip
    assert (results / "tuner" / "comparison.md").read_text() == "# Winner and recipe\n\n| row |\n\n"
    (entry,) = json.loads((results / "summary.json").read_text())
    assert (entry["value"], entry["unit"], entry["seconds"]) == (2, "trials", 2)
    assert (entry["hardware"], entry["commit"]) == ("1 core; 2 cores", "abc1234")  # of the trials, not of this process
    record_search([{"seconds": 2.0}], output, folder=results)
    assert not (results / "tuner" / "comparison.md").exists()


def test_a_trial_that_cannot_write_says_so_by_its_exit_code_even_where_its_log_is_on_the_full_disk():
    trial = "from tfcifar.cli import *\ndef main(): raise OSError(errno.ENOSPC, 'full')\nrun(main, CANNOT_WRITE)"
    with open("/dev/full", "w") as log:
        assert subprocess.run([sys.executable, "-c", trial], stderr=log).returncode == CANNOT_WRITE
