"""Logistic regression on the features of a frozen network.

Tian et al. 2020, "Rethinking Few-Shot Image Classification: a Good Embedding Is All You Need?", arXiv:2003.11539.
"""

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression

from tfcifar.fewshot.methods import Learned
from tfcifar.fewshot.methods.feature_head import Features

INVERSE_PENALTY = 1.0  # scikit-learn's C, its default; 10 was no better on meta-validation classes, 100 worse
ITERATIONS = 1000


def fit_head(features: np.ndarray, labels: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Kernel [d, k] and bias [k] of a regression on features [n, d] and labels [n], all of which occur."""
    fitted = LogisticRegression(C=INVERSE_PENALTY, max_iter=ITERATIONS).fit(features.astype(np.float64), labels)
    if num_classes == 2:  # scikit-learn has one column then, the difference
        return np.concatenate([-fitted.coef_, fitted.coef_]).T / 2, np.array([-1, 1]) * fitted.intercept_ / 2
    return fitted.coef_.T, fitted.intercept_


class LinearProbe:
    name = "linear_probe"

    def __init__(self, model: keras.Model, remember: bool = False):
        self.features = Features(model, remember)

    def learn(self, images: np.ndarray, labels: np.ndarray, num_classes: int) -> Learned:
        return self.features.learned(*fit_head(self.features(images), labels, num_classes))
