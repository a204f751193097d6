"""Cross-validation inside one split: predictions for each example by what was fitted without it."""

from collections.abc import Callable

import numpy as np

from pipelines.folds import fold_of

FOLDS = 5


def out_of_fold(predict: Callable[[np.ndarray, np.ndarray], np.ndarray], labels: np.ndarray) -> np.ndarray:
    """What `predict` says of each example when it was fitted on the other folds.

    Args:
        predict: (indices to fit on, indices to predict) -> float [indices to predict, k].
        labels: int [n], which the folds are stratified by.

    Returns:
        float64 [n, k].
    """
    parts = [(np.flatnonzero(fitted_on), np.flatnonzero(~fitted_on)) for fitted_on in fitting_masks(labels)]
    predicted = [predict(fitted_on, held_out) for fitted_on, held_out in parts]
    order = np.argsort(np.concatenate([held_out for _, held_out in parts]))
    return np.concatenate(predicted).astype(np.float64)[order]


def fitting_masks(labels: np.ndarray) -> list[np.ndarray]:
    """For each fold that holds an example, which examples are in the others, bool [n]."""
    fold = fold_of(labels, FOLDS, seed=0)
    return [fold != held_out for held_out in np.unique(fold)]
