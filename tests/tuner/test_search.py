"""A search on generated images: real trials where that tells something, stand-ins for their process elsewhere."""

import contextlib
import csv
import dataclasses
import errno
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipelines.augment_config import Augment
from pipelines.errors import cannot_write
from tests.integration.commands import error_lines, run
from tests.tfcifar.test_run_lock import holder
from tests.tuner.stand_in_trials import SMALL, accuracy_of, write_stand_in
from tfcifar.cli import CANNOT_WRITE
from tfcifar.overrides import override
from tfcifar.recipe_json import load_json
from tfcifar.recipes import load
from tfcifar.run_dir import write_text
from tuner import oracle_state, trials
from tuner.chief import VARIABLES
from tuner.report import record_search
from tuner.space import recipe_from, space_of
from tuner.trials import make_oracle


@pytest.fixture
def children(monkeypatch):
    """In place of training: accuracy by dropout; the recipes that were trained; `fails` by their place in the list."""
    seen, fails = [], {}

    def train(path, run_dir, log, strategy):
        recipe = load_json(path)
        seen.append(recipe)
        log.write_text("starting\nout of memory\n")
        code = fails.get(len(seen) - 1, 0)
        if isinstance(code, BaseException):
            raise code
        if code == 0:
            write_stand_in(run_dir, recipe)
        return code

    monkeypatch.setattr(trials, "train_in_child", train)
    return seen, fails


def rows_of(output: Path) -> list[dict]:
    return list(csv.DictReader((output / "trials.csv").open()))


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


def test_an_interrupted_search_goes_on_with_the_same_trial(tmp_path, children):
    seen, fails = children
    fails[2] = KeyboardInterrupt()
    options = (*SMALL, "--trials", 5, "--output", tmp_path / "search")
    run("tuner.search", *options, expect=130)
    interrupted = seen[-1]
    run("tuner.search", *options)
    assert seen[3] == interrupted
    assert len(rows_of(tmp_path / "search")) == 5
    assert len({each.name for each in seen}) == 5
    run("tuner.search", *options)
    assert len(seen) == 6  # nothing is left to do


def full(*_, **__) -> None:
    raise cannot_write(OSError(errno.ENOSPC, "No space left on device"), "file")


@pytest.mark.parametrize("where", ["trial", "recipe", "oracle"])
def test_a_full_disk_ends_the_search_which_goes_on_with_the_same_trial(tmp_path, children, monkeypatch, where):
    seen, fails = children
    options = (*SMALL, "--trials", 3, "--output", tmp_path / "search")
    with monkeypatch.context() as patch:
        if where == "trial":
            fails[0] = CANNOT_WRITE
        elif where == "recipe":
            patch.setattr(trials, "write_text", full)
        else:
            patch.setattr("keras_tuner.Oracle.update_trial", full)
        (line,) = error_lines(run("tuner.search", *options, expect=2))
    assert "trial 0" in line
    if where == "trial":
        assert line.endswith("out of memory")  # the last line of its log
    run("tuner.search", *options)
    assert [row["status"] for row in rows_of(tmp_path / "search")] == ["COMPLETED"] * 3
    assert [each.name for each in seen][-3:] == ["trial_0", "trial_1", "trial_2"]


@pytest.mark.parametrize("file", ["oracle.json", "trial_0/trial.json"])
def test_a_damaged_file_of_the_search_is_one_line(tmp_path, children, file):
    options = (*SMALL, "--trials", 1, "--output", tmp_path)
    run("tuner.search", *options)
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:100])
    (line,) = error_lines(run("tuner.search", *options, expect=2))
    assert f"{path}: incomplete or altered" in line


class KilledError(BaseException):
    """In place of SIGKILL; KerasTuner takes an Exception for a failed trial."""


def searched(oracle: str, output: Path) -> list[tuple]:
    """What a search of three trials has found in `output`, after going on with what is there."""
    recipe = load("smoke").replace(epochs=3)
    tuner = trials.TrainingTuner(recipe, trials.make_oracle(oracle, recipe, 3, 3, seed=0), output)
    tuner.search()
    return [(each.trial_id, each.status, each.score, each.hyperparameters.values)
            for each in tuner.oracle.trials.values()]  # fmt: skip


@pytest.mark.parametrize("oracle", ["random", "hyperband"])
def test_a_search_killed_at_any_of_its_writes_ends_as_if_it_had_not_been(tmp_path, children, monkeypatch, oracle):
    """Between a trial's file and the oracle's lies the moment at which KerasTuner loses or doubles a trial."""
    expected = searched(oracle, tmp_path / "whole")
    write_text, left = oracle_state.write_text, [0]

    def killed(path, text):
        left[0] -= 1
        if left[0] == 0:
            raise KilledError
        write_text(path, text)

    for write in range(1, 30):
        output, left[0] = tmp_path / f"killed{write}", write
        monkeypatch.setattr(oracle_state, "write_text", killed)
        with contextlib.suppress(KilledError):
            searched(oracle, output)
        monkeypatch.setattr(oracle_state, "write_text", write_text)
        assert searched(oracle, output) == expected, f"write {write}"
        if left[0] > 0:  # it has no more writes to be killed at
            break
    assert 8 < write < 29


@pytest.mark.parametrize(("first", "then"), [("", "chief"), ("chief", "")])
def test_a_search_goes_on_on_several_machines_and_alone_again(tmp_path, monkeypatch, first, then):
    recipe = load("smoke").replace(epochs=3)

    def started(tuner_id: str) -> trials.TrainingTuner:
        for name, value in zip(VARIABLES, (tuner_id, "127.0.0.1", "1"), strict=True):
            monkeypatch.setenv(name, value) if tuner_id else monkeypatch.delenv(name, raising=False)
        return trials.TrainingTuner(recipe, make_oracle("random", recipe, 6, 3, seed=0), tmp_path / "search")

    tuner = started(first)
    for _ in range(2):
        trial = tuner.oracle.create_trial("worker-0")
        tuner.oracle.update_trial(trial.trial_id, {"val_accuracy": 0.5})
        trial.status = "COMPLETED"
        tuner.on_trial_end(trial)
    interrupted = tuner.oracle.create_trial("worker-0")
    goes_on = started(then).oracle
    assert [trial.status for trial in goes_on.trials.values()] == ["COMPLETED", "COMPLETED", "RUNNING"]
    assert goes_on.create_trial("worker-0").trial_id == interrupted.trial_id


def test_a_trial_waits_for_the_process_that_a_killed_search_left(tmp_path, children, monkeypatch):
    with holder(tmp_path / "search" / "trial_0" / "run") as process:

        def begin(path, text):  # the trial, which meets the lock next
            threading.Timer(0.3, process.kill).start()
            write_text(path, text)

        monkeypatch.setattr(trials, "write_text", begin)
        stderr = run("tuner.search", *SMALL, "--trials", 1, "--output", tmp_path / "search").stderr
    assert f"waiting for process {process.pid} " in stderr
    assert len(rows_of(tmp_path / "search")) == 1


def test_a_worker_that_waits_for_such_a_process_is_heard_from(tmp_path, children, monkeypatch):
    for name, value in zip(VARIABLES, ("worker-0", "127.0.0.1", "1"), strict=True):
        monkeypatch.setenv(name, value)
    recipe, heard, before = load("smoke"), [], []
    oracle = make_oracle("random", recipe, 1, 1, seed=0)
    tuner = trials.TrainingTuner(recipe, oracle, tmp_path / "search", timeout=0.3)
    trial = oracle.create_trial("worker-0")
    monkeypatch.setattr(tuner.oracle, "get_trial", heard.append)
    train = trials.train_in_child  # the stand-in
    monkeypatch.setattr(trials, "train_in_child", lambda *arguments: before.extend(heard) or train(*arguments))
    with holder(tmp_path / "search" / "trial_0" / "run", seconds=0.5):
        tuner.run_trial(trial)
    assert before


@pytest.mark.parametrize(
    ("other", "different"),
    [
        (("--set", "batch_size=50"), "recipe"),
        (("--max-epochs", 2), "max_epochs"),
        (("--oracle", "hyperband", "--seed", 1), "oracle, seed"),
    ],
)
def test_a_search_is_not_continued_as_another_one(tmp_path, children, other, different):
    run("tuner.search", *SMALL, "--trials", 1, "--output", tmp_path / "search")
    stderr = run("tuner.search", *SMALL, *other, "--trials", 2, "--output", tmp_path / "search", expect=2).stderr
    assert f"holds another search; different: {different}." in stderr


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
