"""From the episodes of a few-shot benchmark to the rows of its tables, and which method to advise."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcifar.evaluation.statistics import mean_interval
from tfcifar.evaluation.t_tests import holm, paired_t, verdict_of
from tfcifar.fewshot import METHODS
from tfcifar.fewshot.benchmark_run import Judged

MARGIN = 0.01  # of accuracy: what a method that costs more has to be better by


@dataclass(frozen=True)
class Row:
    """A method on a data set with so many shots, over all draws of its classes; fractions.

    accuracy: None where it has failed in a draw. interval95: half a width, over draws, of one draw over episodes;
    within: mean of the draws' own. behind_best, p_value: the best method of the column less this one, and the chance
    of it, corrected for the methods of the column.
    """

    data: str
    ways: int
    shots: int
    method: str
    accuracy: float | None
    interval95: float
    within: float
    training_seconds: float
    learn_seconds: float
    behind_best: float | None = None
    p_value: float = 1.0
    ahead_everywhere: bool = False  # the best one, in every draw

    @property
    def clearly_worse(self) -> bool:
        """So far behind the best that the price of the best may be worth it."""
        if self.accuracy is None:
            return True
        significant = verdict_of(self.p_value) == "significant" and self.ahead_everywhere
        return bool(self.behind_best is not None and self.behind_best >= MARGIN and significant)


def draw_rows(judged: list[Judged]) -> list[dict]:
    """For fewshot.csv: a row for each judgement, with the interval over its episodes."""
    rows = []
    for each in judged:
        mean, half = (None, None) if each.accuracies is None else mean_interval(each.accuracies)
        rows.append(
            {
                "data": each.data,
                "draw": each.draw,
                "ways": each.ways,
                "shots": each.shots,
                "method": each.method,
                "accuracy": None if mean is None else round(mean, 5),
                "interval95": None if half is None else round(half, 5),
                "episodes": 0 if each.accuracies is None else len(each.accuracies),
                "test_classes": " ".join(each.pool.test_classes),
                "training_seconds": round(each.training_seconds, 1),
                "learn_milliseconds": round(1000 * each.learn_seconds, 1),
            }
        )
    return rows


def columns(judged: list[Judged]) -> list[list[Row]]:
    """The rows of each column of the table, a data set with so many shots, in the order of METHODS."""
    keys = dict.fromkeys((each.data, each.shots) for each in judged)
    return [_column([each for each in judged if (each.data, each.shots) == key]) for key in keys]


def advised(column: list[Row]) -> Row:
    """The method to take: the simplest from which the best is not clearly ahead."""
    return next(row for row in column if not row.clearly_worse)


def best_of(column: list[Row]) -> Row:
    return max(column, key=lambda row: -1.0 if row.accuracy is None else row.accuracy)


def _column(judged: list[Judged]) -> list[Row]:
    names = [name for name in METHODS if any(each.method == name for each in judged)]
    draws = {name: [each for each in judged if each.method == name] for name in names}
    values = {
        name: [each.accuracies for each in draws[name] if each.accuracies is not None]
        for name in names
        if all(each.accuracies is not None for each in draws[name])
    }
    if not values:
        return [_row(draws[name], None) for name in names]
    best = max(values, key=lambda name: float(np.mean(values[name])))
    others = [name for name in values if name != best]
    tests = {name: paired_t(np.concatenate(values[best]), np.concatenate(values[name])) for name in others}
    corrected = dict(zip(others, holm([tests[name]["p_value"] for name in others]), strict=True))
    rows = []
    for name in names:
        compared: dict[str, Any] = {}
        if name in tests:
            ahead = all(a.mean() > b.mean() for a, b in zip(values[best], values[name], strict=True))
            compared = {"behind_best": tests[name]["difference"], "p_value": corrected[name], "ahead_everywhere": ahead}
        rows.append(_row(draws[name], values.get(name), **compared))
    return rows


def _row(draws: list[Judged], values: list[np.ndarray] | None, **compared: Any) -> Row:
    first = draws[0]
    accuracy, interval, within = None, 0.0, 0.0
    if values is not None:
        means = [float(each.mean()) for each in values]
        within = float(np.mean([mean_interval(each)[1] for each in values]))
        accuracy, interval = mean_interval(means) if len(means) > 1 else (means[0], within)
    training, learning = (
        float(np.mean([getattr(each, name) for each in draws])) for name in ("training_seconds", "learn_seconds")
    )
    return Row(
        first.data, first.ways, first.shots, first.method, accuracy, interval, within, training, learning, **compared
    )
