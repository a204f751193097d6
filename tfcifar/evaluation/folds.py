"""Cross-validation inside one split: predictions for each example by what was fitted without it."""

from collections.abc import Callable

import numpy as np

FOLDS = 5


def stratified_folds(labels: np.ndarray, folds: int = FOLDS, seed: int = 0) -> np.ndarray:
    """The fold of each example, int [n] in 0..folds-1: of each class and in all, as equally many as can be.

    Args:
        labels: int [n].
        seed: fixes which example falls into which fold, on every machine.
    """
    fold_of = np.empty(len(labels), np.int64)
    dealt = 0  # over all classes: dealing each class from fold 0 on would fill the first folds
    for label in np.unique(labels):
        # RandomState, because NumPy promises that its stream never changes; that of Generator may.
        members = np.random.RandomState([seed, label]).permutation(np.flatnonzero(labels == label))
        fold_of[members] = (dealt + np.arange(len(members))) % folds
        dealt += len(members)
    return fold_of


def out_of_fold(
    predict: Callable[[np.ndarray, np.ndarray], np.ndarray], labels: np.ndarray, folds: int = FOLDS, seed: int = 0
) -> np.ndarray:
    """What `predict` says of each example when it was fitted on the other folds.

    Args:
        predict: (indices to fit on, indices to predict) -> float [indices to predict, k].
        labels: int [n], which the folds are stratified by.

    Returns:
        float64 [n, k].
    """
    fold_of = stratified_folds(labels, folds, seed)
    parts = [(np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)) for fold in np.unique(fold_of)]
    predicted = [predict(fitted_on, held_out) for fitted_on, held_out in parts]
    order = np.argsort(np.concatenate([held_out for _, held_out in parts]))
    return np.concatenate(predicted).astype(np.float64)[order]
