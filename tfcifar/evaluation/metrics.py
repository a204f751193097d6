"""From logits and labels to every figure that describes a classifier on one split."""

from collections.abc import Sequence

import numpy as np
from scipy import special

from pipelines.errors import InputError
from tfcifar.evaluation.calibration import expected_calibration_error
from tfcifar.evaluation.statistics import wilson_interval


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities, float64 of the same shape, over the last axis; the maximum is subtracted first: no overflow."""
    return special.softmax(logits.astype(np.float64), axis=-1)


def classification_metrics(logits: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> dict:
    """Judge a classifier by its logits.

    Args:
        logits: float32 [n, k], finite; log-probabilities do as well (an ensemble's), if zeros were clipped before.
        labels: int [n], in 0..k-1.
        class_names: k names.

    Returns:
        JSON-ready dict; fractions are in 0..1, and None stands where a quotient has nothing to divide by:
        `n`; `accuracy` and `accuracy_ci95` [low, high] (Wilson); `top5_accuracy` (only if k > 5); `loss` (mean
        cross-entropy, nats); `macro_f1`; `ece` (15 bins); `brier` (summed over classes, 0..2; Brier 1950);
        `mean_confidence` (of the predicted class); `per_class`, see `per_class_metrics`; `confusion`, k x k
        counts, rows are true classes, columns predicted ones.

        `macro_f1` averages over the classes that occur among labels or predictions, as scikit-learn does.

    Raises:
        ValueError: if shapes, class names and the range of labels do not fit together, or n is 0.
        InputError: if a logit is NaN or infinite: the model has diverged and no figure would mean anything.
    """
    _check(logits, labels, class_names)
    n, k = logits.shape
    labels = np.asarray(labels, np.int64)
    log_probabilities = special.log_softmax(logits.astype(np.float64), axis=1)  # finite where the softmax is 0
    probabilities = softmax(logits)
    confidence, predicted = probabilities.max(axis=1), logits.argmax(axis=1)
    confusion = np.bincount(labels * k + predicted, minlength=k * k).reshape(k, k)
    per_class = per_class_metrics(confusion, class_names)
    correct = int(np.trace(confusion))
    metrics = {"n": n, "accuracy": correct / n, "accuracy_ci95": list(wilson_interval(correct, n))}
    if k > 5:
        # Stable, so that the first of equal logits (INT8 models have many) ranks first, as in argmax.
        top5 = np.argsort(-logits, axis=1, kind="stable")[:, :5]
        metrics["top5_accuracy"] = float((top5 == labels[:, None]).any(axis=1).mean())
    return metrics | {
        "loss": float(-log_probabilities[np.arange(n), labels].mean()),
        "macro_f1": float(np.mean([row["f1"] for row in per_class if row["f1"] is not None])),
        "ece": expected_calibration_error(confidence, predicted == labels),
        "brier": float(np.square(probabilities - np.eye(k)[labels]).sum(axis=1).mean()),
        "mean_confidence": float(confidence.mean()),
        "per_class": per_class,
        "confusion": confusion.tolist(),
    }


def per_class_metrics(confusion: np.ndarray, class_names: Sequence[str]) -> list[dict]:
    """One row for each class of `confusion` (int [k, k], rows are true classes).

    Returns:
        Dicts of `name`, `n` (examples of the class), `accuracy` (of these; the same number as `recall`),
        `precision`, `recall`, `f1`. None: `recall` of a class without examples, `precision` of one that was never
        predicted, `f1` of one with neither.
    """
    rows = []
    for i, name in enumerate(class_names):
        right, true, predicted = int(confusion[i, i]), int(confusion[i].sum()), int(confusion[:, i].sum())
        recall = right / true if true else None
        rows.append(
            {
                "name": str(name),
                "n": true,
                "accuracy": recall,
                "precision": right / predicted if predicted else None,
                "recall": recall,
                "f1": 2 * right / (true + predicted) if true + predicted else None,
            }
        )
    return rows


def _check(logits: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> None:
    labels = np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or len(labels) == 0:
        raise ValueError(
            "logits, labels: expected shapes [n, k] and [n], n > 0. "
            f"Received: {list(logits.shape)} and {list(labels.shape)}"
        )
    k = logits.shape[1]
    if len(class_names) != k:
        raise ValueError(f"class_names: expected {k}, one for each column of logits. Received: {len(class_names)}")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= k:
        raise ValueError(
            f"labels: expected integers in 0..{k - 1}. Received: {labels.dtype} in {labels.min()}..{labels.max()}"
        )
    bad = int((~np.isfinite(logits)).any(axis=1).sum())
    if bad:
        raise InputError(
            f"logits: expected finite numbers, received NaN or infinity for {bad} of {len(logits)} images; "
            "the model has diverged. Train it again with a smaller learning rate."
        )
