"""The state from which an interrupted run continues exactly: weights, random seeds, optimizer, averages, history."""

import json
import zipfile
from pathlib import Path

import numpy as np

from pipelines.errors import InputError
from tfcifar.run_dir import write_whole

KEEP = 2  # the newest and the one before it


def state_variables(trainable) -> dict[str, list]:
    """Every variable of a `TrainableModel` that a continued run must find as it was, by group, in a fixed order."""
    return {
        "model": trainable.variables,  # weights and the states of the random generators (dropout)
        "optimizer": trainable.optimizer.variables,
        "average": trainable.average.variables if trainable.average is not None else [],
        "epoch_average": trainable.epoch_average.variables if trainable.epoch_average is not None else [],
    }


def save_state(folder: Path, epoch: int, groups: dict[str, list], header: dict) -> None:
    """Write the state after `epoch` epochs, whole or not at all. The file is a zip: every member has a CRC-32.

    `header` is JSON-ready and comes back from `read_header`.
    """
    arrays = {
        f"{group}/{index:05d}": np.asarray(variable)
        for group, variables in groups.items()
        for index, variable in enumerate(variables)
    }
    text = np.array(json.dumps(header))
    write_whole(folder / f"state-{epoch:04d}.npz", lambda path: np.savez(path, header=text, **arrays))
    for old in sorted(folder.glob("state-*.npz"))[:-KEEP]:
        old.unlink()


def read_header(folder: Path) -> dict | None:
    """The newest state's header, or None where there is no state."""
    newest = _newest(folder)
    return None if newest is None else json.loads(str(_read(newest)["header"]))


def restore_state(folder: Path, groups: dict[str, list]) -> None:
    """Assign the newest state's values to the variables of `groups`.

    Raises:
        InputError: the file is damaged, or of another model or optimizer.
    """
    newest = _newest(folder)
    arrays = _read(newest)
    for group, variables in groups.items():
        names = sorted(name for name in arrays if name.startswith(f"{group}/"))
        if [arrays[name].shape for name in names] != [tuple(variable.shape) for variable in variables]:
            raise InputError(f"checkpoint: the {group} variables of {newest} do not fit the recipe's.")
        for name, variable in zip(names, variables, strict=True):
            variable.assign(arrays[name])


def _newest(folder: Path) -> Path | None:
    states = sorted(folder.glob("state-*.npz"))
    return states[-1] if states else None


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, KeyError) as error:
        raise InputError(
            f"checkpoint: {path} is incomplete or altered ({error}). Delete it to continue from the one before it."
        ) from None
