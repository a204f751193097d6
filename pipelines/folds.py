"""Folds: the images that may be trained on, in equal parts, to be held out from training one after the other."""

import numpy as np


def fold_of(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold 0..folds-1 of each example, int64 [n]; stratified, and the same on every machine.

    Of each class, and of all examples, no fold holds more than one example more than another.

    Args:
        labels: int64 [n], class numbers.
        folds: at least 2.
        seed: 0..2**32-1, fixes who is in which fold.
    """
    fold = np.empty(len(labels), np.int64)
    dealt = 0  # cards are dealt on from class to class: otherwise every class would give its odd one to fold 0
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        # RandomState, because NumPy promises that its stream never changes; that of Generator may.
        order = np.random.RandomState([seed, label, folds]).permutation(members)
        fold[order] = (dealt + np.arange(len(members))) % folds
        dealt += len(members)
    return fold
