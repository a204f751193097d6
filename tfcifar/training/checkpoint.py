"""The state from which an interrupted run continues exactly: weights, random seeds, optimizer, averages, history."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import InputError
from tfcifar.arrays import read_arrays, write_arrays
from tfcifar.run_dir import DamagedFileError

if TYPE_CHECKING:
    from tfcifar.training.trainable import TrainableModel

KEEP = 2  # the newest and the one before it


def state_variables(trainable: "TrainableModel") -> dict[str, list]:
    """Every variable of a `TrainableModel` that a continued run must find as it was, by group, in a fixed order."""
    return {
        "model": trainable.variables,  # weights and the states of the random generators (dropout)
        "optimizer": trainable.optimizer.variables,
        "average": trainable.average.variables if trainable.average is not None else [],
        "epoch_average": trainable.epoch_average.variables if trainable.epoch_average is not None else [],
    }


def save_state(folder: Path, epoch: int, groups: dict[str, list], header: dict) -> None:
    """Write the state after `epoch` epochs, whole or not at all, and on the disk before an older one goes.

    `header` is JSON-ready and comes back from `read_header`.
    """
    arrays = {
        f"{group}/{index:05d}": np.asarray(variable)
        for group, variables in groups.items()
        for index, variable in enumerate(variables)
    }
    arrays = {"header": np.array(json.dumps(header)), **arrays}
    write_arrays(folder / f"state-{epoch:04d}.npz", arrays, durable=True)
    for old in _states(folder)[:-KEEP]:
        old.unlink()


def read_header(folder: Path) -> dict | None:
    """The newest whole state's header, or None where there is no state. Raises InputError where none is whole."""
    newest = _newest_whole(folder)
    return None if newest is None else json.loads(str(newest[1]["header"]))


def restore_state(folder: Path, groups: dict[str, list]) -> None:
    """Assign the newest whole state's values to the variables of `groups`.

    Raises:
        InputError: it is of another model or optimizer; there is none; or none is whole.
    """
    newest = _newest_whole(folder)
    if newest is None:
        raise InputError(f"checkpoint: expected one in {folder}, found none.")
    path, arrays = newest
    for group, variables in groups.items():
        names = sorted(name for name in arrays if name.startswith(f"{group}/"))
        if [arrays[name].shape for name in names] != [tuple(variable.shape) for variable in variables]:
            raise InputError(f"checkpoint: the {group} variables of {path} do not fit the recipe's.")
        for name, variable in zip(names, variables, strict=True):
            variable.assign(arrays[name])


def _states(folder: Path) -> list[Path]:
    """The oldest first. Names are longer from epoch 10,000 on."""
    return sorted(folder.glob("state-*.npz"), key=lambda path: (len(path.name), path.name))


def _newest_whole(folder: Path) -> tuple[Path, dict[str, np.ndarray]] | None:
    """The newest state that is what was written. A damaged one is put aside, and that is said."""
    states = _states(folder)[::-1]
    for index, path in enumerate(states):
        try:
            return path, read_arrays(path)
        except DamagedFileError as error:
            reason = str(error).removesuffix(" Delete it, and give the command that made it again.")
            if index + 1 == len(states):
                raise InputError(
                    f"checkpoint: {reason} No other is left to continue from: start again with another --run-dir."
                ) from None
            path.replace(path.with_suffix(".damaged"))
            print(
                f"NOTE: checkpoint: {reason} Continuing from the one before it, {states[index + 1].name}.",
                file=sys.stderr,
                flush=True,
            )
    return None
