"""The state from which an interrupted run continues exactly: weights, optimizer, averages, random seeds, history."""

import json
import zipfile
from pathlib import Path

import numpy as np

from pipelines.errors import InputError
from tfcifar.run_dir import write_whole

KEEP = 2  # the newest and the one before it


def save_state(folder: Path, epoch: int, variables: list, history: list[dict], extra: dict) -> None:
    """Write the state after `epoch` epochs, whole or not at all. The file is a zip: every member has a CRC-32."""
    arrays = {f"variable_{index:05d}": np.asarray(variable) for index, variable in enumerate(variables)}
    header = json.dumps({"epoch": epoch, "history": history} | extra)
    write_whole(folder / f"state-{epoch:04d}.npz", lambda path: np.savez(path, header=np.array(header), **arrays))
    for old in sorted(folder.glob("state-*.npz"))[:-KEEP]:
        old.unlink()


def read_header(folder: Path) -> dict | None:
    """Epoch, history and extra of the newest state, or None where there is none."""
    newest = _newest(folder)
    return None if newest is None else json.loads(str(_read(newest)["header"]))


def restore_variables(folder: Path, variables: list) -> None:
    """Assign the newest state's values to `variables`, given in the order in which they were saved."""
    newest = _newest(folder)
    arrays = _read(newest)
    names = sorted(name for name in arrays if name.startswith("variable_"))
    shapes = [arrays[name].shape for name in names]
    if shapes != [tuple(variable.shape) for variable in variables]:
        raise InputError(f"checkpoint: {newest} belongs to another model or optimizer than the recipe's.")
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
