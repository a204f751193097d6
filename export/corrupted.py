"""What exported files are worth on corrupted images: on the very images that `tfcifar.robustness` judges runs on."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from tqdm import tqdm

from pipelines.corruptions import corrupt
from pipelines.corruptions_names import SEVERITIES, STANDARD
from pipelines.sources import Examples
from tfcifar.evaluation.metrics import classification_metrics
from tfcifar.robustness.judge_runs import SEED, drawn_images


def judge_corrupted(
    predictors: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    examples: Examples,
    class_names: Sequence[str],
    count: int,
    temperatures: dict[str, float],
) -> dict[str, dict]:
    """Means over the 15 standard corruptions at five severities.

    Args:
        predictors: uint8 images [n, h, w, 3] -> logits [n, k], by name.
        count: of the images, drawn by a fixed seed; at most all.
        temperatures: by which logits are divided, by name; none for what is not calibrated.

    Returns:
        By name: `images`, `corruptions`, `severities` (how many), `accuracy`, `nll`, `ece`, and of what has a
        temperature `calibrated`: `nll`, `ece`.
    """
    ids = drawn_images(len(examples), count)
    images, labels = examples.images[ids], examples.labels[ids]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in predictors}
    after: dict[str, list[dict[str, float]]] = {name: [] for name in temperatures}
    for corruption in tqdm(STANDARD, desc="corrupted", unit="corruption", disable=None):
        for severity in SEVERITIES:
            corrupted = corrupt(images, corruption, severity, SEED, ids)
            for name, predict in predictors.items():
                logits = predict(corrupted)
                found[name].append(_figures(logits, labels, class_names))
                if name in temperatures:
                    after[name].append(_figures(logits / temperatures[name], labels, class_names))
    about = {"images": len(ids), "corruptions": len(STANDARD), "severities": len(SEVERITIES)}
    judged: dict[str, dict] = {
        name: about | {"accuracy": _mean(rows, "accuracy"), **_doubts(rows)} for name, rows in found.items()
    }
    for name, rows in after.items():
        judged[name]["calibrated"] = _doubts(rows)
    return judged


def _figures(logits: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, float]:
    """Those that are needed: confusions of 75 kinds of images would take 26 GB with a thousand classes."""
    metrics = classification_metrics(logits, labels, class_names)
    return {figure: metrics[figure] for figure in ("accuracy", "loss", "ece")}


def _doubts(rows: list[dict[str, float]]) -> dict[str, float]:
    return {"nll": _mean(rows, "loss"), "ece": _mean(rows, "ece")}


def _mean(rows: list[dict[str, float]], figure: str) -> float:
    return float(np.mean([row[figure] for row in rows]))
