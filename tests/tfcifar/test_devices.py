"""Which devices a run takes, what is refused before anything computes, and what workers must agree on."""

import json

import numpy as np
import pytest

from pipelines.errors import InputError
from pipelines.sharding import Shares
from tests.integration.commands import run
from tfcifar.run_dir import RunDir
from tfcifar.training import devices
from tfcifar.training.devices import ONE, Devices, open_devices


def config(task: dict, **cluster) -> dict:
    return {"TF_CONFIG": json.dumps({"cluster": cluster or {"worker": ["a:1", "b:1"]}, "task": task})}


def test_one_device_is_what_a_run_takes_unless_asked():
    assert open_devices("none", config({"type": "worker", "index": 0})) is ONE
    assert open_devices("auto", {}) is ONE
    assert ONE.chief
    assert ONE.describe() == {}


@pytest.mark.parametrize(
    ("environment", "gpus", "expected"),
    [
        ({}, 0, "none"),
        ({}, 1, "none"),
        ({}, 8, "mirrored"),
        ({"TPU_NAME": "local"}, 0, "tpu"),
        (config({"type": "worker", "index": 0}), 8, "multi_worker"),
        (config({"type": "worker", "index": 0}, worker=["a:1"]), 8, "mirrored"),  # a cluster of one machine
    ],
)
def test_auto_takes_all_that_is_there(environment, gpus, expected):
    assert devices._choose(environment, gpus) == expected


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "expected the environment variable TF_CONFIG, such as"),
        ({"TF_CONFIG": "{"}, "TF_CONFIG: expected JSON such as"),
        (config({"type": "worker", "index": 2}), 'received the task {"type": "worker", "index": 2}'),
        (config({"type": "evaluator", "index": 0}), "expected a task of the cluster"),
        (config({"type": "worker", "index": 0}, worker=["a:1"], ps=["b:1"]), "unknown tasks ps"),
    ],
)
def test_a_cluster_that_is_none_is_refused(environment, message):
    with pytest.raises(InputError) as error:
        open_devices("multi_worker", environment)
    assert message in str(error.value)


def test_no_tpu_is_one_clear_line(monkeypatch):
    import tensorflow as tf

    def connect(address):
        raise ValueError("Please provide a TPU Name to connect to.\nmore")

    monkeypatch.setattr(tf.distribute.cluster_resolver.TPUClusterResolver, "connect", connect)
    with pytest.raises(InputError, match=r"--strategy tpu: expected a TPU .*, found none \(Please provide a TPU Name"):
        open_devices("tpu", {})


def test_float16_is_refused_where_devices_share_a_batch():
    ONE.check("mixed_float16")
    with pytest.raises(InputError, match="mixed_precision: expected float32 or mixed_bfloat16 with --strategy"):
        Devices(strategy=object()).check("mixed_float16")


def test_workers_beside_the_chief_leave_nothing_behind_and_begin_with_its_checkpoints(tmp_path):
    run_dir = RunDir(tmp_path / "run")
    run_dir.checkpoints.mkdir(parents=True)
    (run_dir.checkpoints / "state-0001.npz").write_bytes(b"state")
    assert Devices(worker=0, workers=2).own_run_dir(run_dir, resume=True) is run_dir
    second = Devices(worker=1, workers=2)
    own = second.own_run_dir(run_dir, resume=True)
    assert not own.path.is_relative_to(tmp_path)
    assert (own.checkpoints / "state-0001.npz").read_bytes() == b"state"
    assert not second.own_run_dir(run_dir, resume=False).checkpoints.exists()


def test_workers_that_differ_are_told_in_what(monkeypatch):
    worker = Devices(shares=Shares(1, 2, 2), worker=1, workers=2)
    monkeypatch.setattr(Devices, "_gathered", lambda self, numbers: np.array([[numbers[0], numbers[1] + 1], numbers]))
    with pytest.raises(InputError, match="same number of epochs done on all workers, received 3 on worker 1"):
        worker.agree({"recipe": "{}", "number of epochs done": 3})
    monkeypatch.setattr(Devices, "_gathered", lambda self, numbers: np.array([numbers, numbers]))
    worker.agree({"recipe": "{}", "number of epochs done": 3})


def test_a_worker_that_is_lost_is_one_clear_line_and_anything_else_is_not_hidden():
    import tensorflow as tf

    place = (
        "Graph execution error:\n\nDetected at node x defined at (most recent call last):\n<stack traces unavailable>\n"
    )
    lost = tf.errors.UnavailableError(None, None, f"{place}\nConnection reset by peer\n\t [[{{{{node x}}}}]] [Op:f_1]")
    message = r"worker 1 has lost another one \(Connection reset by peer\). Start all"
    with pytest.raises(InputError, match=message), Devices(worker=1, workers=2).losses_of_workers():
        raise lost
    with pytest.raises(tf.errors.UnavailableError), ONE.losses_of_workers():
        raise lost


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        ("tuner.search", ("--recipe", "smoke"), "a trial trains on one machine"),
        ("export.prune", (".", "--method", "channels", "--epochs", 1, "--output", "x"), "pruning is for one machine"),
    ],
)
def test_several_machines_are_refused_where_one_works(module, arguments, message):
    assert message in run(module, *arguments, "--strategy", "multi_worker", expect=2).stderr


def test_masks_of_zeros_are_trained_on_one_device():
    options = ("--method", "magnitude", "--epochs", 1, "--output", "x", "--strategy", "mirrored")
    assert "none with --method magnitude" in run("export.prune", ".", *options, expect=2).stderr
