"""Weights of members and of their classes, fitted on the validation split."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from tfcifar.ensemble.votes import stack
from tfcifar.evaluation.cross_entropy import cross_entropy, minimum, on_one_thread
from tfcifar.evaluation.cross_validation import fitting_masks
from tfcifar.evaluation.scaling import fit_temperature

PENALTIES = (10.0, 1.0, 0.1, 0.01, 1e-3)  # of the weights of a stack, strongest first
PRECISION = 1e-7  # nats: a hundredth of a hundredth of what another validation split would change


def fit_temperatures(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The temperature of each member, float64 [members]: see `fit_temperature`. logits: float [members, n, k]."""
    return np.array([fit_temperature(each, labels).temperature for each in logits])


@on_one_thread
def fit_weights(members: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The mixture of members with the lowest cross-entropy, by sequential quadratic programming (SLSQP).

    Convex in the weights: there is one minimum.

    Args:
        members: log-probabilities, float64 [members, n, k].
        labels: int [n].

    Returns:
        float64 [members], at least 0, with the sum 1.
    """
    count = len(members)
    of_label = members[:, np.arange(len(labels)), labels]
    # Relative to the best member of each image: no exponential underflows where it matters.
    likelihood = np.exp(of_label - of_label.max(0))

    def objective(weights):
        mixed = weights @ likelihood
        return -float(np.log(mixed).mean()), -(likelihood / mixed).mean(1)

    found = minimize(
        objective,
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",
        # Not 0: where a line search leaves an image to members of no weight, its loss would be infinite.
        bounds=[(1e-9, 1)] * count,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    if not found.success:
        raise RuntimeError(f"weights: no minimum of the cross-entropy found: {found.message}")
    weights = np.where(found.x < 1e-6, 0, found.x)
    return weights / weights.sum()


def fit_stack(
    members: np.ndarray, labels: np.ndarray, penalty: float, start: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias of `stack` with the lowest cross-entropy plus `penalty` * the squared distance of the weights
    from those of the geometric mean of the members.

    So the strongest penalty gives equal members and the weakest what the data say; towards weights of 0, as is usual,
    it would give members that say nothing.

    Args:
        members: log-probabilities, float64 [members, n, k].
        start: (weights, bias) to begin with; the minimum does not depend on it.

    Returns:
        weights float64 [members, k, k] and bias float64 [k].
    """
    count, n, k = members.shape
    features = np.moveaxis(members, 0, 1).reshape(n, count * k)
    mean = np.tile(np.eye(k) / count, (count, 1))
    # Members say nearly the same: as they are, their weights would take thousands of steps. Seen through the root of
    # the inverse of what the second derivative is about, all directions are alike, and a hundred steps do.
    doubt = 1 - np.square(np.exp(log_softmax(features @ mean, axis=1))).sum(1)
    values, vectors = np.linalg.eigh(features.T @ (doubt[:, None] * features) / n + 2 * penalty * np.eye(count * k))
    basis = vectors / np.sqrt(values)

    def objective(parameters):
        distance, bias = basis @ parameters[:-k].reshape(count * k, k), parameters[-k:]
        loss, gradient = cross_entropy(features @ (mean + distance) + bias, labels)
        loss += penalty * np.square(distance).sum()
        by_distance = features.T @ gradient + 2 * penalty * distance
        return loss, np.concatenate([(basis.T @ by_distance).ravel(), gradient.sum(0)])

    weights, bias = start if start is not None else (mean, np.zeros(k))
    distance = np.linalg.solve(basis, np.reshape(weights, mean.shape) - mean)
    parameters = minimum(objective, np.concatenate([distance.ravel(), bias]), precision=PRECISION)
    return (mean + basis @ parameters[:-k].reshape(mean.shape)).reshape(count, k, k), parameters[-k:]


@on_one_thread
def fit_best_stack(members: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """`fit_stack` with the penalty of PENALTIES that has the lowest cross-validated cross-entropy.

    Returns:
        weights, bias and the penalty.
    """
    folds = fitting_masks(labels)
    starts: list[tuple[np.ndarray, np.ndarray] | None] = [None] * len(folds)
    lowest, best = np.inf, PENALTIES[0]
    weights, bias = fit_stack(members, labels, best)
    for penalty in PENALTIES:
        by_fold = [fit_stack(members[:, fold], labels[fold], penalty, start)
                   for fold, start in zip(folds, starts, strict=True)]  # fmt: skip
        loss = sum(
            (~fold).sum() * cross_entropy(stack(members[:, ~fold], *fitted), labels[~fold])[0]
            for fold, fitted in zip(folds, by_fold, strict=True)
        )
        if loss >= lowest:  # weaker ones fit the chance, and take the longest
            break
        starts = [*by_fold]
        if penalty != best:  # which the first one is already
            weights, bias = fit_stack(members, labels, penalty, (weights, bias))
        lowest, best = loss, penalty
    return weights, bias, best
