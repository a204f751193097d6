"""Every path and file name of a run, in one place; files appear whole or not at all."""

import contextlib
import csv
import json
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipelines.errors import InputError, cannot_write


class DamagedFileError(InputError):
    """A file is not what was written: cut short, overwritten, or with a bit turned."""


class RunDir:
    """The directory of one training run, or that of an ensemble, which has some of the same files."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.recipe = self.path / "recipe.json"
        self.environment = self.path / "environment.json"
        self.history = self.path / "history.csv"
        self.timing = self.path / "timing.json"
        self.model = self.path / "model.keras"
        self.start = self.path / "start.keras"
        self.checkpoints = self.path / "checkpoints"
        self.divergence = self.path / "divergence.json"
        self.tensorboard = self.path / "tensorboard"
        self.teachers = self.path / "teachers"
        self.test_openings = self.path / "test_openings.jsonl"
        self.metrics = self.path / "metrics.json"
        self.per_class = self.path / "per_class.csv"
        self.predictions = self.path / "predictions.npz"
        self.validation = self.path / "validation.npz"
        self.held_out = self.path / "held_out.npz"
        self.figures = self.path / "figures"
        self.explanations = self.path / "explain"
        self.robustness = self.path / "robustness"
        self.uncertainty = self.path / "uncertainty"
        self.data_quality = self.path / "data_quality"
        self.exports = self.path / "export"
        self.ensemble = self.path / "ensemble.json"
        self.calibration = self.path / "calibration.json"
        self.tta = self.path / "tta.csv"

    @classmethod
    def existing(cls, path: str | Path) -> "RunDir":
        """A run directory whose training has ended. Raises InputError for any other."""
        run_dir = cls(path)
        if not run_dir.recipe.is_file():
            raise InputError(f"run directory: expected one made by tfcifar.train (with recipe.json), received {path}.")
        if not run_dir.timing.is_file():  # the last file that training writes
            raise InputError(f"run directory: {path} is not trained to its end; finish it with tfcifar.train --resume.")
        return run_dir

    @classmethod
    def existing_or_ensemble(cls, path: str | Path) -> "RunDir":
        """A run directory whose training has ended, or an ensemble's. Raises InputError for any other."""
        folder = cls(path)
        return folder if folder.ensemble.is_file() else cls.existing(path)

    @property
    def name(self) -> str:
        return self.path.name


def write_whole(path: Path, write: Callable[[Path], object], durable: bool = False) -> None:
    """Call `write` with a temporary name of the same suffix beside `path`, then rename it to `path`.

    Args:
        durable: have it on the disk before it takes the place of what was there, against a power cut. That takes
            milliseconds, and is for what no command makes again.

    Raises:
        InputError: the disk is full, or the folder may not be written to; `path` is as it was.
    """
    temporary = path.with_name(f".{path.stem}.{platform.node()}-{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        if durable:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(error, path) or error from error
    finally:
        _unlink_if_there(temporary)


def _unlink_if_there(path: Path) -> None:
    with contextlib.suppress(OSError):  # where nothing can be written there is nothing to remove either
        path.unlink(missing_ok=True)


def append_line(path: Path, line: str) -> None:
    """Add a line to a file to which other processes may add theirs: one write each, which the system keeps apart.

    Raises:
        InputError: the disk is full, or the folder may not be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            file.write(f"{line}\n".encode())
    except OSError as error:
        raise cannot_write(error, path) or error from error


def write_text(path: Path, text: str) -> None:
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: object) -> None:
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Raises DamagedFileError where the file is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # the latter of what is nested without end
        raise DamagedFileError(f"{path}: incomplete or altered (not to be read as JSON: {error}).") from None


def write_csv(path: Path, rows: list[dict], columns: Sequence[str] = ()) -> None:
    """Write `rows`, which share their keys, with a header; `columns` are needed where there may be no row."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(columns or rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    write_whole(path, write)


def read_csv(path: Path) -> list[dict]:
    """The rows of a file with a header; all values are texts. Raises DamagedFileError where it is no such table."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            columns, rows = reader.fieldnames, list(reader)
    except (ValueError, csv.Error) as error:
        raise _damaged_table(path, error) from None
    if not columns or any(None in (*row, *row.values()) for row in rows):
        raise _damaged_table(path, "not a value for each column")
    return rows


def read_history(path: Path) -> list[dict]:
    """The rows of a history.csv with numbers as numbers. Raises DamagedFileError where they are none."""
    kinds = {"epoch": int, "phase": str}
    rows = read_csv(path)
    try:
        return [{key: kinds.get(key, float)(value) for key, value in row.items()} for row in rows]
    except ValueError as error:
        raise _damaged_table(path, error) from None


def _damaged_table(path: Path, why: object) -> DamagedFileError:
    return DamagedFileError(f"{path}: incomplete or altered (not to be read as a table: {why}).")
