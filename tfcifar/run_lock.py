"""One writing process to a folder: a second one is refused, what a killed one has left behind is removed."""

import errno
import fcntl
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.errors import InputError, cannot_write
from pipelines.processes import is_running

LOCK = ".lock"
LEFTOVER = re.compile(r"\..+\.(.+-)?\d+\.tmp(\..+)?")  # see `run_dir.write_whole`


@contextmanager
def locked(folder: Path, wait: bool = False) -> Iterator[None]:
    """While the block runs, no other process can lock `folder`, which is made if it is not there.

    The system gives the lock free when the process ends, however it ends: that of a dead process holds nobody up, and
    what it was writing when it was killed is removed. On a file system that knows no locks this is said, and no more.

    Args:
        wait: for a process that is at work in there, and say so, in place of an error.

    Raises:
        InputError: another process is at work in there; or `folder` cannot be written to.
    """
    made = not folder.is_dir()
    try:
        file = _lock_file(folder, wait)
    except OSError as error:
        raise cannot_write(error, folder) or error from error
    try:
        _remove_leftovers(folder)
        yield
    finally:
        with suppress(OSError):  # a lock file that stays holds nobody up
            (folder / LOCK).unlink()
            if made:
                folder.rmdir()  # where the command was refused there is nothing in it
        os.close(file)


def _lock_file(folder: Path, wait: bool) -> int:
    """The descriptor of the folder's lock file, locked."""
    path = folder / LOCK
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # the one before has removed its empty folder, just now
            continue
        try:
            _lock(file, folder, wait)
            os.ftruncate(file, 0)
            os.write(file, f"process {os.getpid()} on {platform.node()}".encode())
        except BaseException:
            os.close(file)
            raise
        # The one before may have removed the file between the two steps: then this lock is on a file without a name.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        os.close(file)


def _lock(file: int, folder: Path, wait: bool) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(file, 200, 0).decode(errors="replace") or "another process"
        if not wait:
            raise InputError(
                f"{folder}: {holder} is at work in there, and two would spoil each other's files; "
                "wait for its end, or name another folder."
            ) from None
        print(f"NOTE: {folder}: waiting for {holder}, which is still at work in there.", file=sys.stderr, flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP):
            raise
        print(
            f"NOTE: {folder}: cannot be locked ({error.strerror}); see to it that no other process works in there.",
            file=sys.stderr,
            flush=True,
        )


def _remove_leftovers(folder: Path) -> None:
    """Delete what `write_whole` was at when its process was killed; folders with a lock of their own see to theirs."""
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not (Path(parent) / name / LOCK).exists()]
        for name in [each for each in (*files, *folders) if LEFTOVER.fullmatch(each) and not _under_way(each)]:
            path = Path(parent) / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _under_way(name: str) -> bool:
    """Whether a process of this host is still at it, such as an export beside a training that goes on."""
    process = re.search(rf"\.{re.escape(platform.node())}-(\d+)\.tmp", name)
    return process is not None and is_running(int(process[1]))
