"""Scores that tell images of another kind from those that the network was trained for; larger is more foreign."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from tfcifar.data_quality.nearest import unit_length
from tfcifar.evaluation.metrics import softmax
from tfcifar.evaluation.probabilities import log_sum_exp
from tfcifar.uncertainty import DETECTORS

NEIGHBOURS = 50  # of 45,000 or 50,000 training images: the choice of Sun et al. for CIFAR-10
CHUNK = 500  # images at a time: distances to 50,000 others are then 100 MB


def max_softmax(logits: np.ndarray) -> np.ndarray:
    """1 - the largest softmax probability, 0..1 - 1/k.

    Hendrycks and Gimpel 2017, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples"
    (arXiv:1610.02136).
    """
    return 1 - softmax(logits).max(-1)


def energy(logits: np.ndarray) -> np.ndarray:
    """The free energy -log(sum(exp(logits))) at temperature 1. Liu et al. 2020 (arXiv:2010.03759), equation 4."""
    return -log_sum_exp(logits)


@dataclass(frozen=True)
class TrainingFeatures:
    """What the detectors that look at features need of the training images.

    means: float64 [k', d], of each class that occurs.
    whitening: float64 [d, d], lower triangular, L with L L^T = the covariance within classes, shrunk.
    directions: float32 [n, d], each image's features with length 1.
    """

    means: np.ndarray
    whitening: np.ndarray
    directions: np.ndarray


def fit_features(features: np.ndarray, labels: np.ndarray) -> TrainingFeatures:
    """Describe the features of training images, float [n, d], with their labels, int [n].

    The covariance is shared by all classes and shrunk towards a multiple of the identity by the share that Ledoit and
    Wolf 2004 (doi:10.1016/S0047-259X(03)00096-4) derive: features that are nearly always 0 would make it singular.
    """
    from sklearn.covariance import ledoit_wolf  # slow to import

    features = features.astype(np.float64)
    classes, number = np.unique(labels, return_inverse=True)
    means = np.stack([features[labels == each].mean(0) for each in classes])
    covariance, _ = ledoit_wolf(features - means[number], assume_centered=True)
    return TrainingFeatures(means, cholesky(covariance, lower=True), unit_length(features))


def mahalanobis(features: np.ndarray, training: TrainingFeatures) -> np.ndarray:
    """The squared Mahalanobis distance to the nearest class mean, float64 [n].

    Lee et al. 2018, "A Simple Unified Framework for Detecting Out-of-Distribution Samples" (arXiv:1807.03888),
    equation 2, on the last features alone and without its input perturbation, which would be tuned on foreign images.
    """

    def whitened(values):
        return solve_triangular(training.whitening, values.T.astype(np.float64), lower=True).T

    means = whitened(training.means)
    points = whitened(features)
    return np.min([np.square(points - mean).sum(-1) for mean in means], axis=0)


def neighbour_distance(features: np.ndarray, training: TrainingFeatures, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """The distance of directions to that of the k-th nearest training image, float64 [n], 0..2.

    Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors" (arXiv:2204.06507). With fewer
    training images than `neighbours`, the farthest counts.
    """
    rank = min(neighbours, len(training.directions)) - 1
    distances = []
    for start in range(0, len(features), CHUNK):
        cosines = unit_length(features[start : start + CHUNK]) @ training.directions.T
        nearest = -np.partition(-cosines, rank, axis=1)[:, rank]
        distances.append(np.sqrt(np.maximum(2 - 2 * nearest.astype(np.float64), 0)))
    return np.concatenate(distances)


def foreign_scores(features: np.ndarray, logits: np.ndarray, training: TrainingFeatures) -> dict[str, np.ndarray]:
    """All scores, float64 [n] by name, in the order of DETECTORS."""
    near = mahalanobis(features, training), neighbour_distance(features, training)
    return dict(zip(DETECTORS, (max_softmax(logits), energy(logits), *near), strict=True))


def auroc(own: np.ndarray, foreign: np.ndarray) -> float:
    """The probability that a foreign image scores higher than an own one, ties half; 0.5 is chance."""
    from sklearn.metrics import roc_auc_score  # slow to import

    is_foreign = np.repeat([0, 1], [len(own), len(foreign)])
    return float(roc_auc_score(is_foreign, np.concatenate([own, foreign])))


def fpr95(own: np.ndarray, foreign: np.ndarray) -> float:
    """The share of the foreign images that is let in by the threshold that lets in at least 95% of the own; 0..1."""
    threshold = np.quantile(own, 0.95, method="inverted_cdf")
    return float(np.mean(foreign <= threshold))
