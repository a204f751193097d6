"""Two processes on one folder: the second is refused, a dead one's lock and leftovers are taken over."""

import errno
import fcntl
import os
import platform
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.errors import InputError
from tfcifar.run_dir import write_text, write_whole
from tfcifar.run_lock import LOCK, locked

HOLD = """
import sys, time
from pathlib import Path
from tfcifar.run_lock import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def holder(folder: Path, seconds: float = 60):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(seconds)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    try:
        assert process.stdout.readline() == b"locked\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_process_is_told_who_is_at_work(tmp_path):
    with (
        holder(tmp_path) as process,
        pytest.raises(InputError, match=rf"process {process.pid} on .* is at work in there"),
        locked(tmp_path),
    ):
        pass


def test_the_lock_of_a_killed_process_is_taken_over_and_what_it_was_writing_goes(tmp_path):
    with holder(tmp_path) as process:
        half = tmp_path / "checkpoints" / f".state-0002.{platform.node()}-{process.pid}.tmp.npz"
        half.parent.mkdir()
        half.write_bytes(b"half")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (tmp_path / LOCK).exists()
    write_text(tmp_path / "checkpoints" / "note.tmp.txt", "of the user")
    with locked(tmp_path):
        assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["note.tmp.txt"]
    assert not (tmp_path / LOCK).exists()


def test_one_may_wait_for_the_other(tmp_path, capfd):
    with holder(tmp_path, seconds=0.3) as process:
        with locked(tmp_path, wait=True):
            assert process.poll() is not None or not (tmp_path / LOCK).read_text().startswith(f"process {process.pid} ")
        assert f"waiting for process {process.pid} on" in capfd.readouterr().err


def test_what_a_neighbour_is_writing_stays(tmp_path):
    """A search or an ablation holds its own folder; the runs in it have locks of their own."""
    with locked(tmp_path / "trial"):
        half = tmp_path / "trial" / ".model.1.tmp.keras"
        half.touch()
        with locked(tmp_path):
            assert half.exists()


def test_what_a_living_process_without_a_lock_is_writing_stays(tmp_path):
    """As robustness, uncertainty and export.saved_model do, beside a training that goes on."""

    def write(temporary):
        temporary.write_text("logits")
        with locked(tmp_path):
            pass

    write_whole(tmp_path / "uncertainty" / "logits.npz", write)
    assert (tmp_path / "uncertainty" / "logits.npz").read_text() == "logits"


def test_a_refused_command_leaves_no_folder_behind(tmp_path):
    with pytest.raises(InputError), locked(tmp_path / "run"):
        raise InputError("no such model")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match=r"cannot be written \(Not a directory\). Expected a folder"),
        locked(tmp_path / "file" / "run"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder_is_one_clear_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match=r"cannot be written \(Permission denied\)"), locked(tmp_path / "run"):
        pass


def test_a_file_system_without_locks_is_said_and_used(tmp_path, monkeypatch, capsys):
    def refuse(file, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path):
        assert "cannot be locked (No locks available)" in capsys.readouterr().err


def test_a_full_disk_is_one_clear_error(tmp_path, monkeypatch):
    (tmp_path / LOCK).symlink_to("/dev/full")
    monkeypatch.setattr(os, "ftruncate", lambda file, size: None)  # which devices do not know
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"), locked(tmp_path):
        pass
