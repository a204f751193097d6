"""Equal runs are equal; a killed run continues as if nothing had happened."""

import json
import signal
import time

import numpy as np

from tests.integration.commands import SMOKE, run, start

FEW = ("--set", "data.train_fraction=0.2", "--no-evaluate")
EIGHT_EPOCHS = (*SMOKE, *FEW, "--set", "epochs=8", "--deterministic")


def final_state(run_dir) -> dict:
    with np.load(run_dir / "checkpoints" / "state-0008.npz") as state:
        return {name: state[name] for name in state.files if name != "header"}


def test_a_run_killed_in_mid_epoch_resumes_to_identical_weights_and_history(tmp_path):
    run(*EIGHT_EPOCHS, "--run-dir", tmp_path / "undisturbed")

    killed = start(*EIGHT_EPOCHS, "--run-dir", tmp_path / "killed")
    second = tmp_path / "killed" / "checkpoints" / "state-0002.npz"
    while not second.exists():
        assert killed.poll() is None, killed.stderr.read()
        time.sleep(0.05)
    time.sleep(0.1)  # into the third epoch
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed" / "timing.json").exists(), "the run ended before it was killed"
    run(*EIGHT_EPOCHS, "--run-dir", tmp_path / "killed", "--resume")

    histories = [(tmp_path / name / "history.csv").read_bytes() for name in ("undisturbed", "killed")]
    assert histories[0] == histories[1]
    expected, resumed = final_state(tmp_path / "undisturbed"), final_state(tmp_path / "killed")
    assert expected.keys() == resumed.keys()
    assert all(np.array_equal(expected[name], resumed[name]) for name in expected)


def test_early_stopping_ends_a_run_and_resuming_it_trains_no_further(tmp_path):
    options = ("--set", "epochs=40", "--set", "early_stopping_patience=1", "--set", "optimizer.learning_rate=1e-9",
               *FEW, "--run-dir", tmp_path / "run")  # fmt: skip
    assert "early stop" in run(*SMOKE, *options).stdout
    before = json.loads((tmp_path / "run" / "timing.json").read_text())
    assert before["epochs"] < 40
    run(*SMOKE, *options, "--resume")
    assert json.loads((tmp_path / "run" / "timing.json").read_text())["epochs"] == before["epochs"]
