"""A search that is interrupted, killed, or out of disk goes on as if it had not been."""

import contextlib
import errno
import threading
from pathlib import Path

import pytest

from pipelines.errors import cannot_write
from tests.integration.commands import error_lines, run
from tests.tfcifar.test_run_lock import holder
from tests.tuner.stand_in_trials import SMALL, rows_of
from tfcifar.cli import CANNOT_WRITE
from tfcifar.recipes import load
from tfcifar.run_dir import write_text
from tuner import oracle_state, trials
from tuner.chief import VARIABLES
from tuner.trials import make_oracle


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
