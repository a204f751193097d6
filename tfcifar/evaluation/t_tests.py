"""Student's t for few values, such as the accuracies of three seeds, and Holm's correction for several tests."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import ttest_ind, ttest_rel

from tfcifar.evaluation.statistics import SIGNIFICANCE_LEVEL, mean_interval

Values = Sequence[float] | np.ndarray


def paired_t(values_a: Values, values_b: Values) -> dict:
    """a against b by the differences of pairs: the same seeds, the same episodes (Student 1908).

    Args:
        values_a, values_b: of the same pairs in the same order, at least two.

    Returns:
        `difference` (mean of a minus mean of b), `half_width` of its 95% interval, below which a difference would not
        be seen, and `p_value`, two-sided.

    Raises:
        ValueError: fewer than two pairs, or not as many of a as of b.
    """
    a, b = np.asarray(values_a, np.float64), np.asarray(values_b, np.float64)
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2:
        raise ValueError(
            f"values_a, values_b: expected two shapes [n], n > 1. Received: {list(a.shape)} and {list(b.shape)}"
        )
    difference, half = mean_interval(a - b)
    if half >= 1e-12:
        p_value = float(ttest_rel(a, b).pvalue)
    elif abs(difference) >= 1e-12:  # all differences are the same, but for what adding up rounds: SciPy warns of it
        p_value = 0.0
    else:
        p_value = 1.0
    return {"difference": difference, "half_width": half, "p_value": p_value}


def welch_interval(values_a: Values, values_b: Values) -> tuple[float, float]:
    """95% interval of the mean of a minus the mean of b, of independent values, at least two each (Welch 1947)."""
    interval = ttest_ind(values_a, values_b, equal_var=False).confidence_interval(0.95)
    return float(interval.low), float(interval.high)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for there being several of them (Holm 1979), in the same order.

    Where those below 0.05 are called significant, the chance that any is so by chance alone is at most 0.05.
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def verdict_of(p_value: float) -> str:
    """ "significant" below 0.05, else "not significant"."""
    return "significant" if p_value < SIGNIFICANCE_LEVEL else "not significant"
