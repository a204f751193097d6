"""A chief and two workers search together; one of them is killed at its trial, and nothing is lost."""

import csv
import errno
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import grpc
import pytest
from keras_tuner.src import protos
from keras_tuner.src.engine.trial import Trial

from pipelines.errors import InputError, cannot_write
from tests.integration.commands import free_port, start
from tests.tuner.stand_in_trials import SMALL
from tfcifar.recipes import load
from tfcifar.run_dir import write_text
from tuner import oracle_state
from tuner.chief import VARIABLES, Chief, role, serve
from tuner.setup import alone_in
from tuner.trials import make_oracle


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


@pytest.fixture
def chief(tmp_path):
    oracle = make_oracle("random", load("smoke"), 20, 1, seed=0)
    oracle._set_project_dir(tmp_path, "search")
    return Chief(oracle, timeout=60)


class Worker:
    """Calls the chief as KerasTuner's client does, without the network; from a thread of its own, as gRPC does."""

    def __init__(self, chief, name: str):
        self.chief, self.name = chief, name

    def call(self, method: str, **request):
        request = getattr(protos.get_service(), f"{method}Request")(**request)
        with ThreadPoolExecutor(1, thread_name_prefix=self.name) as pool:
            return pool.submit(getattr(self.chief, method), request, None).result(timeout=5)

    def begin(self) -> Trial:
        return Trial.from_proto(self.call("CreateTrial", tuner_id=self.name).trial)

    def end(self, trial: Trial, status: str = "COMPLETED") -> None:
        trial.status = status
        if status == "COMPLETED":
            self.call("UpdateTrial", trial_id=trial.trial_id, metrics={"val_accuracy": 0.5}, step=0)
        self.call("EndTrial", trial=trial.to_proto())


@pytest.mark.parametrize("path", ["oracle.json", "trial.json"])
@pytest.mark.parametrize("writing", ["CreateTrial", "EndTrial"])
def test_a_write_that_fails_ends_the_search_and_holds_up_no_worker(chief, tmp_path, monkeypatch, writing, path):
    first, second = Worker(chief, "worker-0"), Worker(chief, "worker-1")
    trials = {first: first.begin(), second: second.begin()}

    def write(file, text):
        if file.name == path:
            raise cannot_write(OSError(errno.ENOSPC, "full"), file)
        write_text(file, text)

    if writing == "CreateTrial":
        first.end(trials[first])
        monkeypatch.setattr(oracle_state, "write_text", write)
    else:
        monkeypatch.setattr(oracle_state, "write_text", write)
        first.end(trials[first])
    assert first.begin().status == "STOPPED"
    assert isinstance(chief.failure, InputError)
    monkeypatch.undo()  # there is room again, too late
    chief.take_back()
    assert not chief.ended()  # the other worker is at its trial
    second.end(trials[second])
    assert not chief.ended()  # and does not know yet
    assert second.begin().status == "STOPPED"
    assert chief.ended()

    again = make_oracle("random", load("smoke"), 20, 1, seed=0)
    again._set_project_dir(tmp_path, "search")
    again.reload()
    ids = {again.create_trial(name).trial_id for name in ("worker-0", "worker-1")}
    assert {"00", "01"} <= ids | set(again.end_order)  # nothing is lost


def test_failures_of_one_worker_leave_no_other_behind(chief):
    failing, training = Worker(chief, "worker-0"), Worker(chief, "worker-1")
    trial = training.begin()
    for _ in range(5):
        failing.end(failing.begin(), "FAILED")
    assert failing.begin().status == "STOPPED"
    chief.heard.clear()
    training.call("GetTrial", trial_id=trial.trial_id)
    assert "worker-1" in chief.heard
    assert not chief.ended()
    training.end(trial)
    assert training.begin().status == "STOPPED"
    assert chief.ended()
    assert "consecutive failures" in str(chief.failure)


def test_a_port_that_another_chief_serves_is_refused(chief, monkeypatch):
    other = grpc.server(ThreadPoolExecutor(1))
    port = other.add_insecure_port("127.0.0.1:0")
    other.start()
    for name, value in zip(VARIABLES, ("chief", "127.0.0.1", str(port)), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Chief, "ended", lambda self: True)
    with pytest.raises(InputError, match=f"cannot serve trials at 127.0.0.1:{port}"):
        serve(chief.oracle, timeout=60)
    other.stop(None)


@pytest.mark.parametrize("first", ["chief", None])
@pytest.mark.parametrize("second", ["chief", None, "worker-0"])
def test_a_folder_has_one_chief_or_lone_search_and_any_number_of_workers(tmp_path, monkeypatch, first, second):
    def joined(tuner_id: str | None):
        monkeypatch.delenv("KERASTUNER_TUNER_ID", raising=False)
        if tuner_id:
            monkeypatch.setenv("KERASTUNER_TUNER_ID", tuner_id)
        return alone_in(tmp_path)

    refused = nullcontext() if second == "worker-0" else pytest.raises(InputError, match="is at work in there")
    with joined(first), refused, joined(second):
        pass


def test_half_of_the_addresses_are_refused(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert role() == "alone"
    monkeypatch.setitem(os.environ, "KERASTUNER_TUNER_ID", "worker-0")
    with pytest.raises(InputError, match="not set: KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT"):
        role()
