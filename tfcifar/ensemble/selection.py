"""Which members are worth their cost: greedy selection, and what is lost without each.

Source: Caruana, Niculescu-Mizil, Crew and Ksikes 2004, "Ensemble Selection from Libraries of Models",
doi:10.1145/1015330.1015432.
"""

import numpy as np

from tfcifar.ensemble.votes import mixture
from tfcifar.evaluation.cross_entropy import cross_entropy


def greedy_picks(members: np.ndarray, labels: np.ndarray, picks: int) -> list[int]:
    """Members in the order in which each, added once more, lowers the cross-entropy of the mean probability most.

    With replacement, so that a member's weight is how often it was picked. The first is the best single member.

    Args:
        members: log-probabilities, float64 [members, n, k].
        labels: int [n].
        picks: at least 1.

    Returns:
        `picks` indices. Of equal members the first one counts.
    """
    of_label = members[:, np.arange(len(labels)), labels]
    order, summed = [], np.full(len(labels), -np.inf)
    for _ in range(picks):
        candidates = np.logaddexp(summed, of_label)  # log of the summed probabilities, [members, n]
        order.append(int(candidates.mean(1).argmax()))
        summed = candidates[order[-1]]
    return order


def select(members: np.ndarray, labels: np.ndarray, picks: int) -> np.ndarray:
    """How often each member is in the best of the ensembles that `greedy_picks` passes through, int [members].

    The best has the lowest cross-entropy; of equal ones it is the smallest.
    """
    curve = cumulative_curve(members, labels, greedy_picks(members, labels, picks))
    losses = [row["nll"] for row in curve]
    chosen = [row["member"] for row in curve[: int(np.argmin(losses)) + 1]]
    return np.bincount(chosen, minlength=len(members))


def cumulative_curve(members: np.ndarray, labels: np.ndarray, order: list[int]) -> list[dict]:
    """Rows of `pick` (from 1), `member` (index), `nll` (nats) and `accuracy` of the mean probability so far."""
    rows, counts = [], np.zeros(len(members))
    for pick, member in enumerate(order, start=1):
        counts[member] += 1
        rows.append({"pick": pick, "member": member, **_judge(members, labels, counts)})
    return rows


def gains(members: np.ndarray, labels: np.ndarray) -> list[dict]:
    """What the mean probability of all members loses without each of them, which is what this one adds.

    Returns:
        Rows of `nll_gain` (nats) and `accuracy_gain` (fraction), above 0 where the member helps; two members at least.
    """
    counts = np.ones(len(members))
    everyone = _judge(members, labels, counts)
    rows = []
    for left_out in range(len(members)):
        without = _judge(members, labels, np.where(np.arange(len(members)) == left_out, 0, counts))
        rows.append(
            {
                "nll_gain": without["nll"] - everyone["nll"],
                "accuracy_gain": everyone["accuracy"] - without["accuracy"],
            }
        )
    return rows


def _judge(members: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> dict:
    mean = mixture(members, counts / counts.sum())
    return {"nll": cross_entropy(mean, labels)[0], "accuracy": float(np.mean(mean.argmax(-1) == labels))}
