"""Selective prediction: a classifier may abstain where it is unsure; what risk is left at which coverage.

Geifman and El-Yaniv 2017, "Selective Classification for Deep Neural Networks" (arXiv:1705.08500); Geifman, Uziel and
El-Yaniv 2019, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers" (arXiv:1805.08206).

Predictions of equal uncertainty have no order. Every figure here is the expectation over their random orders.
"""

import math
from itertools import pairwise

import numpy as np
from scipy.stats import beta, fisher_exact

from tfcifar.evaluation.statistics import SIGNIFICANCE_LEVEL, verdict
from tfcifar.uncertainty.outputs import Judged


def risk_coverage(uncertainty: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The error rate of the most certain predictions, for each number of them.

    Args:
        uncertainty: [n], n > 0, finite; larger is less certain.
        correct: bool [n].

    Returns:
        coverage (share of predictions kept, 1/n..1) and risk (share of errors among them), float64 [n] each.
    """
    kept = np.arange(1, len(correct) + 1)
    return kept / len(correct), errors_among_most_certain(uncertainty, correct, kept) / kept


def errors_among_most_certain(uncertainty: np.ndarray, correct: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Expected number of errors among the `kept` (numbers, 0..n, fractions too) most certain predictions."""
    ends, errors = _groups(uncertainty, correct)
    return np.interp(kept, [0, *ends], [0, *errors])


def aurc(uncertainty: np.ndarray, correct: np.ndarray) -> float:
    """Area under the risk-coverage curve, a fraction, lower is better: the mean risk over all coverages.

    Geifman et al. 2019, section 3. It falls with the error rate too: see `excess_aurc`.
    """
    return float(risk_coverage(uncertainty, correct)[1].mean())


def excess_aurc(uncertainty: np.ndarray, correct: np.ndarray) -> float:
    """AURC minus that of an oracle with the same errors that is least certain of all of them; 0 is perfect.

    Geifman et al. 2019, equation 2, with the oracle's area summed instead of their approximation for many examples,
    error + (1 - error) log(1 - error).
    """
    return aurc(uncertainty, correct) - aurc(~np.asarray(correct), correct)


def threshold_for_risk(uncertainty: np.ndarray, correct: np.ndarray, target: float) -> float | None:
    """The largest uncertainty up to which at most the share `target` of the predictions are errors; None: nowhere.

    On the images that chose it the target is met by construction, on others only about: see `guaranteed_threshold`.
    """
    ends, errors = _groups(uncertainty, correct)
    fitting = np.flatnonzero(errors <= target * ends)
    return float(np.sort(uncertainty)[ends[fitting[-1]] - 1]) if len(fitting) else None


def guaranteed_threshold(
    uncertainty: np.ndarray, correct: np.ndarray, target: float, delta: float = 0.05
) -> float | None:
    """A threshold that keeps the true risk below `target` with probability 1 - `delta`; None: no such is found.

    Algorithm 1 (SGR) of Geifman and El-Yaniv 2017: a binary search in which each of the log2(n) thresholds passes
    where the exact binomial upper bound of its risk, at confidence 1 - delta / log2(n), is below the target.
    """
    ordered = np.sort(uncertainty)
    steps = math.ceil(math.log2(max(2, len(ordered))))
    low, high, found = 0, len(ordered) - 1, None
    for _ in range(steps):
        middle = (low + high + 1) // 2
        kept = uncertainty <= ordered[middle]
        errors = int((kept & ~correct).sum())
        if risk_bound(errors, int(kept.sum()), delta / steps) < target:
            low, found = middle, float(ordered[middle])
        else:
            high = middle
    return found


def risk_bound(errors: int, n: int, delta: float) -> float:
    """The risk at which `errors` or fewer of `n` have the probability `delta` (Clopper and Pearson 1934)."""
    return 1.0 if errors >= n else float(beta.ppf(1 - delta, errors + 1, n - errors))


def compare_aurc(one: Judged, other: Judged, measure: str, samples: int = 1000, seed: int = 0) -> dict:
    """Two sources of uncertainty about the same images by their AURC.

    Args:
        measure: by which both order their predictions.
        samples: resampled sets of images.
        seed: fixes the resampling.

    Returns:
        `one`, `other` (AURC), `difference` (one - other; negative where one is better), `interval95` [low, high]
        (paired percentile bootstrap) and `verdict`: "significant" if the interval leaves out 0, else "not significant".

    Raises:
        ValueError: they differ in their number of images.
    """
    if len(one.correct) != len(other.correct):
        raise ValueError(
            f"one, other: expected the same images. Received: {len(one.correct)} and {len(other.correct)} of them"
        )
    rng, n = np.random.default_rng(seed), len(one.correct)
    pairs = [(each.uncertainty[measure], each.correct) for each in (one, other)]
    differences = np.empty(samples)
    for index in range(samples):
        drawn = rng.integers(0, n, n)
        first, second = (aurc(uncertainty[drawn], correct[drawn]) for uncertainty, correct in pairs)
        differences[index] = first - second
    low, high = np.quantile(differences, [0.025, 0.975])
    first, second = (aurc(*pair) for pair in pairs)
    return {
        "one": first,
        "other": second,
        "difference": first - second,
        "interval95": [float(low), float(high)],
        "verdict": verdict(low, high),
    }


def error_by_part(uncertainty: np.ndarray, correct: np.ndarray, parts: int = 10) -> np.ndarray:
    """The error rate of each of `parts` equal parts, from the most to the least certain; float64 [parts], 0..1."""
    edges = np.linspace(0, len(correct), parts + 1)
    return np.diff(errors_among_most_certain(uncertainty, correct, edges)) * parts / len(correct)


def largest_fall(error_rates: np.ndarray) -> float:
    """The largest step downwards of rates that should rise with the uncertainty; 0 where they never fall."""
    fall = -float(np.diff(error_rates).min())
    return fall if fall > 1e-9 else 0.0  # less is rounding: an error in a billion predictions


def significant_falls(error_rates: np.ndarray, n: int) -> int:
    """How many steps downwards chance does not explain, of `error_rates` in equal parts of `n` predictions.

    Fisher's exact test of each two neighbours, one-sided, at 5% over all steps together (Bonferroni).
    """
    size = round(n / len(error_rates))
    errors = np.round(np.asarray(error_rates) * size).astype(int)
    p_values = [
        fisher_exact([[before, size - before], [after, size - after]], alternative="greater").pvalue
        for before, after in pairwise(errors)
    ]
    return int(sum(p_value < SIGNIFICANCE_LEVEL / len(p_values) for p_value in p_values))


def _groups(uncertainty: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of predictions of equal uncertainty, from the surest: how many are this sure or surer, and errors of these."""
    uncertainty, correct = np.asarray(uncertainty, np.float64), np.asarray(correct)
    if correct.dtype != bool or correct.ndim != 1 or uncertainty.shape != correct.shape or not len(correct):
        raise ValueError(
            "uncertainty, correct: expected numbers and bool, both [n], n > 0. "
            f"Received: {list(uncertainty.shape)}, {correct.dtype} {list(correct.shape)}"
        )
    if not np.isfinite(uncertainty).all():
        raise ValueError("uncertainty: expected finite numbers. Received: NaN or infinity")
    order = np.argsort(uncertainty, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(uncertainty[order]) > 0, True)) + 1
    return ends, np.cumsum(~correct[order])[ends - 1]
