"""Intervals and paired tests against published examples, formulas by hand, and repeated experiments."""

import json
from math import comb, sqrt

import numpy as np
import pytest

from tfcifar.evaluation.statistics import (
    compare,
    compare_over_seeds,
    mcnemar,
    mean_and_std,
    mean_interval,
    paired_bootstrap,
    verdict,
    wilson_interval,
)


def pairs(both, only_a, only_b, neither):
    """correct_a and correct_b with these counts."""
    counts = [both, only_a, only_b, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def test_wilson_interval_equals_the_published_example():
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3 (score): 81/263 -> 0.2553 to 0.3662.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    # And 0/20 -> 0.0000 to 0.1611: not the empty interval of the +-1.96 s.e. formula.
    assert wilson_interval(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)


def test_wilson_interval_equals_the_formula():
    p, n, z = 0.95, 10_000, 1.959964
    middle, half = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    expected = (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
    assert wilson_interval(9_500, 10_000) == pytest.approx(expected, abs=1e-7)


def test_the_interval_of_a_mean_is_students():
    """Mean 5, standard deviation 2 over four values; t(0.975, 3) = 3.182 (any table)."""
    mean, half = mean_interval([5 - 3**0.5, 5 + 3**0.5, 5 - 3**0.5, 5 + 3**0.5])
    assert mean == pytest.approx(5)
    assert half == pytest.approx(3.182 * 2 / 2, abs=1e-3)


def test_mcnemar_equals_the_binomial_sum():
    result = mcnemar(*pairs(both=900, only_a=15, only_b=5, neither=80))
    tail = sum(comb(20, i) for i in range(6)) / 2**20  # 5 or fewer heads of 20
    assert result == {"only_a_correct": 15, "only_b_correct": 5, "p_value": pytest.approx(2 * tail)}


def test_mcnemar_is_symmetric_and_one_for_equal_models():
    a, b = pairs(50, 9, 2, 10)
    assert mcnemar(a, b)["p_value"] == mcnemar(b, a)["p_value"]
    assert mcnemar(a, a) == {"only_a_correct": 0, "only_b_correct": 0, "p_value": 1}


def test_bootstrap_equals_resampling_of_rows():
    a, b = pairs(700, 120, 80, 100)
    rng = np.random.default_rng(1)
    difference = a.astype(int) - b
    resampled = [difference[rng.integers(0, 1000, 1000)].mean() for _ in range(4_000)]
    result = paired_bootstrap(a, b)
    assert result["difference"] == pytest.approx(0.04)
    assert result["interval95"] == pytest.approx(np.quantile(resampled, [0.025, 0.975]), abs=0.0025)


def test_bootstrap_interval_covers_the_true_difference_95_times_in_100():
    rng = np.random.default_rng(0)
    chances = [0.85, 0.07, 0.04, 0.04]  # the true difference is 0.03
    covered = 0
    for _ in range(400):
        low, high = paired_bootstrap(*pairs(*rng.multinomial(1_000, chances)), samples=1_000)["interval95"]
        covered += low <= 0.03 <= high
    assert 0.92 <= covered / 400 <= 0.98  # +-2.7 standard errors


def test_bootstrap_depends_on_nothing_but_its_seed():
    a, b = pairs(700, 120, 80, 100)
    assert paired_bootstrap(a, b, seed=3) == paired_bootstrap(a, b, seed=3)
    assert paired_bootstrap(a, b, seed=3) != paired_bootstrap(a, b, seed=4)


@pytest.mark.parametrize(
    ("only_a", "only_b", "verdict"), [(60, 20, "significant"), (21, 19, "not significant"), (0, 0, "not significant")]
)
def test_compare_says_what_it_found_in_json(only_a, only_b, verdict):
    result = compare(*pairs(900, only_a, only_b, 20))
    n = 920 + only_a + only_b
    assert result["verdict"] == verdict
    assert result["n"] == n
    assert result["accuracy_a"] == pytest.approx((900 + only_a) / n)
    assert result["difference"] == pytest.approx(result["accuracy_a"] - result["accuracy_b"])
    low, high = result["interval95"]
    assert low <= result["difference"] <= high
    assert json.loads(json.dumps(result)) == result


def test_correctness_that_cannot_be_compared_is_refused():
    a, b = pairs(5, 1, 1, 1)
    with pytest.raises(ValueError, match=r"the same examples\. Received: 8 and 7"):
        compare(a, b[:7])
    with pytest.raises(ValueError, match=r"correct_b: expected bool \[n\].*int64"):
        compare(a, np.arange(8))  # class numbers in place of right or wrong
    with pytest.raises(ValueError, match="correct_a"):
        compare(a[:0], b[:0])


def test_mean_and_std_is_the_sample_deviation_and_none_for_one_seed():
    assert mean_and_std([0.94, 0.95, 0.96]) == (pytest.approx(0.95), pytest.approx(0.01))
    assert mean_and_std([0.94]) == (0.94, None)
    with pytest.raises(ValueError, match="at least one"):
        mean_and_std([])


def test_one_seed_each_gives_the_interval_of_the_paired_bootstrap():
    a, b = pairs(900, 60, 20, 20)
    over_seeds, paired = compare_over_seeds(a[None], b[None]), paired_bootstrap(a, b)
    assert over_seeds["difference"] == pytest.approx(paired["difference"])
    np.testing.assert_allclose(over_seeds["interval95"], paired["interval95"], atol=0.002)
    assert over_seeds["verdict"] == "significant"


def test_seeds_that_scatter_widen_the_interval_until_nothing_is_significant():
    """Seeds that differ by more than the recipes: the normal interval of a difference of two means of three."""
    rng = np.random.default_rng(0)
    a = np.stack([rng.random(20_000) < p for p in (0.90, 0.92, 0.94)])
    b = np.stack([rng.random(20_000) < p for p in (0.89, 0.91, 0.93)])
    result = compare_over_seeds(a, b)
    assert result["verdict"] == "not significant"
    # The standard deviation of three values 2 points apart is 2; resampled, divided by 3: sqrt(2/3) of it.
    half = 1.96 * np.sqrt(2 * (0.02 * np.sqrt(2 / 3)) ** 2 / 3)
    low, high = result["interval95"]
    assert (high - low) / 2 == pytest.approx(half, rel=0.15)


def test_seeds_judged_on_other_examples_are_refused():
    with pytest.raises(ValueError, match=r"the same examples. Received: 5 and 4"):
        compare_over_seeds(np.ones((2, 5), bool), np.ones((2, 4), bool))


def test_an_interval_that_ends_at_zero_but_for_rounding_holds_it():
    assert verdict(0.2 + 0.1 - 0.3, 0.01) == "not significant"  # 5.6e-17
    assert verdict(1e-6, 0.01) == verdict(-0.01, -1e-6) == "significant"
