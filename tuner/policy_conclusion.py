"""What a comparison of augmentation policies at full budget allows to say, in sentences, whichever way it falls."""

from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfcifar.evaluation.run_grid import GridRow
from tfcifar.evaluation.t_tests import holm, paired_t, verdict_of
from tfcifar.run_dir import write_text
from tuner.policy_searches import SEARCHES, WITHOUT, Found

CONCLUSION = "conclusion.md"
# What is least to set up first: two numbers, then policies that were drawn, then those that were learned.
SIMPLEST_FIRST = (WITHOUT, SEARCHES["randaugment"], SEARCHES["random"], SEARCHES["reinforce"])


class Pair(NamedTuple):
    """Row a against row b. difference: of accuracies, a minus b; half_width: of its 95% interval (paired t);
    p_value: corrected.
    """

    a: str
    b: str
    difference: float
    half_width: float
    p_value: float

    @property
    def significant(self) -> bool:
        return verdict_of(self.p_value) == "significant"


def write_conclusion(found: list[Found], results: list[GridRow], output: Path) -> str:
    """Write conclusion.md into `output`; return its text.

    Args:
        found: of the searches; results: of what each found, and of training without.
    """
    seeds = len(results[0].seeds)
    if seeds < 2:
        text = "One seed shows no difference: give --compare three or more.\n"
    else:
        pairs = compare_rows(results)
        lines = [
            "| a - b | points | 95% interval | p | |",
            "|---|--:|--:|--:|---|",
            *map(_line, pairs),
            "",
            *(f"- {sentence(pair, seeds)}" for pair in pairs),
            "",
            recommendation(found, results, pairs),
            "",
            f"Validation accuracy at full budget, {seeds} seeds, the same in every row. The test is Student's t of the "
            f"differences by seed, p is corrected for {len(pairs)} comparisons (Holm). The bootstrap of ablation.md is "
            "over images too, and too wide with few seeds. All this is about the policies that were found, by one "
            "search of each kind, not about the kinds of search: another search finds others.",
        ]
        text = "\n".join(lines) + "\n"
    write_text(output / CONCLUSION, f"# Conclusion\n\n{text}")
    return text


def compare_rows(results: list[GridRow]) -> list[Pair]:
    """All pairs of rows, in their order; at least two seeds each."""
    both = list(combinations(results, 2))
    tests = [paired_t(a.correct.mean(1), b.correct.mean(1)) for a, b in both]
    corrected = holm([each["p_value"] for each in tests])
    return [
        Pair(a.name, b.name, test["difference"], test["half_width"], p_value)
        for (a, b), test, p_value in zip(both, tests, corrected, strict=True)
    ]


def _line(pair: Pair) -> str:
    return (
        f"| {pair.a} - {pair.b} | {100 * pair.difference:+.2f} | ± {100 * pair.half_width:.2f} | {pair.p_value:.2g} "
        f"| {verdict_of(pair.p_value)} |"
    )


def sentence(pair: Pair, seeds: int) -> str:
    """A comparison in words."""
    if pair.significant:
        better, worse = (pair.a, pair.b) if pair.difference > 0 else (pair.b, pair.a)
        return f"{better} is better than {worse} by {100 * abs(pair.difference):.2f} points (p = {pair.p_value:.2g})."
    return (
        f"{pair.a} and {pair.b}: no difference is shown ({100 * pair.difference:+.2f} points, p = {pair.p_value:.2g}). "
        f"With {seeds} seeds, differences below about {100 * pair.half_width:.2f} points could not be seen."
    )


def recommendation(found: list[Found], results: list[GridRow], pairs: list[Pair]) -> str:
    """What to train with, and what it costs: of what is not significantly worse than the best row, the simplest."""
    rows = {row.name: row for row in results}
    best = max(results, key=lambda row: row.correct.mean()).name
    worse = {pair.a if pair.b == best else pair.b for pair in pairs if pair.significant and best in (pair.a, pair.b)}
    take = min((name for name in rows if name not in worse), key=SIMPLEST_FIRST.index)
    if take == WITHOUT:
        return f"**Recommendation: train without a policy.** None that was found is shown to be better{_ahead(best)}."
    (search,) = (each for each in found if SEARCHES[each.search] == take)
    more = (np.mean(rows[take].seconds) - np.mean(rows[WITHOUT].seconds)) / 60
    gain = rows[take].correct.mean() - rows[WITHOUT].correct.mean()
    text = (
        f"**Recommendation: train with the result of {take}**, {100 * gain:+.2f} points against {WITHOUT}. Cost: "
        f"{search.seconds / 3600:.1f} hours of search once, and {more:+.1f} minutes a run (without: "
        f"{np.mean(rows[WITHOUT].seconds) / 60:.1f})."
    )
    return text if take == best else f"{text} It is the simplest of those that are level{_ahead(best)}."


def _ahead(best: str) -> str:
    return "" if best == WITHOUT else f"; {best} is ahead, not significantly"
