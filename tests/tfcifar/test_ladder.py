"""How the ladder goes through its steps. Here they are tiny commands of Python's own."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.errors import InputError
from tests.integration.commands import PROJECT, run
from tfcifar.ladder.again import begin_at
from tfcifar.ladder.climb import climb, time_left
from tfcifar.ladder.journal import Journal
from tfcifar.ladder.steps import Step, plan


@pytest.fixture
def folder(tmp_path):
    for name in ("good", "last"):
        (tmp_path / f"{name}.json").write_text("[1, 2]")
    return tmp_path


def step(folder, file, name="check", level=4):
    """A command that succeeds where `file` is valid JSON."""
    return Step(level, name, ("json.tool", str(folder / file)), 1)


def test_a_failed_step_ends_the_ladder_and_the_next_start_goes_on_there(folder, capsys):
    steps = [step(folder, "good.json"), step(folder, "later.json"), step(folder, "last.json")]
    with pytest.raises(InputError, match=r"level 4, check ended with exit code 2") as failure:
        climb(steps, Journal(folder))
    assert "later.json" in str(failure.value)  # what the command itself has said
    (folder / "later.json").write_text("{}")
    capsys.readouterr()
    climb(steps, Journal(folder))
    told = capsys.readouterr().out.splitlines()
    assert "finished before" in told[0]
    assert told[1].startswith(" 2/3 level 4, check: python -m json.tool")
    assert [journal.is_finished(each) for journal in [Journal(folder)] for each in steps] == [True] * 3
    assert (folder / "logs" / "01_level_4_check.log").read_text().split()[-4:] == ["[", "1,", "2", "]"]
    log = (folder / "logs" / "02_level_4_check.log").read_text()
    assert log.count(f"$ {steps[1].command}\n") == 2  # of both attempts
    assert "No such file" in log


def test_off_a_terminal_a_line_now_and_then_tells_how_far_it_is(folder, monkeypatch, capsys):
    climb([step(folder, "good.json")], Journal(folder))
    assert len(capsys.readouterr().out.splitlines()) == 2
    monkeypatch.setattr("tfcifar.ladder.climb.TOLD_EVERY", 0)
    climb([step(folder, "last.json")], Journal(folder))
    _, *lines, end = capsys.readouterr().out.splitlines()
    assert end.endswith("about 0.0 s left")
    assert re.match(r" +[\d.]+ s, about [\d.]+ s left \| \$ python -m json\.tool", lines[0])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_no_step_outlives_a_killed_ladder(folder):
    forever = "import os, pathlib, time; pathlib.Path('step.pid').write_text(str(os.getpid())); time.sleep(60)"
    script = (
        "from pathlib import Path; from tfcifar.ladder.climb import climb; from tfcifar.ladder.journal import Journal;"
        "from tfcifar.ladder.steps import Step;"
        f"climb([Step(1, 'check', ('timeit', '-n', '1', '-r', '1', {forever!r}), 1)], Journal(Path('.')))"
    )
    ladder = subprocess.Popen([sys.executable, "-c", script], cwd=folder, env=os.environ | {"PYTHONPATH": str(PROJECT)})
    try:
        wait_for(lambda: (folder / "step.pid").is_file() and (folder / "step.pid").read_text())
    finally:
        ladder.kill()
        ladder.wait()
    stat = Path(f"/proc/{(folder / 'step.pid').read_text()}/stat")
    wait_for(lambda: not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z")


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_command_that_has_explained_itself_is_quoted_in_one_line(folder):
    refused = Step(1, "train", ("tfcifar.train", "--level", "1", "--preset", "cpu", "--seed", "none"), 1)
    with pytest.raises(InputError, match="invalid int value"):
        climb([refused], Journal(folder))


def test_what_is_left_is_estimated_by_what_the_finished_steps_took(folder):
    steps = [step(folder, "good.json"), step(folder, "last.json"), Step(5, "check", ("json.tool",), 10)]
    journal = Journal(folder)
    assert time_left(steps, journal) == "about 12 min left"
    journal.finish(steps[0], 30.0)  # half of what was expected
    assert time_left(steps, journal) == "about 5.5 min left"


def test_runs_that_were_there_before_say_nothing_of_what_is_left(folder):
    steps = [Step(level, "train", ("json.tool", str(level)), minutes) for level, minutes in ((1, 10), (2, 30), (3, 60))]
    made_run(folder, "level_2", "sha256:1", seconds=6.0)  # on a much faster machine
    journal = Journal(folder)
    assert time_left(steps, journal) == "about 70 min left"
    assert journal.is_reused(steps[1])
    journal.finish(steps[1], 5.0, reused=True)
    made_run(folder, "level_1", "sha256:1", seconds=1200.0)  # twice the time that was expected
    journal.finish(steps[0], 7.0)  # its last attempt
    assert time_left(steps, Journal(folder)) == "about 120 min left"
    assert Journal(folder).seconds == {steps[0].command: 1200.0, steps[1].command: 6.0}


def test_a_step_that_takes_longer_than_expected_takes_nothing_from_those_after_it(folder):
    steps = [step(folder, "good.json"), Step(5, "check", ("json.tool",), 10)]
    assert time_left(steps, Journal(folder), steps[0], 30) == "about 10 min left"
    assert time_left(steps, Journal(folder), steps[0], 3600) == "about 10 min left"


def test_the_attempts_at_a_step_add_up(folder):
    steps = [step(folder, "good.json"), step(folder, "last.json")]
    for seconds in (20.0, 10.0):
        Journal(folder).interrupt(steps[0], seconds)
    assert time_left(steps, Journal(folder)) == "about 90.0 s left"
    Journal(folder).finish(steps[0], 15.0)
    assert Journal(folder).seconds == {steps[0].command: 45.0}
    assert Journal(folder).spent(steps[0]) == 0


def test_a_busy_machine_is_named_before_latency_is_measured(folder, monkeypatch, capsys):
    monkeypatch.setattr("os.getloadavg", lambda: (0.4, 9.0, 9.0))
    climb([step(folder, "good.json", "benchmark", 5)], Journal(folder))
    assert "NOTE" not in capsys.readouterr().out
    monkeypatch.setattr("os.getloadavg", lambda: (2.4, 0.0, 0.0))
    climb([step(folder, "last.json", "benchmark", 5)], Journal(folder))
    assert "NOTE: load average 2.4" in capsys.readouterr().out


def test_a_step_whose_output_is_gone_is_not_finished(folder):
    left = Step(4, "check", ("json.tool", str(folder / "good.json")), 1, folder / "left.txt")
    with pytest.raises(InputError, match=r"level 4, check has ended well, but left no .*left\.txt"):
        climb([left], Journal(folder))
    (folder / "left.txt").touch()
    climb([left], Journal(folder))
    assert Journal(folder).is_finished(left)
    (folder / "left.txt").unlink()
    assert not Journal(folder).is_finished(left)


def test_a_level_whose_run_is_gone_is_done_again_with_all_after_it(folder):
    steps = [Step(level, "train", ("json.tool", str(level)), 1) for level in (1, 2, 3)]
    for each in steps:
        made_run(folder, f"level_{each.level}", "sha256:1")
        Journal(folder).finish(each, 1.0)
    begin_at(None, steps, Journal(folder))
    assert [Journal(folder).is_finished(each) for each in steps] == [True, True, True]
    shutil.rmtree(folder / "level_2")
    begin_at(None, steps, Journal(folder))
    assert [Journal(folder).is_finished(each) for each in steps] == [True, False, False]


@pytest.mark.parametrize(("gone", "refused"), [("level_1", False), ("level_2", True), ("level_3", True)])
def test_a_student_whose_teacher_would_be_trained_anew_is_named_at_the_start(gone, refused, folder):
    steps = plan("cpu", folder, [])
    for level in (1, 2, 3, 5):
        made_run(folder, f"level_{level}", "sha256:1")
    (folder / "level_5" / "teachers").mkdir()
    (folder / "level_5" / "teachers" / "teachers.json").write_text("[]")
    begin_at(None, steps, Journal(folder))
    shutil.rmtree(folder / gone)
    if not refused:
        begin_at(None, steps, Journal(folder))
        return
    line = run("tfcifar.ladder.__main__", "--preset", "cpu", "--output", folder, expect=2).stderr
    assert line.startswith(f"error: ladder: {folder}/level_5 has learned from another {folder}/{gone} than")
    assert line.count("\n") == 1


def made_run(folder, name, images, seconds=60.0):
    path = folder / name
    path.mkdir()
    (path / "timing.json").write_text(json.dumps({"seconds": seconds}))
    data = {"class_names": ["a", "b"], "train": images, "validation": "v"}
    (path / "environment.json").write_text(json.dumps({"data": data}))
    (path / "test_openings.jsonl").write_text(json.dumps({"test": "t"}) + "\n")


def test_a_level_that_was_trained_on_other_images_is_refused(folder):
    steps = [step(folder, "good.json", "train", level) for level in (1, 2, 3)]
    for name, images in (("level_1", "sha256:1"), ("level_2", "sha256:1"), ("level_3", "sha256:2")):
        made_run(folder, name, images)
    for each in steps[:2]:
        Journal(folder).finish(each, 1.0)
    with pytest.raises(InputError, match=r"level_3 has other train images"):
        Journal(folder).finish(steps[2], 1.0)


def test_starting_at_a_level_wants_the_levels_before_it(tmp_path):
    stderr = run("tfcifar.ladder.__main__", "--preset", "demo", "--from", 4, "--output", tmp_path, expect=2).stderr
    assert stderr.count("\n") == 1
    assert "expected the levels before to be finished" in stderr
    assert "level 1 is not (train)" in stderr


def test_steps_done_again_are_those_of_the_level_and_after(folder):
    steps = [Step(level, "check", ("json.tool", str(level)), 1) for level in (1, 2, 3)]
    journal = Journal(folder)
    for each in steps:
        journal.finish(each, 1.0)
    journal.forget(steps[1:])
    assert [Journal(folder).is_finished(each) for each in steps] == [True, False, False]


@pytest.mark.parametrize("preset", ["demo", "cpu", "gpu"])
def test_every_level_uses_what_the_levels_before_it_made_on_the_same_data(preset, tmp_path):
    steps = plan(preset, tmp_path, ["--dataset", "mine"])
    commands = [each.command for each in steps]
    assert len(set(commands)) == len(commands)  # by which the journal knows them
    assert [each.level for each in steps] == sorted(each.level for each in steps)
    trained = [each for each in steps if each.name == "train"]
    assert [each.level for each in trained] == [1, 2, 3, 5]
    assert all("--dataset mine" in each.command and "--resume" in each.command for each in trained)
    assert f"--teacher {tmp_path}/level_2 {tmp_path}/level_3" in trained[-1].command


def test_the_commands_of_cifar_10_stay_the_ones_that_runs_were_trained_with():
    """The record's runs of levels 2, 3 and 5, as their environment.json has it."""
    trained = {step.level: step.command for step in plan("cpu", Path("runs/ladder-cpu"), []) if step.name == "train"}
    start, end = "python -m tfcifar.train --level {0} --preset cpu", "--run-dir runs/ladder-cpu/level_{0} --resume"
    options = {
        1: "",
        2: "",
        3: "--set data.train_on_validation=false --set epochs=60 --set small_images.epochs=20 ",
        5: "--teacher runs/ladder-cpu/level_2 runs/ladder-cpu/level_3 ",
    }
    assert trained == {level: f"{start} {more}{end}".format(level) for level, more in options.items()}
