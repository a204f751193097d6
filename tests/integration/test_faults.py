"""Faults of disks, files, clocks and neighbours, met by the real commands: the same result, or one clear line."""

import json
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.integration.commands import error_lines, run
from tests.tfcifar.test_run_lock import holder
from tfcifar.run_dir import RunDir, read_history


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A training command that takes a second: three epochs on 90 images of 8 px."""
    data = tmp_path_factory.mktemp("data")
    random = np.random.RandomState(0)
    for label, colour in enumerate(("red", "green", "blue")):
        (data / "train" / colour).mkdir(parents=True)
        for index in range(30):
            pixels = random.randint(0, 120, (8, 8, 3)).astype(np.uint8)
            pixels[..., label] += 100
            Image.fromarray(pixels).save(data / "train" / colour / f"{index}.png")
    return ("tfcifar.train", "--recipe", "smoke", "--preset", "cpu", "--dataset", data, "--no-evaluate",
            "--set", "epochs=3", "--set", "model.widths=4", "--set", "batch_size=20", "--set",
            "mixed_precision=float32")  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(tiny, tmp_path_factory):
    run_dir = RunDir(tmp_path_factory.mktemp("undisturbed") / "run")
    run(*tiny, "--run-dir", run_dir.path)
    return run_dir


def assert_same_result(found: RunDir, expected: RunDir) -> None:
    """The history, the final weights, and no trace of the fault but what was said."""
    rows, same = read_history(found.history), read_history(expected.history)
    assert [row["epoch"] for row in rows] == [row["epoch"] for row in same]
    for name in ("loss", "val_loss", "learning_rate"):
        assert [row[name] for row in rows] == pytest.approx([row[name] for row in same], rel=1e-4)
    with np.load(found.checkpoints / "state-0003.npz") as a, np.load(expected.checkpoints / "state-0003.npz") as b:
        assert a.files == b.files
        for name in a.files[1:]:  # the first is the header, which holds times
            np.testing.assert_allclose(a[name], b[name], rtol=1e-3, atol=1e-4)
    assert not list(found.path.rglob(".*"))
    assert found.timing.is_file()


@pytest.mark.parametrize("file", ["checkpoints/.state-0002.{}.tmp.npz", ".model.{}.tmp.keras"])
def test_a_full_disk_ends_training_in_one_line_and_it_resumes(tiny, undisturbed, tmp_path, file):
    """/dev/full answers every write as a full disk does."""
    run_dir = RunDir(tmp_path / "run")
    half = run_dir.path / file.format(f"{platform.node()}-{os.getpid()}")
    half.parent.mkdir(parents=True)
    half.symlink_to("/dev/full")
    completed = run(*tiny, "--run-dir", run_dir.path, expect=2)
    (line,) = error_lines(completed)
    assert "cannot be written (No space left on device)" in line
    assert "make room, and give the command again" in line
    assert not half.is_symlink()
    run(*tiny, "--run-dir", run_dir.path, "--resume")
    assert_same_result(run_dir, undisturbed)


@pytest.fixture
def small_disk(undisturbed, tmp_path):
    """A file system for half of what a run leaves, and how to make it larger."""
    disk = tmp_path / "disk"
    disk.mkdir()
    size = sum(path.stat().st_size for path in undisturbed.path.rglob("*")) // 2
    mount = ["mount", "-t", "tmpfs", "-o"]
    if shutil.which("mount") is None or subprocess.run([*mount, f"size={size}", "none", disk], check=False).returncode:
        pytest.skip("this user may not mount a file system")
    yield disk, lambda: subprocess.run([*mount, "remount,size=20m", "none", disk], check=True)
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_disk_that_is_really_full(tiny, undisturbed, small_disk):
    disk, enlarge = small_disk
    run_dir = RunDir(disk / "run")
    (line,) = error_lines(run(*tiny, "--run-dir", run_dir.path, expect=2))
    assert "No space left on device" in line
    enlarge()
    run(*tiny, "--run-dir", run_dir.path, "--resume")
    assert_same_result(run_dir, undisturbed)


@pytest.mark.skipif(not Path("/sys").is_dir(), reason="no /sys here, in which nobody, root included, makes folders")
def test_a_folder_that_may_not_be_written_to_is_one_line(tiny):
    (line,) = error_lines(run(*tiny, "--run-dir", "/sys/run", expect=2))
    assert "/sys/run: cannot be written" in line
    assert "change its permissions, or name another" in line


def test_a_second_process_on_the_run_directory_is_refused_and_changes_nothing(tiny, undisturbed):
    before = {path: path.stat().st_mtime_ns for path in undisturbed.path.rglob("*.*")}
    with holder(undisturbed.path) as process:
        for command in ((*tiny, "--run-dir", undisturbed.path, "--resume"), ("tfcifar.evaluate", undisturbed.path)):
            (line,) = error_lines(run(*command, expect=2))
            assert f"process {process.pid} on " in line
    (undisturbed.path / ".lock").unlink()
    assert {path: path.stat().st_mtime_ns for path in undisturbed.path.rglob("*.*")} == before


def test_a_damaged_newest_checkpoint_costs_an_epoch_and_nothing_else(tiny, undisturbed, tmp_path):
    run_dir = RunDir(tmp_path / "run")
    shutil.copytree(undisturbed.path, run_dir.path)
    run_dir.timing.unlink()
    newest = run_dir.checkpoints / "state-0003.npz"
    newest.write_bytes(newest.read_bytes()[:-1000])
    said = run(*tiny, "--run-dir", run_dir.path, "--resume").stderr
    assert "Continuing from the one before it, state-0002.npz." in said
    assert_same_result(run_dir, undisturbed)


@pytest.fixture(scope="module")
def evaluated(undisturbed, tmp_path_factory):
    run_dir = RunDir(tmp_path_factory.mktemp("evaluated") / "run")
    shutil.copytree(undisturbed.path, run_dir.path)
    run("tfcifar.evaluate", run_dir.path)
    return run_dir


def test_damaged_predictions_are_made_again_on_the_record_and_said(evaluated, tmp_path):
    run_dir = RunDir(tmp_path / "run")
    shutil.copytree(evaluated.path, run_dir.path)
    data = bytearray(run_dir.predictions.read_bytes())
    data[len(data) // 2] ^= 1
    run_dir.predictions.write_bytes(data)
    (line,) = error_lines(run("tfcifar.report", run_dir.path, expect=2))  # which makes no predictions itself
    assert "predictions.npz: incomplete or altered" in line
    said = run("tfcifar.evaluate", run_dir.path).stderr
    assert "predictions.npz: incomplete or altered, and is made again." in said
    assert json.loads(run_dir.metrics.read_text()) == json.loads(evaluated.metrics.read_text())
    assert len(run_dir.test_openings.read_text().splitlines()) == 2


def test_a_damaged_model_is_one_line(evaluated, tmp_path):
    run_dir = RunDir(tmp_path / "run")
    shutil.copytree(evaluated.path, run_dir.path)
    run_dir.model.write_bytes(run_dir.model.read_bytes()[:-200])
    (line,) = error_lines(run("tfcifar.evaluate", run_dir.path, expect=2))
    assert "model.keras: cannot be loaded" in line


@pytest.mark.parametrize("file", ["recipe.json", "environment.json", "timing.json"])
def test_a_damaged_record_is_one_line(evaluated, tmp_path, file):
    shutil.copytree(evaluated.path, tmp_path / "run")
    path = tmp_path / "run" / file
    path.write_text(path.read_text()[:-20])
    (line,) = error_lines(run("tfcifar.evaluate", tmp_path / "run", expect=2))
    assert file in line


def test_a_clock_that_jumps_changes_no_duration(tiny, undisturbed, tmp_path, monkeypatch):
    """As when a machine's clock is set, by hours to and fro, while it trains."""
    real, jumps = time.time, iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * (-1) ** next(jumps) * 5)
    run_dir, started = RunDir(tmp_path / "run"), time.perf_counter()
    run(*tiny, "--run-dir", run_dir.path)
    passed = time.perf_counter() - started
    assert 0 < json.loads(run_dir.timing.read_text())["seconds"] < passed
    assert_same_result(run_dir, undisturbed)
