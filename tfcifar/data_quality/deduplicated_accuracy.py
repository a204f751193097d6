"""Accuracy of evaluated runs on the test images that have no near-duplicate in training, beside the whole."""

import numpy as np

from pipelines.errors import InputError
from tfcifar.arrays import read_arrays
from tfcifar.evaluation.members import different_names
from tfcifar.evaluation.statistics import wilson_interval
from tfcifar.run_dir import RunDir


def read_predictions(run_dirs: list[RunDir]) -> dict[str, dict[str, np.ndarray]]:
    """The recorded predictions of runs, by the run's name.

    Raises:
        InputError: a run is not evaluated, or two have the same name.
    """
    different_names("--judge", run_dirs)
    for run_dir in run_dirs:
        if not run_dir.predictions.is_file():
            raise InputError(
                f"--judge: {run_dir.path} is not evaluated; run python -m tfcifar.evaluate {run_dir.path}."
            )
    return {run_dir.name: read_arrays(run_dir.predictions) for run_dir in run_dirs}


def judge_runs(predictions: dict[str, dict[str, np.ndarray]], labels: np.ndarray, duplicated: np.ndarray) -> list[dict]:
    """Judge recorded predictions; none is made anew.

    Args:
        predictions: as `read_predictions` gives them.
        labels: int64 [n] of the test split.
        duplicated: bool [n], whether the test image has a near-duplicate among the images of training and validation.

    Returns:
        Rows: run, views, and n, accuracy, low and high (95% interval, Wilson) of "whole", "without" and "duplicates".
        A part without an image has None for its figures.

    Raises:
        InputError: a run was judged on other test images.
    """
    return [row for run, each in predictions.items() for row in _judge(run, each, labels, duplicated)]


def _judge(run: str, predictions: dict[str, np.ndarray], labels: np.ndarray, duplicated: np.ndarray) -> list[dict]:
    if not np.array_equal(predictions["test_labels"], labels):
        raise InputError(f"--judge: {run} was judged on other test images than those that were searched.")
    views = {"none": "test_logits"}
    if "test_logits_tta" in predictions:
        views[str(predictions["tta"])] = "test_logits_tta"
    parts = {"whole": np.ones_like(duplicated), "without": ~duplicated, "duplicates": duplicated}
    rows = []
    for name, logits in views.items():
        correct = predictions[logits].argmax(-1) == labels
        row = {"run": run, "views": name}
        for part, chosen in parts.items():
            row |= {f"{part}_{key}": value for key, value in _accuracy(correct[chosen]).items()}
        rows.append(row)
    return rows


def _accuracy(correct: np.ndarray) -> dict:
    if not len(correct):
        return {"n": 0, "accuracy": None, "low": None, "high": None}
    low, high = wilson_interval(correct.sum(), len(correct))
    return {"n": len(correct), "accuracy": float(correct.mean()), "low": low, "high": high}


def judged_table(rows: list[dict]) -> str:
    """The rows of `judge_runs` for the screen."""

    def cell(row, part):
        if not row[f"{part}_n"]:
            return "none"
        return f"{row[f'{part}_accuracy']:.2%} ({row[f'{part}_low']:.2%} to {row[f'{part}_high']:.2%})"

    lines = [f"{'run':28} {'views':15} {'whole test split':28} {'without near-duplicates':28} near-duplicates alone"]
    for row in rows:
        cells = " ".join(f"{cell(row, part):28}" for part in ("whole", "without", "duplicates")).rstrip()
        lines.append(f"{row['run']:28} {row['views']:15} {cells}")
    return "\n".join(lines)
