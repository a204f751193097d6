"""Which answers of a model to take: probabilities that keep a risk, and logits like those of its own images.

Both bounds are chosen by labelled images that the model was not trained on; an exported file has them on its card.
"""

import numpy as np

from pipelines.errors import InputError
from tfcifar.evaluation.probabilities import Scaling, log_sum_exp

RISKS = (0.005, 0.01, 0.02, 0.05, 0.1)  # that bounds are looked for
CONFIDENCE = 0.95  # with which the true risk is below the one asked for
OWN_SHARE = 0.95  # of the model's own kind of images that is not called foreign
NO_BOUNDS = (
    "the model has no bounds from validation images. python -m tfcifar.evaluate gives them to a run, python -m "
    "export.compress to exported files, unless the run was trained on its validation images."
)


def fit_acceptance(logits: np.ndarray, labels: np.ndarray, scaling: Scaling) -> dict:
    """The bounds, from the validation split.

    Args:
        logits: float32 [n, k].
        labels: int [n].
        scaling: what calibrates the logits; probabilities are meant after it.

    Returns:
        JSON-ready: `fitted_on`; `n` (images); `confidence`; `risks`, rows of `risk`, `min_probability` (answers of at
        least this probability keep the risk, by the guaranteed selection of Geifman and El-Yaniv 2017,
        arXiv:1705.08500) and `coverage` (the share of the images that has it), for those of RISKS that can be kept;
        `own_share`; and `max_energy`, -log(sum(exp(logits))) up to which this share of the images lies: what has more
        is foreign (Liu et al. 2020, arXiv:2010.03759).
    """
    from tfcifar.uncertainty.selective import guaranteed_threshold  # SciPy's statistics: not for those who only read

    log_probabilities = scaling.apply(logits)
    highest, correct = np.exp(log_probabilities.max(-1)), log_probabilities.argmax(-1) == labels
    rows = []
    for risk in RISKS:
        bound = guaranteed_threshold(-highest, correct, risk, 1 - CONFIDENCE)
        if bound is not None:
            coverage = float(np.mean(highest >= -bound))
            rows.append({"risk": risk, "min_probability": -bound, "coverage": coverage})
    return {
        "fitted_on": "validation",
        "n": len(labels),
        "confidence": CONFIDENCE,
        "risks": rows,
        "own_share": OWN_SHARE,
        "max_energy": float(np.quantile(-log_sum_exp(logits), OWN_SHARE, method="inverted_cdf")),
    }


def is_foreign(logits: np.ndarray, acceptance: dict | None) -> list[bool] | list[None]:
    """For each of the logits [n, k] whether its image is unlike the model's own ones; None: no bound is known."""
    if acceptance is None:
        return [None] * len(logits)
    return (-log_sum_exp(logits) > acceptance["max_energy"]).tolist()


def min_probability_for(risk: float, acceptance: dict | None) -> float:
    """The probability from which on answers keep `risk`. Raises InputError where none is known for it."""
    if acceptance is None:
        raise InputError(f"--abstain-above: {NO_BOUNDS} Or choose --min-probability.")
    known = {row["risk"]: row["min_probability"] for row in acceptance["risks"]}
    if risk not in known:
        choices = ", ".join(f"{each:g}" for each in known)
        raise InputError(
            f"--abstain-above: expected one of the risks that {acceptance['n']} validation images can vouch for "
            f"({choices or 'none: there are too few images, or too many errors'}), received {risk:g}."
        )
    return known[risk]
