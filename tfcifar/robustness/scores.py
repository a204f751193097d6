"""From predictions of corrupted images to figures."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from pipelines.corruptions_names import EXTRA, STANDARD
from tfcifar.evaluation.metrics import classification_metrics
from tfcifar.robustness.predictions import CLEAN, Predictions
from tfcifar.run_dir import read_csv


def score_rows(predictions: Predictions, plan: dict[str, list[int]], limit: int | None) -> list[dict]:
    """A row for each corruption and severity of `plan`, the rows of scores.csv.

    Returns:
        Rows of `run`, `split`, `images`, `corruption` ("clean" for none), `severity` (0 for none), `accuracy`, `ece`
        (fractions) and `nll` (nats).
    """
    labels = predictions.labels[: predictions.images(limit)]
    rows = []
    for corruption, severities in plan.items():
        for severity in severities:
            logits = predictions.logits(corruption, severity, limit)
            metrics = classification_metrics(logits, labels, [str(i) for i in range(logits.shape[1])])
            rows.append(
                {
                    "run": predictions.run_dir.name,
                    "split": predictions.split,
                    "images": len(labels),
                    "corruption": corruption,
                    "severity": severity,
                    "accuracy": round(metrics["accuracy"], 6),
                    "nll": round(metrics["loss"], 6),
                    "ece": round(metrics["ece"], 6),
                }
            )
    return rows


def read_rows(path: Path) -> list[dict]:
    """The rows of scores.csv or attacks.csv, with numbers as numbers."""
    whole, fractions = ("images", "severity", "epsilon"), ("accuracy", "nll", "ece", "loss")
    return [
        {key: int(each) if key in whole else float(each) if key in fractions else each for key, each in row.items()}
        for row in read_csv(path)
    ]


def corruptions_of(rows: list[dict]) -> list[str]:
    """The corruptions that `rows` tell of, in their order."""
    return [name for name in dict.fromkeys(row["corruption"] for row in rows) if name != CLEAN]


def mean_of(
    rows: list[dict], figure: str, corruptions: Collection[str] | None = None, severity: int | None = None
) -> float | None:
    """The mean of `figure` over rows of these corruptions (None: the standard ones) and severity (None: all).

    None where there is no such row.
    """
    chosen = [
        row[figure]
        for row in rows
        if row["corruption"] in (STANDARD if corruptions is None else corruptions)
        and severity in (None, row["severity"])
    ]
    return float(np.mean(chosen)) if chosen else None


def mean_corruption_error(rows: list[dict], reference: list[dict]) -> float | None:
    """mCE, as a fraction: 1 for the reference itself, below 1 for a run that corruptions harm less.

    Of each standard corruption the error, summed over the severities, is divided by that of the reference; then the
    mean over corruptions (Hendrycks and Dietterich 2019, section 4.1; their reference is AlexNet).

    Returns:
        None without a standard corruption, or where the reference makes no mistake on one.
    """
    ratios = []
    for corruption in corruptions_of(reference):
        if corruption in STANDARD:
            errors = [
                sum(1 - row["accuracy"] for row in each if row["corruption"] == corruption)
                for each in (rows, reference)
            ]
            if not errors[1]:
                return None
            ratios.append(errors[0] / errors[1])
    return float(np.mean(ratios)) if ratios else None


def summarize(rows: list[dict], reference: list[dict]) -> dict:
    """One run in a row: figures on clean images, and means over the standard corruptions and all severities.

    Returns:
        `run`, `images`, `corruptions` (how many standard ones), `clean_accuracy`, `accuracy`, `error` (the mean
        corruption error without a reference), `mce`, `clean_ece`, `ece`, `clean_nll`, `nll` and `extra_accuracy` (of
        the four that no mean counts). None where nothing was judged.
    """
    accuracy = mean_of(rows, "accuracy")
    return {
        "run": rows[0]["run"],
        "images": rows[0]["images"],
        "corruptions": sum(name in STANDARD for name in corruptions_of(rows)),
        "clean_accuracy": mean_of(rows, "accuracy", (CLEAN,)),
        "accuracy": accuracy,
        "error": None if accuracy is None else 1 - accuracy,
        "mce": mean_corruption_error(rows, reference),
        "clean_ece": mean_of(rows, "ece", (CLEAN,)),
        "ece": mean_of(rows, "ece"),
        "clean_nll": mean_of(rows, "nll", (CLEAN,)),
        "nll": mean_of(rows, "nll"),
        "extra_accuracy": mean_of(rows, "accuracy", EXTRA),
    }


def share_correct(predictions: Predictions, rows: list[dict]) -> np.ndarray:
    """Of each image, on which share of the standard corruptions and severities of `rows` the model is right.

    Returns:
        float64 [n], 0..1: its mean is the `accuracy` of `summarize`.
    """
    count = rows[0]["images"]
    labels = predictions.labels[:count]
    correct = [
        predictions.logits(row["corruption"], row["severity"], count).argmax(-1) == labels
        for row in rows
        if row["corruption"] in STANDARD
    ]
    return np.mean(correct, axis=0)
