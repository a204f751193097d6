"""Calibration after training: temperature scaling and vector scaling of logits, fitted on the validation split.

Source: Guo, Pleiss, Sun and Weinberger 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599, section 4.2.
"""

from collections.abc import Callable

import numpy as np

from tfcifar.evaluation.cross_entropy import cross_entropy, minimum
from tfcifar.evaluation.cross_validation import out_of_fold
from tfcifar.evaluation.probabilities import Scaling, unscaled

# Of what logits are multiplied by. Where a model makes no mistake on the images fitted to, the best factor is infinite.
SMALLEST, LARGEST = 1e-2, 1e2
LARGEST_BIAS = 50.0  # at the class's mean logit; that of a class which never occurs would be minus infinity


def no_scaling(logits: np.ndarray, labels: np.ndarray) -> Scaling:
    """Leaves logits as they are: what the others are compared with."""
    return unscaled(logits.shape[1])


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> Scaling:
    """The temperature with the lowest cross-entropy, between 0.01 and 100.

    In 1 / temperature the cross-entropy is convex: whatever the start, the minimum found is the only one.

    Args:
        logits: float [n, k], finite; log-probabilities do as well.
        labels: int [n].
    """
    logits, k = logits.astype(np.float64), logits.shape[1]

    def objective(factor):
        loss, gradient = cross_entropy(factor * logits, labels)
        return loss, np.array([(gradient * logits).sum()])

    factor = minimum(objective, np.ones(1), [(SMALLEST, LARGEST)])
    return Scaling("temperature", np.full(k, factor[0]), np.zeros(k))


def fit_vector(logits: np.ndarray, labels: np.ndarray) -> Scaling:
    """The scale and the bias of each class with the lowest cross-entropy; convex too. Biases have the sum 0.

    Args:
        logits, labels: as for `fit_temperature`. With few examples of a class its parameters follow the chance.
    """
    logits, k = logits.astype(np.float64), logits.shape[1]
    # A class that is rarely right has logits far below 0: there its scale and its bias do nearly the same, and the
    # minimizer creeps along between them. About the mean they are apart, and scales of logits of one spread are alike.
    mean, spread = logits.mean(0), np.maximum(logits.std(0), 1e-6)
    standard = (logits - mean) / spread

    def objective(parameters):
        scale, bias = parameters[:k], parameters[k:]
        loss, gradient = cross_entropy(scale * standard + bias, labels)
        return loss, np.concatenate([(gradient * standard).sum(0), gradient.sum(0)])

    bounds = [(SMALLEST * each, LARGEST * each) for each in spread] + [(-LARGEST_BIAS, LARGEST_BIAS)] * k
    parameters = minimum(objective, np.concatenate([spread, mean]), bounds)
    scale = parameters[:k] / spread
    bias = parameters[k:] - scale * mean
    return Scaling("vector", scale, bias - bias.mean())  # a common addend changes no probability


# The simplest first.
METHODS: dict[str, Callable[[np.ndarray, np.ndarray], Scaling]] = {
    "none": no_scaling,
    "temperature": fit_temperature,
    "vector": fit_vector,
}


def scaled_out_of_fold(
    fit: Callable[[np.ndarray, np.ndarray], Scaling], logits: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Log-probabilities of each example by what `fit` makes of the other folds, float64 [n, k]."""
    return out_of_fold(
        lambda fitted_on, held_out: fit(logits[fitted_on], labels[fitted_on]).apply(logits[held_out]), labels
    )
