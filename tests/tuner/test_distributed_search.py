"""A chief and two workers search together; one of them is killed at its trial, and nothing is lost."""

import csv
import os
import signal
import time

import pytest

from pipelines.errors import InputError
from tests.integration.commands import free_port, start
from tests.tuner.stand_in_trials import SMALL
from tuner.chief import VARIABLES, role


def starts_of(output) -> dict[str, int]:
    return {log.parent.name: log.read_text().count("started") for log in output.glob("trial_*/train.log")}


def test_a_worker_that_is_killed_loses_no_trial(tmp_path):
    output, port = tmp_path / "search", str(free_port())

    def join(name: str, seconds: float):
        options = ("--trials", 6, "--worker-timeout", 3, "--output", output)
        address = dict(zip(VARIABLES, (name, "127.0.0.1", port), strict=True))
        return start("tests.tuner.stand_in_trials", seconds, *SMALL, *options, **address)

    chief = join("chief", 0)
    slow = join("worker-0", 600)  # at its first trial for as long as it lives
    while not starts_of(output):
        assert slow.poll() is None, slow.stderr.read()
        time.sleep(0.05)
    (its_trial,) = starts_of(output)
    quick = join("worker-1", 0.2)
    while len(starts_of(output)) < 3:
        assert quick.poll() is None, quick.stderr.read()
        time.sleep(0.05)
    slow.send_signal(signal.SIGKILL)
    slow.communicate()

    for process in (quick, chief):
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
    assert f"no word from worker-0; trial {its_trial.removeprefix('trial_')} goes to another" in stdout
    rows = list(csv.DictReader((output / "trials.csv").open()))
    assert len(rows) == 6
    assert {row["status"] for row in rows} == {"COMPLETED"}
    starts = starts_of(output)
    assert starts.pop(its_trial) == 2
    assert set(starts.values()) == {1}
    assert (output / "winner.json").is_file()


def test_half_of_the_addresses_are_refused(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert role() == "alone"
    monkeypatch.setitem(os.environ, "KERASTUNER_TUNER_ID", "worker-0")
    with pytest.raises(InputError, match="not set: KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT"):
        role()
