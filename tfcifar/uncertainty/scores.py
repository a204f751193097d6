"""From what a run's passes gave to every number of its reports."""

import numpy as np
from scipy.stats import spearmanr

from tfcifar.evaluation.statistics import wilson_interval
from tfcifar.uncertainty import BALD, ENTROPY, MC_DROPOUT, SINGLE
from tfcifar.uncertainty.detectors import auroc, fpr95
from tfcifar.uncertainty.foreign_images import OWN
from tfcifar.uncertainty.outputs import Judged, Outputs
from tfcifar.uncertainty.selective import (
    aurc,
    compare_aurc,
    error_by_part,
    errors_among_most_certain,
    excess_aurc,
    guaranteed_threshold,
    largest_fall,
    significant_falls,
    threshold_for_risk,
)

TARGETS = (0.01, 0.02)  # risks that a threshold is asked for
CHOICES = {"empirical": threshold_for_risk, "guaranteed": guaranteed_threshold}
CURVE_POINTS = 100  # coverages at which figures show the risk
BINS = 50


def score_run(outputs: Outputs, name: str) -> dict:
    """The content of scores.json, ready for JSON.

    Returns:
        `run` and the settings; `n`, `threshold_from` and `sources` of `score_sources`; `detection`, a row for each
        detector and kind of foreign images: `detector`, `images`, `n`, `auroc` and `fpr95` (fractions); `histograms`,
        see `histogram`, by detector; and, with MC dropout, `against_single`: `compare_aurc` of it and the single pass
        by predictive entropy.
    """
    split = outputs.settings["split"]
    scores = {"run": name, **outputs.settings, **score_sources(outputs.judged, split)}
    if MC_DROPOUT in outputs.judged[split]:
        sources = outputs.judged[split]
        scores["against_single"] = compare_aurc(sources[MC_DROPOUT], sources[SINGLE], ENTROPY)
    own = outputs.foreign[OWN]
    kinds = {kind: values for kind, values in outputs.foreign.items() if kind != OWN}
    scores["detection"] = [
        {
            "detector": detector,
            "images": kind,
            "n": len(values[detector]),
            "auroc": auroc(own[detector], values[detector]),
            "fpr95": fpr95(own[detector], values[detector]),
        }
        for detector in own
        for kind, values in kinds.items()
    ]
    scores["histograms"] = {
        detector: histogram({kind: values[detector] for kind, values in outputs.foreign.items()}) for detector in own
    }
    return scores


def score_sources(judged: dict[str, dict[str, Judged]], split: str) -> dict:
    """Judge the sources of predictions on one split.

    Thresholds are chosen by other images than they are judged on: for the test split by the validation split, for the
    validation split by a random half of it.

    Args:
        judged: by split, then by source.
        split: to judge.

    Returns:
        `n` (images), `threshold_from` ("validation", "half of validation", or None: there are no images to choose by)
        and `sources`, by name: `accuracy`, `agreement` (Spearman's rank correlation of mutual information and
        predictive entropy; None for a single pass or where one is constant) and `measures`, see `score_measure`.
    """
    sources = judged[split]
    choosing: dict[str, Judged] | None
    threshold_from: str | None
    n = len(next(iter(sources.values())).correct)
    if split == "validation":
        order = np.random.default_rng(0).permutation(n)
        choosing = {name: each.take(order[: n // 2]) for name, each in sources.items()}
        kept = {name: each.take(order[n // 2 :]) for name, each in sources.items()}
        threshold_from = "half of validation"
    else:
        choosing, kept = judged.get("validation"), sources
        threshold_from = "validation" if choosing else None
    return {
        "n": n,
        "threshold_from": threshold_from,
        "sources": {
            name: {
                "accuracy": float(each.correct.mean()),
                "agreement": agreement(each),
                "measures": {
                    measure: score_measure(values, each.correct)
                    | {"thresholds": thresholds(choosing[name], kept[name], measure) if choosing else []}
                    for measure, values in each.uncertainty.items()
                },
            }
            for name, each in sources.items()
        },
    }


def agreement(judged: Judged) -> float | None:
    """Spearman's rank correlation of mutual information (BALD) and predictive entropy; None where there is none."""
    if BALD not in judged.uncertainty:
        return None
    bald, entropy = judged.uncertainty[BALD], judged.uncertainty[ENTROPY]
    return float(spearmanr(bald, entropy).statistic) if np.ptp(bald) and np.ptp(entropy) else None


def score_measure(uncertainty: np.ndarray, correct: np.ndarray) -> dict:
    """How well one measure orders predictions by whether they are right.

    Returns:
        `aurc`, `excess_aurc`; `deciles`, error rates from the most certain tenth to the least certain, `monotone`
        (they never fall), `largest_fall` (a fraction) and `significant_falls` (count); `curve` of `coverage` and
        `risk`.
    """
    deciles = error_by_part(uncertainty, correct)
    coverage = np.arange(1, CURVE_POINTS + 1) / CURVE_POINTS
    kept = coverage * len(correct)
    fall = largest_fall(deciles)
    return {
        "aurc": aurc(uncertainty, correct),
        "excess_aurc": excess_aurc(uncertainty, correct),
        "deciles": deciles.tolist(),
        "monotone": fall == 0,
        "largest_fall": fall,
        "significant_falls": significant_falls(deciles, len(correct)),
        "curve": {
            "coverage": coverage.tolist(),
            "risk": (errors_among_most_certain(uncertainty, correct, kept) / kept).tolist(),
        },
    }


def thresholds(choosing: Judged, judged: Judged, measure: str) -> list[dict]:
    """What thresholds chosen on some images do on others.

    Returns:
        Rows of `target` (risk), `choice` (see CHOICES), `threshold` (of the measure; None: none keeps the target),
        `coverage`, `risk` (None where nothing is kept) and its `interval95` (Wilson).
    """
    rows = []
    for target in TARGETS:
        for choice, choose in CHOICES.items():
            threshold = choose(choosing.uncertainty[measure], choosing.correct, target)
            kept = np.zeros(len(judged.correct), bool)
            if threshold is not None:
                kept = judged.uncertainty[measure] <= threshold
            count, errors = int(kept.sum()), int((kept & ~judged.correct).sum())
            rows.append(
                {
                    "target": target,
                    "choice": choice,
                    "threshold": threshold,
                    "coverage": count / len(kept),
                    "risk": errors / count if count else None,
                    "interval95": list(wilson_interval(errors, count)) if count else None,
                }
            )
    return rows


def histogram(scores: dict[str, np.ndarray]) -> dict:
    """Shares of each kind's scores in common bins.

    The bins reach from the 1st to the 99th percentile of the kinds, the lowest and the highest of them; what lies
    beyond counts in the outermost.

    Returns:
        `edges` [BINS + 1] and `shares` [BINS] by kind, fractions that add up to 1.
    """
    ends = np.array([np.quantile(values, [0.01, 0.99]) for values in scores.values()])
    low, high = ends[:, 0].min(), ends[:, 1].max()
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    return {
        "edges": edges.tolist(),
        "shares": {
            kind: (np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / len(values)).tolist()
            for kind, values in scores.items()
        },
    }
