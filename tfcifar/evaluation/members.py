"""Cached logits of evaluated runs, side by side: what ensembles, calibration and uncertainty work from."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.errors import InputError
from tfcifar.arrays import read_arrays
from tfcifar.evaluation.openings import judged_on
from tfcifar.run_dir import RunDir


@dataclass(frozen=True)
class Members:
    """Logits float32 [members, n, k] and labels int [n] of each split; the same images for all members.

    Those of validation are None where a member was trained on these images.
    models: the SHA-256 of each one's model.keras (of an ensemble: of its ensemble.json).
    """

    names: tuple[str, ...]
    class_names: tuple[str, ...]
    validation_logits: np.ndarray | None
    validation_labels: np.ndarray | None
    test_logits: np.ndarray
    test_labels: np.ndarray
    models: tuple[str, ...]

    @property
    def validation(self) -> tuple[np.ndarray, np.ndarray]:
        """Logits and labels of the validation split, for what cannot do without.

        Raises:
            ValueError: there are none; `load_members` refuses such runs unless told otherwise.
        """
        if self.validation_logits is None or self.validation_labels is None:
            raise ValueError("members: expected validation logits of all of them. Received: none of some")
        return self.validation_logits, self.validation_labels


def load_members(paths: list[Path], views: str = "none", need_validation: bool = True) -> Members:
    """Read the predictions of evaluated runs.

    Args:
        paths: directories of runs or of ensembles, whose logits are log-probabilities; at least one, of different
            names.
        views: test-time views, a key of `tfcifar.evaluation.tta.VIEWS`, that all runs were evaluated with.
        need_validation: False where nothing is chosen or weighed: runs that were trained on the validation images will
            do.

    Raises:
        InputError: a run is not evaluated, or not with `views`; it was trained on the validation images, by which
            members are chosen and weighed; or it was judged on other images than the first.
    """
    run_dirs = [RunDir.existing_or_ensemble(path) for path in paths]
    names = different_names("members", run_dirs)
    loaded = [_predictions(run_dir, views, need_validation) for run_dir in run_dirs]
    images = [judged_on(run_dir) for run_dir in run_dirs]
    suffix = "" if views == "none" else "_tta"
    has_validation = all("validation_logits" in each for each in loaded)
    for name, each, own in zip(names, loaded, images, strict=True):
        if own["classes"] != images[0]["classes"]:
            raise InputError(f"members: {name} and {names[0]} tell other classes apart.")
        for split in ("validation", "test") if has_validation else ("test",):
            labels = f"{split}_labels"
            if own[split] != images[0][split] or not np.array_equal(each[labels], loaded[0][labels]):
                raise InputError(f"members: {name} and {names[0]} were judged on other {split} images.")
    return Members(
        names,
        tuple(images[0]["classes"]),
        np.stack([each[f"validation_logits{suffix}"] for each in loaded]) if has_validation else None,
        loaded[0]["validation_labels"] if has_validation else None,
        np.stack([each[f"test_logits{suffix}"] for each in loaded]),
        loaded[0]["test_labels"],
        tuple(str(each["model"]) for each in loaded),
    )


def different_names(who: str, run_dirs: Iterable[RunDir]) -> tuple[str, ...]:
    """The names of `run_dirs`. Raises InputError, in the name of `who`, where two are the same."""
    names = tuple(run_dir.name for run_dir in run_dirs)
    if len(set(names)) < len(names):
        raise InputError(f"{who}: expected run directories of different names, received {', '.join(names)}.")
    return names


def _predictions(run_dir: RunDir, views: str, need_validation: bool) -> dict[str, np.ndarray]:
    tta = "" if views == "none" else f" --tta {views}"
    if not (run_dir.predictions.is_file() and run_dir.metrics.is_file()):
        raise InputError(
            f"members: {run_dir.path} is not evaluated yet; run python -m tfcifar.evaluate {run_dir.path}{tta}."
        )
    predictions = read_arrays(run_dir.predictions)
    if need_validation and "validation_logits" not in predictions:
        raise InputError(
            f"members: {run_dir.path} was trained on the validation images, by which members are chosen and weighed; "
            "expected a run that was not (data.train_on_validation off)."
        )
    found = str(predictions.get("tta", "none"))
    if views not in ("none", found):
        raise InputError(
            f"members: {run_dir.path} was evaluated with the views {found}, expected {views}; "
            f"run python -m tfcifar.evaluate {run_dir.path}{tta}."
        )
    return predictions
