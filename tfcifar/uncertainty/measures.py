"""Numbers for how uncertain a prediction is, from the probabilities of one or several passes."""

import numpy as np
from scipy.special import entr

from tfcifar.uncertainty import MEASURES, SINGLE_MEASURES


def uncertainties(probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """All measures of several passes; of a single one only those that say something.

    Args:
        probabilities: [passes, n, k], over k classes, from samples of dropout or the members of an ensemble.

    Returns:
        float64 [n] by name, in the order of MEASURES (of SINGLE_MEASURES for one pass); larger is less certain.
    """
    total = predictive_entropy(probabilities)
    values = {
        "predictive_entropy": total,
        "expected_entropy": expected_entropy(probabilities),
        "mutual_information": mutual_information(probabilities),
        "1 - max_probability": 1 - max_probability(probabilities),
        "variation_ratio": variation_ratio(probabilities),
    }
    return {name: values[name] for name in (MEASURES if len(probabilities) > 1 else SINGLE_MEASURES)}


def predictive_entropy(probabilities: np.ndarray) -> np.ndarray:
    """The entropy of the mean prediction: all uncertainty, of whatever kind. Nats, 0..log(k); float64 [n]."""
    return entr(_mean(probabilities)).sum(-1)


def expected_entropy(probabilities: np.ndarray) -> np.ndarray:
    """The mean entropy of the single predictions: what stays when the weights are known. Nats, 0..log(k)."""
    return np.mean([entr(each.astype(np.float64)).sum(-1) for each in probabilities], axis=0)


def mutual_information(probabilities: np.ndarray) -> np.ndarray:
    """BALD: by how much the passes disagree, predictive minus expected entropy. Nats, 0..log(min(passes, k)).

    The information that the label would give about the weights: Houlsby et al. 2011, "Bayesian Active Learning for
    Classification and Preference Learning" (arXiv:1112.5745), equation 2.
    """
    # At least 0 by Jensen's inequality; the difference of two nearly equal sums may round to below.
    return np.maximum(predictive_entropy(probabilities) - expected_entropy(probabilities), 0)


def max_probability(probabilities: np.ndarray) -> np.ndarray:
    """The largest mean probability, 1/k..1."""
    return _mean(probabilities).max(-1)


def variation_ratio(probabilities: np.ndarray) -> np.ndarray:
    """The share of the passes that do not vote for the most voted class, 0..1 - 1/k.

    Freeman 1965, Elementary Applied Statistics; for dropout Gal 2016, "Uncertainty in Deep Learning", section 3.3.
    """
    votes = probabilities.argmax(-1)
    most = np.zeros(votes.shape[1], int)
    for label in range(probabilities.shape[-1]):
        most = np.maximum(most, (votes == label).sum(0))
    return 1 - most / len(votes)


def _mean(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(np.mean(probabilities, axis=0, dtype=np.float64))
