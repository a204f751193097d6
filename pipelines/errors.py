"""The one exception for bad input: every entry point prints it as one clear line and exits with code 2."""

import difflib
import errno
from collections.abc import Iterable
from pathlib import Path

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_WRITING = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
)  # the last: a file where a folder is to be


class InputError(ValueError):
    """What the user gave cannot be used. The message names what, expected, received and the choices."""


class NotAtHandError(InputError):
    """A data set that is not on the disk, and cannot be downloaded."""


class CannotWriteError(InputError):
    """A full disk, or a folder that may not be written to: no fault of what was to be written."""


def unknown(what: str, received: str, choices: Iterable[str]) -> InputError:
    """An error for a name that is not among `choices`, with the nearest match.

    >>> str(unknown("model", "residul_cnn", ["small_cnn", "residual_cnn"]))
    'model: no such name: residul_cnn. Did you mean residual_cnn? Choices: residual_cnn, small_cnn.'
    """
    choices = sorted(choices)
    nearest = difflib.get_close_matches(received, choices, n=1)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    return InputError(f"{what}: no such name: {received}.{hint} Choices: {', '.join(choices)}.")


def first_line(error: BaseException) -> str:
    """What an error of a library says, without what follows on further lines; of one that says nothing its type."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def check(condition: bool, what: str, expected: str, received: object) -> None:
    if not condition:
        raise InputError(f"{what}: expected {expected}, received {received!r}.")


def cannot_write(error: OSError, path: str | Path | None = None) -> CannotWriteError | None:
    """What to do about a full disk or a folder that may not be written to; None: `error` is of another kind.

    Args:
        path: the file that was to be written; None: the one that `error` names, which may be one that was to be read.
    """
    where = path or error.filename or "a file"
    if error.errno in NO_SPACE:
        return CannotWriteError(
            f"{where}: cannot be written ({error.strerror}). Nothing is left half-written: make room, and give the "
            "command again (training commands with --resume)."
        )
    if error.errno in NO_WRITING:
        done, needed = (
            ("written", "a folder that this user may write to") if path else ("used", "what this user may use")
        )
        return CannotWriteError(
            f"{where}: cannot be {done} ({error.strerror}). Expected {needed}: change its permissions, or name another."
        )
    return None
