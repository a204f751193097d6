"""Several devices and several processes train what one device trains; workers may die and come back."""

import json
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

from tests.integration.commands import SMOKE, free_port, run, start
from tests.integration.sharing import RECIPE, make_test_splits
from tfcifar.run_dir import RunDir, read_history, read_json
from tfcifar.training.batches import train_batches
from tfcifar.training.divergence import may_go_on
from tfcifar.training.trainer import train

# Of weights around 1, after fifteen steps. Images are small here: a float32 sum over 1,500 images of 32x32 px is itself
# off by 1e-3 on a CPU, and less in parts.
ROUNDING = 1e-4


def assert_equal_runs(found, expected, epochs: int) -> None:
    name = f"checkpoints/state-{epochs:04d}.npz"
    with np.load(found / name) as left, np.load(expected / name) as right:
        assert left.files == right.files
        for variable in left.files[1:]:  # the first is the header, which holds times
            np.testing.assert_allclose(left[variable], right[variable], rtol=ROUNDING, atol=ROUNDING, err_msg=variable)
    for row, other in zip(read_history(found / "history.csv"), read_history(expected / "history.csv"), strict=True):
        assert row.pop("phase") == other.pop("phase")
        assert row == pytest.approx(other, abs=ROUNDING)


def test_two_devices_train_what_one_trains(tmp_path):
    """Loss, accuracy, weights, BatchNorm statistics, averages and the optimizer's variables, to rounding."""
    process = start("tests.integration.sharing", tmp_path / "two", "mirrored")
    train(RECIPE, make_test_splits(), RunDir(tmp_path / "one"))
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert_equal_runs(tmp_path / "two", tmp_path / "one", epochs=2)
    devices = read_json(tmp_path / "two" / "environment.json")["devices"]
    assert devices == {"strategy": "MirroredStrategy", "devices": 2, "workers": 1}


def start_workers(count: int, *arguments) -> list:
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(count)]
    config = {"cluster": {"worker": addresses}}
    return [
        start(*arguments, TF_CONFIG=json.dumps(config | {"task": {"type": "worker", "index": index}}))
        for index in range(count)
    ]


@pytest.mark.parametrize("strategy", ["mirrored", "multi_worker"])
def test_a_loss_that_is_not_finite_on_one_device_stops_all_at_that_step(tmp_path, strategy):
    """All processes say the same; the chief alone puts it on record, and the run goes on from there."""
    arguments = ("tests.integration.sharing", tmp_path / "run", strategy, "poison")
    processes = [start(*arguments)] if strategy == "mirrored" else start_workers(2, *arguments)
    errors = []
    for process in processes:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 2, stderr
        errors += [line for line in stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == len(processes)
    assert len(set(errors)) == 1
    assert "diverged in epoch 1, step 2: loss nan" in errors[0]
    assert errors[0].endswith(f"On record: {tmp_path / 'run' / 'divergence.json'}.")
    record = read_json(tmp_path / "run" / "divergence.json")
    images, _ = list(train_batches(RECIPE, make_test_splits(), 0, 1))[2]
    assert (record["epoch"], record["step"]) == (1, 2)
    assert record["batch"]["images"]["mean"] == pytest.approx(images.numpy().mean())
    lower = RECIPE.replace(optimizer=replace(RECIPE.optimizer, learning_rate=0.01))
    assert may_go_on(RunDir(tmp_path / "run"), lower)


def test_workers_train_what_one_process_trains_though_one_of_them_dies(tmp_path):
    """Two of them begin, three go on."""
    small = ("model.widths=4", "model.dropout=0", "mixed_precision=float32", "batch_size=1500", "epochs=5",
             "data.image_size=8", "optimizer.learning_rate=0.02")  # fmt: skip
    options = (*SMOKE, "--no-evaluate", *(word for field in small for word in ("--set", field)))
    run(*options, "--run-dir", tmp_path / "one")

    together = (*options, "--run-dir", tmp_path / "together", "--strategy", "multi_worker")
    chief, worker = start_workers(2, *together)
    while not (tmp_path / "together" / "checkpoints" / "state-0001.npz").exists():
        for process in (worker, chief):  # if both have ended, the worker's reason is the first
            assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    error = next(line for line in chief.stderr if line.startswith("error:"))
    assert "worker 0 has lost another one" in error
    assert "Start all workers again with --resume" in error
    chief.kill()  # it would wait for the other for a minute
    chief.communicate()
    assert not (tmp_path / "together" / "timing.json").exists()

    for process in start_workers(3, *together, "--resume"):
        stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
        assert "trained 5 epochs" in stdout
    assert_equal_runs(tmp_path / "together", tmp_path / "one", epochs=5)
