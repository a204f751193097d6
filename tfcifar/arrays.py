"""Arrays in .npz and .npy files: written whole, and read only if every byte is what was written."""

import errno
import hashlib
import os
import sys
import zipfile
from pathlib import Path

import numpy as np

from pipelines.errors import InputError, first_line
from tfcifar.run_dir import DamagedFileError, write_whole

DIGITS = 64  # of a SHA-256 in hexadecimal
MARK = b"sha256:"  # before the digits, which end a file; in a zip this is its comment


def write_arrays(path: Path, arrays: dict[str, np.ndarray], durable: bool = False) -> None:
    """Write `arrays` by name, an .npz file for anybody who reads such files; see `write_whole` for `durable`.

    A zip has a CRC-32 of each member, but nothing that would tell whether all members are still listed. So the file
    ends in the SHA-256 of all that comes before these digits.
    """

    def write(temporary: Path) -> None:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]  # a name could be that of another argument
        with zipfile.ZipFile(temporary, "a") as file:
            file.comment = MARK + b"0" * DIGITS
        _put_digest(temporary)

    write_whole(path, write, durable)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """What `write_arrays` wrote. Nothing is unpickled. Of files from before they had it, members' CRC-32 is checked.

    Raises:
        DamagedFileError: it is something else, by the checksums or else.
        InputError: it cannot be read now, which says nothing about what is in it.
    """
    try:
        whole = is_whole(path)
        if whole is False:
            raise zipfile.BadZipFile("its SHA-256 is not the one that it ends in")
        with zipfile.ZipFile(path) as file:
            # Before NumPy believes a shape: a turned bit may ask for all memory there is.
            damaged = None if whole else file.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged} does not fit")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except Exception as error:  # zipfile and NumPy raise nearly anything for a damaged file
        number = error.errno if isinstance(error, OSError) else None
        if isinstance(error, MemoryError) or number not in (None, errno.EINVAL):  # EINVAL: a place before its start
            raise InputError(f"{path}: cannot be read now ({os.strerror(number or errno.ENOMEM)}).") from error
        reason = first_line(error)
        raise DamagedFileError(
            f"{path}: incomplete or altered ({reason}). Delete it, and give the command that made it again."
        ) from None


def read_cache(path: Path) -> dict[str, np.ndarray] | None:
    """What `write_arrays` wrote and can be made again; None: it is not there, or damaged, which is said."""
    if not path.is_file():
        return None
    try:
        return read_arrays(path)
    except DamagedFileError:
        print(f"NOTE: {path}: incomplete or altered, and is made again.", file=sys.stderr, flush=True)
        return None


def write_array(path: Path, array: np.ndarray) -> None:
    """Write one array as an .npy file, for `np.load` with `mmap_mode`; `is_whole` tells whether it is what it was."""

    def write(temporary: Path) -> None:
        np.save(temporary, array)
        with temporary.open("ab") as file:
            file.write(MARK + b"0" * DIGITS)
        _put_digest(temporary)

    write_whole(path, write)


def is_whole(path: Path) -> bool | None:
    """Whether a file is what was written here; None: it is of a time before there were checksums."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(MARK) - DIGITS))
        end = file.read()
    return end == MARK + _digest(path) if MARK in end else None


def _put_digest(path: Path) -> None:
    digest = _digest(path)
    with path.open("r+b") as file:
        file.seek(-DIGITS, os.SEEK_END)
        file.write(digest)


def _digest(path: Path) -> bytes:
    """The SHA-256 of all but the last digits, in hexadecimal digits."""
    left, digest = path.stat().st_size - DIGITS, hashlib.sha256()
    with path.open("rb") as file:
        while left > 0:
            chunk = file.read(min(left, 1 << 20))
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest().encode()
