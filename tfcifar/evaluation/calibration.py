"""How far a classifier's confidence can be believed: reliability bins and expected calibration errors.

Sources: Guo, Pleiss, Sun and Weinberger 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599; Nixon,
Dusenberry, Jerfel, Nguyen, Liu, Zhang and Tran 2019, "Measuring Calibration in Deep Learning", arXiv:1904.01685.
"""

import numpy as np


def reliability_bins(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> list[dict]:
    """Group predictions into equal-width bins by their confidence.

    Args:
        confidence: float [n], the probability of the predicted class, 0..1.
        correct: bool [n], whether the predicted class is the true one.
        bins: number of bins over (0, 1]; 15 as in the paper. A bin holds its upper edge, not its lower one.

    Returns:
        One JSON-ready dict per bin, from low to high: `low` and `high` edge, `count`, mean `confidence` and
        `accuracy` (fractions; None in an empty bin).
    """
    confidence, correct = np.asarray(confidence, np.float64), np.asarray(correct, bool)
    edges = np.linspace(0, 1, bins + 1)
    # Inner edges only: a confidence that rounding has put a hair above 1 still falls into the last bin.
    bin_of = np.digitize(confidence, edges[1:-1], right=True)
    rows = []
    for i in range(bins):
        inside = bin_of == i
        count = int(inside.sum())
        rows.append(
            {
                "low": float(edges[i]),
                "high": float(edges[i + 1]),
                "count": count,
                "confidence": float(confidence[inside].mean()) if count else None,
                "accuracy": float(correct[inside].mean()) if count else None,
            }
        )
    return rows


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over `reliability_bins`, weighted by count (Guo et al. 2017, eq. 3).

    Args:
        confidence, correct, bins: as for `reliability_bins`; n > 0.

    Returns:
        A fraction: 0 when each bin is as accurate as it is confident, at most 1.
    """
    rows = [row for row in reliability_bins(confidence, correct, bins) if row["count"]]
    return sum(row["count"] * abs(row["accuracy"] - row["confidence"]) for row in rows) / len(confidence)


def adaptive_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """`expected_calibration_error` with bins that hold equally many predictions each, to within one.

    Most predictions of a good classifier are nearly certain: of 15 bins of equal width the last holds almost all,
    and the others are noise. Bins of equal mass are Nixon et al.'s adaptive ranges (section 3), here of the predicted
    class alone, so that the two errors differ in nothing but their bins.

    Args:
        confidence, correct: as for `reliability_bins`; n > 0.
        bins: at most; n where there are fewer predictions. Equal confidences are divided in the order they come in.
    """
    confidence, correct = np.asarray(confidence, np.float64), np.asarray(correct, bool)
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return float(sum(abs(confidence[part].sum() - correct[part].sum()) for part in parts) / len(order))
