"""How members' predictions become one: hard vote, mixture of probabilities, stacked log-probabilities.

All take and give log-probabilities: however sure a member is, nothing becomes the logarithm of zero.
"""

import numpy as np
from scipy.special import log_softmax, logsumexp


def log_probabilities(logits: np.ndarray, temperatures: np.ndarray) -> np.ndarray:
    """float [members, n, k] -> float64 [members, n, k]; each member's logits divided by its temperature [members]."""
    return log_softmax(logits.astype(np.float64) / temperatures[:, None, None], axis=-1)


def hard_vote(members: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The class that most members predict; of classes with equally many votes the one with the highest summed
    probability.

    A class has as its probability its share of the votes, where all members together have one vote more and divide it
    by their mean probability. That vote can break a tie but overrule no majority, and no class is left with zero.

    Args:
        members: log-probabilities, float64 [members, n, k].
        counts: int [members], the votes of each member.

    Returns:
        Log-probabilities, float64 [n, k].
    """
    k = members.shape[-1]
    votes = np.einsum("m,mnk->nk", counts, np.eye(k)[members.argmax(-1)])
    with np.errstate(divide="ignore"):  # of a class without votes it is minus infinity, to which its share is added
        log_votes = np.log(votes)
    return np.logaddexp(log_votes, mixture(members, counts / counts.sum())) - np.log(counts.sum() + 1)


def mixture(members: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean of the members' probabilities.

    Args:
        members: log-probabilities, float64 [members, n, k].
        weights: float64 [members], at least 0, with the sum 1.

    Returns:
        Log-probabilities, float64 [n, k].
    """
    return logsumexp(members, axis=0, b=weights[:, None, None])


def stack(members: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Multinomial logistic regression on the members' log-probabilities.

    Wolpert 1992, "Stacked Generalization", doi:10.1016/S0893-6080(05)80023-1.

    Args:
        members: log-probabilities, float64 [members, n, k].
        weights: float64 [members, k, k], from each member's classes to those of the ensemble; bias: float64 [k].

    Returns:
        Log-probabilities, float64 [n, k].
    """
    return log_softmax(np.einsum("mnj,mjk->nk", members, weights, optimize=True) + bias, axis=-1)
