"""Which classes are hard, which are taken for which, and in which two models differ."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control

from tfcifar.evaluation.statistics import SIGNIFICANCE_LEVEL, mcnemar


def most_confused_pairs(confusion: ArrayLike, class_names: Sequence[str], count: int = 5) -> list[dict]:
    """The pairs of classes with the most mistakes between them, both ways together.

    Args:
        confusion: int [k, k], counts; rows are true classes.

    Returns:
        Rows of `classes` (two names), `mistakes` and `share` of all mistakes, most first; none without a mistake.
    """
    counts = np.asarray(confusion)
    both = np.triu(counts + counts.T, k=1)
    total = both.sum()
    order = np.argsort(-both, axis=None, kind="stable")[:count]
    pairs = [np.unravel_index(place, both.shape) for place in order]
    return [
        {
            "classes": (class_names[a], class_names[b]),
            "mistakes": int(both[a, b]),
            "share": float(both[a, b] / total),
        }
        for a, b in pairs
        if both[a, b]
    ]


def compare_classes(
    correct_a: np.ndarray, correct_b: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> list[dict]:
    """Model a against model b, class by class, on the same examples.

    With many classes some differ by chance: p values are those of McNemar's test after Benjamini and Hochberg's
    correction (1995), so that of the classes called significant about one in twenty is not.

    Args:
        correct_a, correct_b: bool [n].
        labels: int [n], true classes.

    Returns:
        A row for each class with examples: `name`, `n`, `accuracy_a`, `accuracy_b`, `difference`, `p_value`
        (corrected), `verdict`.
    """
    rows = []
    for index, name in enumerate(class_names):
        own = labels == index
        if own.any():
            a, b = correct_a[own], correct_b[own]
            rows.append(
                {
                    "name": name,
                    "n": int(own.sum()),
                    "accuracy_a": float(a.mean()),
                    "accuracy_b": float(b.mean()),
                    "difference": float(a.mean() - b.mean()),
                    "p_value": mcnemar(a, b)["p_value"],
                }
            )
    corrected = false_discovery_control([row["p_value"] for row in rows])
    for row, p_value in zip(rows, corrected, strict=True):
        row["p_value"] = float(p_value)
        row["verdict"] = "significant" if p_value < SIGNIFICANCE_LEVEL else "not significant"
    return rows
