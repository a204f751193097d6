"""The one exception for bad input: every entry point prints it as one clear line and exits with code 2."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What the user gave cannot be used. The message names what, expected, received and the choices."""


def unknown(what: str, received: str, choices: Iterable[str]) -> InputError:
    """An error for a name that is not among `choices`, with the nearest match.

    >>> str(unknown("model", "residul_cnn", ["small_cnn", "residual_cnn"]))
    'model: no such name: residul_cnn. Did you mean residual_cnn? Choices: residual_cnn, small_cnn.'
    """
    choices = sorted(choices)
    nearest = difflib.get_close_matches(received, choices, n=1)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    return InputError(f"{what}: no such name: {received}.{hint} Choices: {', '.join(choices)}.")


def check(condition: bool, what: str, expected: str, received) -> None:
    if not condition:
        raise InputError(f"{what}: expected {expected}, received {received!r}.")
