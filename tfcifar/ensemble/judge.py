"""What combinations and members are worth: on the test split, and on validation, cross-validated where fitted."""

from collections.abc import Sequence

import numpy as np

from tfcifar.ensemble.combination import Combination, cross_validated, fit_combination, rows_of
from tfcifar.ensemble.diversity import disagreement, q_statistic
from tfcifar.ensemble.fitting import fit_temperatures
from tfcifar.ensemble.selection import cumulative_curve, gains, greedy_picks
from tfcifar.ensemble.votes import log_probabilities
from tfcifar.evaluation.cross_entropy import cross_entropy
from tfcifar.evaluation.members import Members
from tfcifar.evaluation.metrics import classification_metrics
from tfcifar.evaluation.scaling import fit_temperature, scaled_out_of_fold
from tfcifar.evaluation.statistics import comparison_columns

SPLITS = ("validation", "test")


def fit_and_predict(members: Members, vote: str, picks: int | None) -> tuple[Combination, dict[str, np.ndarray]]:
    """The combination fitted on all of the validation split, and log-probabilities float32 [n, k] by split.

    Those of the validation split are cross-validated: see `cross_validated`.
    """
    logits, labels = members.validation
    combination = fit_combination(members.names, logits, labels, vote, picks)
    predicted = {
        "validation": cross_validated(members.names, logits, labels, vote, picks),
        "test": combination.combine(rows_of(combination.members, members.names, members.test_logits)),
    }
    return combination, {split: each.astype(np.float32) for split, each in predicted.items()}


def best_member(members: Members) -> int:
    """The index of the member with the highest validation accuracy; of equal ones that of the lowest cross-entropy."""
    logits, labels = members.validation
    return max(
        range(len(members.names)),
        key=lambda i: (
            np.mean(logits[i].argmax(-1) == labels),
            -cross_entropy(logits[i].astype(np.float64), labels)[0],
        ),
    )


def member_predictions(members: Members, index: int, calibrated: bool) -> dict[str, np.ndarray]:
    """Logits float [n, k] of one member by split; `calibrated` by its temperature, cross-validated on validation.

    Without the latter a combination of calibrated members would look better by no more than their calibration.
    """
    logits, labels = members.validation
    validation = logits[index]
    if not calibrated:
        return {"validation": validation, "test": members.test_logits[index]}

    return {
        "validation": scaled_out_of_fold(fit_temperature, validation, labels),
        "test": fit_temperature(validation, labels).apply(members.test_logits[index]),
    }


def judge(members: Members, predictions: dict[str, dict[str, np.ndarray]], against: str) -> list[dict]:
    """A row for each split and each of `predictions` (name -> split -> logits).

    Args:
        against: the name with whose accuracy the others' are compared, on the same images.

    Returns:
        `split`, `name`, `n`, `accuracy`, `low`, `high` (its 95% interval), `nll` (nats), `brier`, `ece`; and of the
        comparison `difference`, `difference_low`, `difference_high`, `p_value`, `verdict`: None for `against`.
    """
    rows = []
    for split in SPLITS:
        labels = getattr(members, f"{split}_labels")
        right = {name: each[split].argmax(-1) == labels for name, each in predictions.items()}
        for name, each in predictions.items():
            found = classification_metrics(each[split], labels, members.class_names)
            low, high = found["accuracy_ci95"]
            row = {"split": split, "name": name, "n": found["n"], "accuracy": found["accuracy"], "low": low,
                   "high": high, "nll": found["loss"], "brier": found["brier"], "ece": found["ece"]}  # fmt: skip
            rows.append(row | comparison_columns(right[name], right[against] if name != against else None))
    return rows


def contributions(members: Members, picks: int) -> tuple[list[dict], list[dict]]:
    """What each member adds to the mean probability of calibrated members, on the validation split.

    Returns:
        rows by member: `name`, `accuracy`, `nll` (nats), `temperature`, `picks` (how often greedy selection takes it)
        and its `gains`; and rows of `cumulative_curve` over the picks, with the member's name. The curve is that of the
        images which the picks were chosen by: somewhat too good.
    """
    logits, labels = members.validation
    temperatures = fit_temperatures(logits, labels)
    calibrated = log_probabilities(logits, temperatures)
    order = greedy_picks(calibrated, labels, picks)
    rows = [
        {
            "name": name,
            "accuracy": float(np.mean(each.argmax(-1) == labels)),
            "nll": cross_entropy(each.astype(np.float64), labels)[0],
            "temperature": float(temperature),
            "picks": order.count(index),
            **gain,
        }
        for index, (name, each, temperature, gain) in enumerate(
            zip(members.names, logits, temperatures, gains(calibrated, labels), strict=True)
        )
    ]
    curve = cumulative_curve(calibrated, labels, order)
    return rows, [row | {"member": members.names[row["member"]]} for row in curve]


def diversity(members: Members) -> list[dict]:
    """A row for each pair on the validation split: `a`, `b`, `disagreement` and `q` (None where not defined)."""
    logits, labels = members.validation
    predicted = logits.argmax(-1)
    differ, q = disagreement(predicted), q_statistic(predicted == labels)
    return [
        {
            "a": members.names[i],
            "b": members.names[j],
            "disagreement": float(differ[i, j]),
            "q": None if np.isnan(q[i, j]) else float(q[i, j]),
        }
        for i in range(len(members.names))
        for j in range(i)
    ]


def lowest_nll(rows: list[dict], names: Sequence[str]) -> str:
    """Which of `names` has the lowest cross-validated cross-entropy on the validation split, by rows of `judge`."""
    losses = {row["name"]: row["nll"] for row in rows if row["split"] == "validation" and row["name"] in names}
    return min(losses, key=losses.__getitem__)
