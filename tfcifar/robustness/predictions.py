"""Predictions of corrupted images, kept in the run: what is there is not computed again."""

from pathlib import Path

import numpy as np

from tfcifar.arrays import read_cache, write_arrays
from tfcifar.run_dir import RunDir

CLEAN = "clean"


def file_of(run_dir: RunDir, split: str, name: str) -> Path:
    """RUN/robustness/NAME for the test split, RUN/robustness/validation_NAME for the validation split."""
    return run_dir.robustness / (name if split == "test" else f"{split}_{name}")


class Predictions:
    """The logits of one model for the corrupted images of one split, as they are in predictions.npz.

    ids: int64 [m], which images of the split they are for, in the order of the logits.
    labels: int64 [m].
    checksum: of the whole split, "" while nothing is known.
    count: how many images the split has.
    """

    def __init__(self, run_dir: RunDir, split: str, digest: str):
        """What the run holds of the model with this SHA-256; of another model, nothing."""
        self.run_dir, self.split, self.digest = run_dir, split, digest
        self.path = file_of(run_dir, split, "predictions.npz")
        self.ids, self.labels = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.checksum, self.count = "", 0
        self._logits: dict[str, np.ndarray] = {}
        kept = read_cache(self.path)
        if kept is not None and str(kept["model"]) == digest:
            self.ids, self.labels = kept["ids"], kept["labels"]
            self.checksum, self.count = str(kept["split"]), int(kept["count"])
            self._logits = {name: each for name, each in kept.items() if name.startswith("logits_")}

    def belong_to(self, ids: np.ndarray, labels: np.ndarray, checksum: str, count: int) -> None:
        """Say for which images the logits are that will be added; what is there of another split goes.

        ids: of two calls for the same split, the shorter one begins the longer.
        """
        if checksum != self.checksum:
            self.ids, self._logits = ids[:0], {}
        if len(ids) > len(self.ids):
            self.ids, self.labels = ids, labels
        self.checksum, self.count = checksum, count

    def images(self, limit: int | None) -> int:
        """How many images a limit leaves."""
        return min(limit or self.count, self.count)

    def has(self, corruption: str, severity: int, limit: int | None) -> bool:
        return bool(self.count) and len(self._logits.get(_key(corruption, severity), ())) >= self.images(limit)

    def has_all(self, plan: dict[str, list[int]], limit: int | None) -> bool:
        """plan: severities by corruption."""
        return all(self.has(name, severity, limit) for name in plan for severity in plan[name])

    def logits(self, corruption: str, severity: int, limit: int | None) -> np.ndarray:
        """float32 [n, k], n as in `images`."""
        return self._logits[_key(corruption, severity)][: self.images(limit)]

    def add(self, corruption: str, severity: int, logits: np.ndarray) -> None:
        self._logits[_key(corruption, severity)] = logits

    def save(self) -> None:
        arrays = {
            "model": np.array(self.digest),
            "split": np.array(self.checksum),
            "count": np.array(self.count),
            "ids": self.ids,
            "labels": self.labels,
            **self._logits,
        }
        write_arrays(self.path, arrays)


def _key(corruption: str, severity: int) -> str:
    return f"logits_{corruption}_{severity}"
