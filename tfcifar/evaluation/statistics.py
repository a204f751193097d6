"""What the finite test set allows to say: intervals, paired tests, mean and spread over seeds."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, bootstrap, t

SIGNIFICANCE_LEVEL = 0.05


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """95% interval of an accuracy of `correct` out of `n` (Wilson 1927): unlike +-1.96 s.e. it stays inside [0, 1]."""
    interval = binomtest(int(correct), int(n)).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1) of one figure over seeds; the latter is None for a single value.

    Raises:
        ValueError: if `values` is empty.
    """
    if len(values) == 0:
        raise ValueError("values: expected at least one number. Received: none")
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def mean_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Mean and half the width of its 95% interval (Student's t), of at least two independent values."""
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return float(np.mean(values)), float(half)


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray) -> dict:
    """Exact two-sided test that two models, judged on the same examples, are equally often right.

    Only the examples on which they differ count; under the hypothesis each of these is a fair coin (McNemar 1947,
    doi:10.1007/BF02295996; exact binomial form).

    Args:
        correct_a, correct_b: bool [n], whether each model is right on each example, in the same order.

    Returns:
        `only_a_correct` and `only_b_correct` (counts), `p_value` (1 if the models never differ).

    Raises:
        ValueError: if the arguments are not bool arrays of one shape [n], n > 0.
    """
    only_a, only_b, _ = _disagreements(correct_a, correct_b)
    differ = only_a + only_b
    p_value = float(binomtest(only_a, differ, 0.5).pvalue) if differ else 1.0
    return {"only_a_correct": only_a, "only_b_correct": only_b, "p_value": p_value}


def paired_bootstrap(correct_a: np.ndarray, correct_b: np.ndarray, samples: int = 10_000, seed: int = 0) -> dict:
    """Accuracy of a minus accuracy of b, with a percentile interval over resampled examples.

    Args:
        correct_a, correct_b: as for `mcnemar`.
        samples: number of resampled test sets.
        seed: fixes the resampling, so that a report can be made again.

    Returns:
        `difference` (fraction; positive where a is better) and `interval95` [low, high].

    Raises:
        ValueError: as for `mcnemar`.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    only_a, only_b, n = _disagreements(correct_a, correct_b)
    # An example adds +1, -1 or 0 to the difference, so that drawing n of them with replacement is one multinomial
    # draw of three counts: the same distribution as resampling rows, a thousand times faster.
    draws = np.random.default_rng(seed).multinomial(n, [only_a / n, only_b / n, (n - only_a - only_b) / n], samples)
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / n, [0.025, 0.975])
    return {"difference": (only_a - only_b) / n, "interval95": [float(low), float(high)]}


def compare(correct_a: np.ndarray, correct_b: np.ndarray) -> dict:
    """Model a against model b on the same examples: the one function behind each comparison in a report.

    Args:
        correct_a, correct_b: as for `mcnemar`.

    Returns:
        JSON-ready dict: `n`, `accuracy_a`, `accuracy_b`, `difference` (a minus b) and `interval95` (paired
        bootstrap), `only_a_correct`, `only_b_correct` and `p_value` (McNemar), and `verdict`: "significant" if
        the p value is below 0.05, else "not significant". The spread over training seeds is not in it.

    Raises:
        ValueError: as for `mcnemar`.
    """
    test = mcnemar(correct_a, correct_b)
    return {
        "n": len(correct_a),
        "accuracy_a": float(np.mean(correct_a)),
        "accuracy_b": float(np.mean(correct_b)),
        **paired_bootstrap(correct_a, correct_b),
        **test,
        "verdict": "significant" if test["p_value"] < SIGNIFICANCE_LEVEL else "not significant",
    }


def comparison_columns(correct_a: np.ndarray, correct_b: np.ndarray | None) -> dict:
    """`compare` as columns of a CSV: `difference`, `difference_low`, `difference_high`, `p_value`, `verdict`.

    All are None where there is nothing to compare with, as in the row that others are compared with.
    """
    names = ("difference", "difference_low", "difference_high", "p_value", "verdict")
    if correct_b is None:
        return dict.fromkeys(names)
    found = compare(correct_a, correct_b)
    values = found["difference"], *found["interval95"], found["p_value"], found["verdict"]
    return dict(zip(names, values, strict=True))


def verdict(low: float, high: float) -> str:
    """ "significant" if an interval leaves out 0, by more than what adding up rounds."""
    return "significant" if low > 1e-12 or high < -1e-12 else "not significant"


def compare_over_seeds(correct_a: np.ndarray, correct_b: np.ndarray, samples: int = 4000, seed: int = 0) -> dict:
    """Recipe a against recipe b, each trained with several seeds and judged on the same examples.

    Seeds and examples are both resampled: the interval covers what another seed and another validation or test set
    would change. Seeds are not paired. With few of them it is too wide where seeds differ by single images only, as
    usual: that chance is in both resamplings (1.4 times with three seeds in a simulation). Where whole seeds are better
    or worse than others, their part of it is too narrow, by sqrt((s - 1) / s).

    Args:
        correct_a, correct_b: bool [seeds, n]; they may differ in the number of seeds.
        samples: number of resamplings.
        seed: fixes the resampling.

    Returns:
        `difference` (mean accuracy of a minus that of b, a fraction), `interval95` [low, high] and `verdict`:
        "significant" if the interval leaves out 0, else "not significant".

    Raises:
        ValueError: if the arguments are not bool [seeds, n] of the same examples.

    Source: two-level bootstrap, Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8.
    """
    for name, value in (("correct_a", correct_a), ("correct_b", correct_b)):
        if value.dtype != bool or value.ndim != 2 or value.size == 0:
            raise ValueError(f"{name}: expected bool [seeds, n]. Received: {value.dtype} {list(value.shape)}")
    if correct_a.shape[1] != correct_b.shape[1]:
        raise ValueError(
            f"correct_a, correct_b: expected the same examples. Received: {correct_a.shape[1]} and "
            f"{correct_b.shape[1]} of them"
        )
    rng = np.random.default_rng(seed)
    n = correct_a.shape[1]
    differences = np.empty(samples)
    for i in range(samples):
        mean_a, mean_b = (c[rng.integers(0, len(c), len(c))].mean(0) for c in (correct_a, correct_b))
        differences[i] = (mean_a - mean_b)[rng.integers(0, n, n)].mean()
    low, high = np.quantile(differences, [0.025, 0.975])
    return {
        "difference": float(correct_a.mean() - correct_b.mean()),
        "interval95": [float(low), float(high)],
        "verdict": verdict(low, high),
    }


def compare_means(values_a: np.ndarray, values_b: np.ndarray, samples: int = 2000, seed: int = 0) -> dict:
    """Model a against model b by a number for each of the same examples: its loss, or how often each model is right
    where it is judged several times (under each corruption, say).

    The examples are resampled, each with all of its judgements: these are not independent of each other.

    Args:
        values_a, values_b: float [n].
        samples: number of resampled test sets.
        seed: fixes the resampling.

    Returns:
        `difference` (mean of a minus mean of b), `interval95` [low, high] (percentiles) and `verdict`: "significant"
        if the interval leaves out 0, else "not significant". The spread over training seeds is not in it.

    Raises:
        ValueError: if the arguments are not of one shape [n], n > 1.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    a, b = np.asarray(values_a, np.float64), np.asarray(values_b, np.float64)
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2:
        raise ValueError(
            f"values_a, values_b: expected two shapes [n], n > 1. Received: {list(a.shape)} and {list(b.shape)}"
        )
    found = bootstrap((a - b,), np.mean, n_resamples=samples, batch=100, method="percentile", rng=seed)
    low, high = found.confidence_interval
    return {
        "difference": float(np.mean(a - b)),
        "interval95": [float(low), float(high)],
        "verdict": verdict(low, high),
    }


def _disagreements(correct_a: np.ndarray, correct_b: np.ndarray) -> tuple[int, int, int]:
    """How often only a is right, only b is right, and the number of examples."""
    a, b = np.asarray(correct_a), np.asarray(correct_b)
    for name, value in (("correct_a", a), ("correct_b", b)):
        if value.dtype != bool or value.ndim != 1 or value.size == 0:
            raise ValueError(f"{name}: expected bool [n], n > 0. Received: {value.dtype} {list(value.shape)}")
    if a.shape != b.shape:
        raise ValueError(f"correct_a, correct_b: expected the same examples. Received: {a.size} and {b.size} of them")
    return int((a & ~b).sum()), int((b & ~a).sum()), a.size
