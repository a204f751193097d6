"""What is said of a comparison: known differences, and whether trials became better."""

import re
from pathlib import Path

import numpy as np
import pytest

from tfcifar.evaluation.run_grid import GridRow
from tuner.policy_conclusion import compare_rows, write_conclusion
from tuner.policy_report import learning
from tuner.policy_searches import Found

ROWS = ("learned policy", "random search", "RandAugment", "no policy")
SEARCHED = [
    Found(search, Path("policy.json"), {}, [{"seconds": 1800.0}, {"seconds": None}, {"seconds": 1800.0}])
    for search in ("reinforce", "random", "randaugment")
]


def row(name, right, seconds=600.0):
    """Right answers of 1,000, by seed."""
    correct = np.stack([np.arange(1000) < each for each in right])
    return GridRow(name, list(range(len(right))), correct, [seconds] * len(right), [])


def conclude(tmp_path, *accuracies, seconds=(660.0, 660.0, 630.0, 600.0)):
    rows = [row(name, right, each) for name, right, each in zip(ROWS, accuracies, seconds, strict=True)]
    text = write_conclusion(SEARCHED, rows, tmp_path)
    assert (tmp_path / "conclusion.md").read_text() == f"# Conclusion\n\n{text}"
    return text


def test_all_pairs_are_tested_seed_by_seed():
    # Differences 10, 12, 14 of 1,000: t = 12 / (2 / sqrt 3) = 10.392 with 2 degrees of freedom, p = 0.00913.
    (pair,) = compare_rows([row("a", (910, 922, 934)), row("b", (900, 910, 920))])
    assert pair.difference == pytest.approx(0.012)
    assert pair.p_value == pytest.approx(0.00913, abs=5e-6)
    assert pair.half_width == pytest.approx(4.302653 * 0.002 / 3**0.5, rel=1e-6)
    assert len(compare_rows([row(name, (900, 910)) for name in ROWS])) == 6


def test_nothing_found_to_be_better_means_no_policy_and_says_how_little_could_be_seen(tmp_path):
    text = conclude(tmp_path, (905, 900, 910), (903, 905, 900), (900, 902, 907), (901, 899, 906))
    assert "**Recommendation: train without a policy.**" in text
    assert "learned policy is ahead, not significantly" in text
    assert "learned policy and no policy: no difference is shown (+0.30 points, p = " in text
    assert "With 3 seeds, differences below about 0.43 points could not be seen." in text  # 4.3027 * sqrt(3) / sqrt(3)
    assert text.count("no difference is shown") == 6


def test_the_simplest_that_is_level_with_the_best_is_recommended_with_its_cost(tmp_path):
    text = conclude(tmp_path, (921, 931, 940), (881, 890, 900), (920, 930, 940), (900, 910, 920))
    assert "RandAugment is better than no policy by 2.00 points" in text
    assert "no policy is better than random search by " in text
    assert "**Recommendation: train with the result of RandAugment**, +2.00 points against no policy." in text
    assert "Cost: 1.0 hours of search once, and +0.5 minutes a run (without: 10.0)." in text
    assert "the simplest of those that are level; learned policy is ahead, not significantly." in text


def test_a_learned_policy_that_is_really_better_is_recommended(tmp_path):
    text = conclude(tmp_path, (940, 950, 960), (900, 910, 920), (921, 931, 941), (880, 890, 900))
    assert "learned policy is better than RandAugment by 1.90 points" in text
    assert "**Recommendation: train with the result of learned policy**" in text


def test_one_seed_concludes_nothing(tmp_path):
    assert "One seed shows no difference" in conclude(tmp_path, (940,), (900,), (921,), (880,))


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ([0.50, 0.51, 0.52, 0.55, 0.5, 0.6, 0.60, 0.61, 0.62], "they became better .*: \\+10.00 points"),
        ([0.60, 0.61, 0.62, 0.55, 0.5, 0.6, 0.50, 0.51, 0.52], "they became worse"),
        ([0.50, 0.60, 0.55, 0.55, 0.5, 0.6, 0.52, 0.58, 0.56], "no change is shown"),
        ([0.5, 0.6, 0.7], "too few trials"),
    ],
)
def test_whether_trials_became_better(accuracies, said):
    assert re.search(said, learning(accuracies))
