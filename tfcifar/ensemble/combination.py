"""One way to make members' predictions one: which members, with which weights; fitted, judged and applied."""

from dataclasses import dataclass

import numpy as np

from tfcifar.ensemble.fitting import fit_best_stack, fit_temperatures, fit_weights
from tfcifar.ensemble.selection import select
from tfcifar.ensemble.votes import hard_vote, log_probabilities, mixture, stack
from tfcifar.evaluation.cross_validation import out_of_fold


@dataclass(frozen=True)
class Combination:
    """What `combine` needs. m is the number of members that are in it, k that of classes.

    members: names, in the order in which `combine` takes their logits.
    counts: int [m], how often selection picked each; ones without selection.
    temperatures: float64 [m], by which logits are divided first; ones for hard and soft votes without selection.
    weights: float64; of members [m] for weighted, of members' classes [m, k, k] for stacked, else None.
    bias: float64 [k] for stacked, else None.
    penalty: of stacked weights, see `fit_stack`, else None.
    """

    vote: str
    members: tuple[str, ...]
    counts: np.ndarray
    temperatures: np.ndarray
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None
    penalty: float | None = None

    def combine(self, logits: np.ndarray) -> np.ndarray:
        """Logits of `members`, float [m, n, k] -> log-probabilities, float64 [n, k]."""
        if logits.ndim != 3 or len(logits) != len(self.members):
            raise ValueError(
                f"logits: expected shape [{len(self.members)}, n, k], in the order {', '.join(self.members)}. "
                f"Received: {list(logits.shape)}"
            )
        members = log_probabilities(logits, self.temperatures)
        if self.vote == "hard":
            return hard_vote(members, self.counts)
        if self.vote == "soft":
            return mixture(members, self.counts / self.counts.sum())
        if self.weights is None:
            raise ValueError(f"weights: expected those of a {self.vote} vote. Received: None")
        return mixture(members, self.weights) if self.bias is None else stack(members, self.weights, self.bias)


def fit_combination(
    names: tuple[str, ...], logits: np.ndarray, labels: np.ndarray, vote: str, picks: int | None = None
) -> Combination:
    """The combination of kind `vote` that fits these examples best.

    Args:
        names: of the members.
        logits: float [members, n, k]; labels: int [n].
        vote: one of VOTES.
        picks: of greedy selection, by which members are chosen first; hard and soft votes count each as often as it
            was picked. Members are calibrated before, so that selection goes by what they know and not by how sure
            they are (Caruana, Munson and Niculescu-Mizil 2006, doi:10.1109/ICDM.2006.76). None: all members, once.

    Returns:
        Members without weight are not in it.
    """
    counts, temperatures = np.ones(len(names), np.int64), np.ones(len(names))
    if picks is not None or vote in ("weighted", "stacked"):
        temperatures = fit_temperatures(logits, labels)
    calibrated = log_probabilities(logits, temperatures)
    if picks is not None:
        counts = select(calibrated, labels, picks)
    chosen, fitted = np.flatnonzero(counts), {}
    if vote == "weighted":
        weights = fit_weights(calibrated[chosen], labels)
        chosen, fitted = chosen[weights > 0], {"weights": weights[weights > 0]}
    elif vote == "stacked":
        fitted = dict(zip(("weights", "bias", "penalty"), fit_best_stack(calibrated[chosen], labels), strict=True))
    return Combination(vote, tuple(names[i] for i in chosen), counts[chosen], temperatures[chosen], **fitted)


def rows_of(members: tuple[str, ...], names: tuple[str, ...], logits: np.ndarray) -> np.ndarray:
    """The logits of `members`, in their order, from those of all `names`: float [names, n, k] -> [members, n, k]."""
    return logits[[names.index(member) for member in members]]


def cross_validated(
    names: tuple[str, ...], logits: np.ndarray, labels: np.ndarray, vote: str, picks: int | None = None
) -> np.ndarray:
    """What combinations fitted on the other folds say of each example: log-probabilities, float64 [n, k].

    Selection, temperatures, weights and the penalty are all fitted anew in each fold. A hard or soft vote of all
    members has nothing to fit and is the plain one.
    """

    def predict(fitted_on, held_out):
        combination = fit_combination(names, logits[:, fitted_on], labels[fitted_on], vote, picks)
        return combination.combine(rows_of(combination.members, names, logits[:, held_out]))

    return out_of_fold(predict, labels)
