"""ensemble.json: a fitted combination and where its members lie, written and read."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.errors import InputError
from tfcifar.ensemble.combination import Combination
from tfcifar.run_dir import RunDir, read_json, write_json


@dataclass(frozen=True)
class Ensemble:
    """A combination with its members.

    run_dirs: the members' run directories; models: the SHA-256 of each one's model.keras, by which to know it.
    views: test-time views that the members' logits were averaged over, a key of `tfcifar.evaluation.tta.VIEWS`.
    """

    combination: Combination
    run_dirs: tuple[Path, ...]
    models: tuple[str, ...]
    views: str
    class_names: tuple[str, ...]

    @property
    def members(self) -> tuple[str, ...]:
        return self.combination.members

    def combine(self, logits: np.ndarray) -> np.ndarray:
        """Logits of the members in their order, float [m, n, k] -> log-probabilities, float64 [n, k]."""
        return self.combination.combine(logits)


def save_ensemble(ensemble: Ensemble, folder: Path) -> None:
    """Write ensemble.json into `folder`. Paths are relative to it: both may be moved together."""
    each = ensemble.combination
    members = [
        {
            "name": name,
            "run_dir": os.path.relpath(run_dir, folder),
            "model": model,
            "count": int(count),
            "temperature": float(temperature),
        }
        for name, run_dir, model, count, temperature in zip(
            each.members, ensemble.run_dirs, ensemble.models, each.counts, each.temperatures, strict=True
        )
    ]
    content = {
        "vote": each.vote,
        "views": ensemble.views,
        "class_names": list(ensemble.class_names),
        "members": members,
        "weights": None if each.weights is None else each.weights.tolist(),
        "bias": None if each.bias is None else each.bias.tolist(),
        "penalty": each.penalty,
    }
    write_json(RunDir(folder).ensemble, content)


def load_ensemble(folder: Path) -> Ensemble:
    """Read what `save_ensemble` wrote. Raises InputError where there is none."""
    folder, path = Path(folder), RunDir(folder).ensemble
    if not path.is_file():
        raise InputError(
            f"ensemble: expected a folder made by tfcifar.ensemble (with ensemble.json), received {folder}."
        )
    content = read_json(path)
    members = content["members"]
    combination = Combination(
        content["vote"],
        tuple(each["name"] for each in members),
        np.array([each["count"] for each in members]),
        np.array([each["temperature"] for each in members]),
        None if content["weights"] is None else np.array(content["weights"]),
        None if content["bias"] is None else np.array(content["bias"]),
        content["penalty"],
    )
    return Ensemble(
        combination,
        tuple(folder / each["run_dir"] for each in members),
        tuple(each["model"] for each in members),
        content["views"],
        tuple(content["class_names"]),
    )
