"""Calibrate a run or an ensemble on its validation logits: calibration.json, and what it changes."""

from pathlib import Path

import numpy as np

from pipelines.errors import InputError
from tfcifar.environment import record_command
from tfcifar.evaluation.calibration import adaptive_calibration_error, expected_calibration_error, reliability_bins
from tfcifar.evaluation.members import Members, load_members
from tfcifar.evaluation.metrics import classification_metrics, softmax
from tfcifar.evaluation.openings import model_digest
from tfcifar.evaluation.probabilities import Scaling
from tfcifar.evaluation.scaling import METHODS, scaled_out_of_fold
from tfcifar.evaluation.statistics import compare_means
from tfcifar.reporting.reliability import plot_before_after
from tfcifar.run_dir import RunDir, read_json, write_json


def calibrate_run(path: Path) -> list[dict]:
    """Write calibration.json and figures/calibration.png into the directory of an evaluated run or ensemble.

    Both scalings are fitted on all of the validation split. The simplest is kept whose cross-validated cross-entropy
    there is not significantly above that of a less simple one: logits as they are, then a temperature, which changes no
    predicted class, then a vector.

    Returns:
        A row for each split and method: `run`, `split`, `method`, `kept` (bool), `n`, `accuracy`, `nll` (nats),
        `brier`, `ece` (15 bins), `adaptive_ece`. Those of the validation split are cross-validated.

    Raises:
        InputError: not evaluated, or trained on the validation images.
    """
    folder = RunDir.existing_or_ensemble(path)
    members = load_members([path])
    (validation,), labels = members.validation
    scalings = {name: fit(validation, labels) for name, fit in METHODS.items()}
    cross_validated = {name: scaled_out_of_fold(fit, validation, labels) for name, fit in METHODS.items()}
    rows = [_judge(folder, "validation", name, each, labels, members) for name, each in cross_validated.items()]
    kept = _simplest_of_the_best(cross_validated, labels)
    on_test = {name: each.apply(members.test_logits[0]) for name, each in scalings.items()}
    rows += [_judge(folder, "test", name, each, members.test_labels, members) for name, each in on_test.items()]
    for row in rows:
        row["kept"] = row["method"] == kept

    content = {
        "model": members.models[0],
        "kept": kept,
        "methods": {
            name: {"temperature": each.temperature, "scale": each.scale.tolist(), "bias": each.bias.tolist()}
            for name, each in scalings.items()
        },
        "rows": rows,
    }
    write_json(folder.calibration, content)
    record_command(folder.path)
    plot_before_after(
        {
            "before" if name == "none" else f"{name} scaling": _diagram(each, members.test_labels)
            for name, each in on_test.items()
        },
        folder.figures / "calibration.png",
    )
    return rows


def load_calibration(path: Path, method: str | None = None) -> Scaling:
    """What makes logits of a run or log-probabilities of an ensemble calibrated ones: `load_calibration(path).apply`.

    Args:
        method: a key of `scaling.METHODS`; None: the one that was kept.

    Raises:
        InputError: not calibrated yet, or of another model than the one that lies there now.
    """
    folder = RunDir.existing_or_ensemble(path)
    command = f"run python -m tfcifar.calibrate {path}"
    if not folder.calibration.is_file():
        raise InputError(f"calibration: {path} is not calibrated yet; {command}.")
    content = read_json(folder.calibration)
    if model_digest(folder) != content["model"]:
        raise InputError(f"calibration: that of {path} is of another model than lies there now; {command}.")
    method = content["kept"] if method is None else method
    found = content["methods"][method]
    return Scaling(method, np.array(found["scale"]), np.array(found["bias"]))


def _simplest_of_the_best(predictions: dict[str, np.ndarray], labels: np.ndarray) -> str:
    """The name of the first prediction that no later one betters significantly; the simplest come first."""
    losses = {name: -each[np.arange(len(labels)), labels] for name, each in predictions.items()}
    names = list(losses)

    def betters(later: str, earlier: str) -> bool:
        found = compare_means(losses[later], losses[earlier])
        return found["verdict"] == "significant" and found["difference"] < 0

    return next(
        name for place, name in enumerate(names) if not any(betters(later, name) for later in names[place + 1 :])
    )


def _judge(
    folder: RunDir, split: str, method: str, predicted: np.ndarray, labels: np.ndarray, members: Members
) -> dict:
    found = classification_metrics(predicted, labels, members.class_names)
    probabilities = softmax(predicted)
    adaptive = adaptive_calibration_error(probabilities.max(-1), probabilities.argmax(-1) == labels)
    return {"run": folder.name, "split": split, "method": method, "n": found["n"], "accuracy": found["accuracy"],
            "nll": found["loss"], "brier": found["brier"], "ece": found["ece"], "adaptive_ece": adaptive}  # fmt: skip


def _diagram(predicted: np.ndarray, labels: np.ndarray) -> tuple[list[dict], float]:
    probabilities = softmax(predicted)
    confidence, right = probabilities.max(-1), probabilities.argmax(-1) == labels
    return reliability_bins(confidence, right), expected_calibration_error(confidence, right)
