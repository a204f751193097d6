"""Equal runs are equal; a killed run continues as if nothing had happened."""

import json
import signal
import time

import numpy as np

from tests.integration.commands import SMOKE, run, start

EPOCHS = ("--set", "epochs=4", "--no-evaluate")


def final_state(run_dir) -> dict:
    with np.load(run_dir / "checkpoints" / "state-0004.npz") as state:
        return {name: state[name] for name in state.files if name != "header"}


def test_a_run_killed_in_mid_epoch_resumes_to_identical_weights_and_history(tmp_path):
    run(*SMOKE, *EPOCHS, "--run-dir", tmp_path / "undisturbed")

    killed = start(*SMOKE, *EPOCHS, "--run-dir", tmp_path / "killed")
    second = tmp_path / "killed" / "checkpoints" / "state-0002.npz"
    while not second.exists():
        assert killed.poll() is None, killed.stderr.read()
        time.sleep(0.05)
    time.sleep(0.3)  # into the third epoch
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed" / "timing.json").exists(), "the run ended before it was killed"
    run(*SMOKE, *EPOCHS, "--run-dir", tmp_path / "killed", "--resume")

    histories = [(tmp_path / name / "history.csv").read_bytes() for name in ("undisturbed", "killed")]
    assert histories[0] == histories[1]
    expected, resumed = final_state(tmp_path / "undisturbed"), final_state(tmp_path / "killed")
    assert expected.keys() == resumed.keys()
    assert all(np.array_equal(expected[name], resumed[name]) for name in expected)


def test_two_phases_resume_at_their_border_and_inside_the_second(tmp_path):
    """A transfer model without pretrained weights, at a small size: head phase, then two unfreezing steps."""
    command = (
        "tfcifar.train", "--level", 1, "--preset", "cpu", "--weights", "none", "--dataset", "synthetic:3",
        "--no-evaluate", "--deterministic", "--set", "model.image_size=32", "--set", "epochs=3",
        "--set", "transfer.unfreeze=0.3,1.0", "--set", "batch_size=450", "--set", "data.validation_fraction=0.7",
    )  # fmt: skip
    run(*command, "--run-dir", tmp_path / "undisturbed")
    phases = [row.split(",")[1] for row in (tmp_path / "undisturbed" / "history.csv").read_text().splitlines()[1:]]
    assert phases == ["head", "fine-tune top 30%", "fine-tune", "fine-tune"]

    for stop_after in (1, 3):
        killed = start(*command, "--run-dir", tmp_path / f"killed{stop_after}")
        state = tmp_path / f"killed{stop_after}" / "checkpoints" / f"state-000{stop_after}.npz"
        while not state.exists():
            assert killed.poll() is None, killed.stderr.read()
            time.sleep(0.02)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        assert not (tmp_path / f"killed{stop_after}" / "timing.json").exists(), "the run ended before it was killed"
        run(*command, "--run-dir", tmp_path / f"killed{stop_after}", "--resume")
        resumed = final_state(tmp_path / f"killed{stop_after}")
        expected = final_state(tmp_path / "undisturbed")
        assert all(np.array_equal(expected[name], resumed[name]) for name in expected)


def test_early_stopping_ends_a_run_and_resuming_it_trains_no_further(tmp_path):
    options = ("--set", "epochs=40", "--set", "early_stopping_patience=1", "--set", "optimizer.learning_rate=1e-9",
               "--no-evaluate", "--run-dir", tmp_path / "run")  # fmt: skip
    assert "early stop" in run(*SMOKE, *options).stdout
    before = json.loads((tmp_path / "run" / "timing.json").read_text())
    assert before["epochs"] < 40
    run(*SMOKE, *options, "--resume")
    assert json.loads((tmp_path / "run" / "timing.json").read_text())["epochs"] == before["epochs"]
