"""Measures of uncertainty against closed forms and SciPy, and selective prediction against brute force."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import binom, entropy

from tfcifar.uncertainty import MEASURES, SINGLE_MEASURES
from tfcifar.uncertainty.measures import uncertainties
from tfcifar.uncertainty.outputs import Judged, judge
from tfcifar.uncertainty.scores import score_sources
from tfcifar.uncertainty.selective import (
    aurc,
    compare_aurc,
    error_by_part,
    excess_aurc,
    guaranteed_threshold,
    largest_fall,
    risk_bound,
    risk_coverage,
    significant_falls,
    threshold_for_risk,
)


def random_passes(passes=7, n=20, k=5) -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.full(k, 0.3), (passes, n)).astype(np.float32)


def test_entropies_are_scipys_and_bald_is_the_mean_divergence_from_the_mean_prediction():
    passes = random_passes().astype(np.float64)
    found, mean = uncertainties(passes), passes.mean(0)
    np.testing.assert_allclose(found["predictive_entropy"], entropy(mean, axis=-1))
    np.testing.assert_allclose(found["expected_entropy"], entropy(passes, axis=-1).mean(0))
    divergences = [entropy(each, mean, axis=-1) for each in passes]
    np.testing.assert_allclose(found["mutual_information"], np.mean(divergences, axis=0))


def test_two_sure_passes_that_disagree_are_all_mutual_information():
    found = uncertainties(np.array([[[1, 0, 0]], [[0, 1, 0]]]))
    expected = {"predictive_entropy": np.log(2), "expected_entropy": 0, "mutual_information": np.log(2),
                "1 - max_probability": 0.5, "variation_ratio": 0.5}  # fmt: skip
    assert tuple(found) == MEASURES
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], [value], err_msg=name)


def test_passes_that_agree_on_knowing_nothing_have_no_mutual_information():
    found = uncertainties(np.full((4, 1, 10), 0.1))
    np.testing.assert_allclose(found["predictive_entropy"], np.log(10))
    np.testing.assert_allclose(found["mutual_information"], 0, atol=1e-12)
    np.testing.assert_allclose(found["1 - max_probability"], 0.9)


def test_the_variation_ratio_counts_votes_beside_the_most_voted():
    votes = np.eye(3)[[[0], [0], [1], [2], [0]]]
    assert uncertainties(votes)["variation_ratio"] == pytest.approx(2 / 5)


def test_a_single_pass_has_only_the_measures_that_say_something():
    assert tuple(uncertainties(random_passes(passes=1))) == SINGLE_MEASURES


# Four predictions, the surest first: right, wrong, right, wrong.
UNCERTAINTY, CORRECT = np.array([0.3, 0.1, 0.4, 0.2]), np.array([True, True, False, False])


def test_the_risk_of_each_coverage_by_hand():
    coverage, risk = risk_coverage(UNCERTAINTY, CORRECT)
    np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(risk, [0, 1 / 2, 1 / 3, 2 / 4])
    assert aurc(UNCERTAINTY, CORRECT) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    oracle = (0 + 0 + 1 / 3 + 2 / 4) / 4
    assert excess_aurc(UNCERTAINTY, CORRECT) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4 - oracle)


def test_equal_uncertainties_count_as_the_mean_over_all_their_orders():
    uncertainty, correct = np.array([1, 0, 1, 1, 2]), np.array([True, False, False, True, False])
    areas = []
    for order in permutations([0, 2, 3]):
        wrong = ~correct[[1, *order, 4]]
        areas.append(np.mean(np.cumsum(wrong) / np.arange(1, 6)))
    assert aurc(uncertainty, correct) == pytest.approx(np.mean(areas))
    assert aurc(np.zeros(5), correct) == pytest.approx(3 / 5)  # no order at all: the error rate at each coverage


def test_the_oracle_has_no_excess_and_the_area_that_geifman_et_al_derive():
    """Their equation for many examples: error + (1 - error) log(1 - error)."""
    correct = np.random.default_rng(0).random(20_000) > 0.2
    error = 1 - correct.mean()
    assert excess_aurc(~correct, correct) == 0
    assert aurc(~correct, correct) == pytest.approx(error + (1 - error) * np.log(1 - error), abs=1e-4)


@pytest.mark.parametrize("target", [0.0, 0.1, 0.25, 0.5])
def test_the_threshold_is_the_largest_that_keeps_the_risk(target):
    rng = np.random.default_rng(1)
    for _ in range(20):
        uncertainty = rng.integers(0, 8, 30) / 8  # with ties
        correct = rng.random(30) > uncertainty
        fitting = [each for each in np.unique(uncertainty) if (~correct[uncertainty <= each]).mean() <= target]
        assert threshold_for_risk(uncertainty, correct, target) == (max(fitting) if fitting else None)


def test_the_bound_of_a_risk_is_clopper_and_pearsons():
    assert binom.cdf(3, 200, risk_bound(3, 200, 0.05)) == pytest.approx(0.05)
    assert risk_bound(5, 5, 0.05) == 1


def test_guaranteed_thresholds_seldom_break_the_risk_that_empirical_ones_often_do():
    """Errors with probability u at uncertainty u: kept up to t, the true risk is t / 2."""
    rng, target = np.random.default_rng(0), 0.1
    broken = {"guaranteed": 0, "empirical": 0}
    for _ in range(200):
        uncertainty = rng.random(500)
        correct = rng.random(500) > uncertainty
        for name, choose in (("guaranteed", guaranteed_threshold), ("empirical", threshold_for_risk)):
            broken[name] += (choose(uncertainty, correct, target) or 0) / 2 > target
    assert broken["guaranteed"] <= 0.05 * 200
    assert broken["empirical"] > 0.3 * 200


def test_a_risk_that_nothing_keeps_has_no_threshold():
    wrong = np.zeros(40, bool)
    assert threshold_for_risk(np.arange(40), wrong, 0.02) is None
    assert guaranteed_threshold(np.arange(40), wrong, 0.02) is None


def test_error_rates_of_tenths_by_hand():
    uncertainty, correct = np.arange(20), np.ones(20, bool)
    correct[[5, 18, 19]] = False
    rates = error_by_part(uncertainty, correct)
    np.testing.assert_allclose(rates, [0, 0, 0.5, 0, 0, 0, 0, 0, 0, 1], atol=1e-12)
    assert largest_fall(rates) == pytest.approx(0.5)
    assert largest_fall(error_by_part(np.zeros(20), correct)) == 0  # no order: the same rate in each


def test_a_fall_counts_where_chance_does_not_explain_it():
    assert significant_falls(np.array([0.0, 0.01, 0.0, 0.3]), 400) == 0  # 1 of 100, then 0 of 100
    assert significant_falls(np.array([0.0, 0.2, 0.01, 0.3]), 400) == 1
    assert significant_falls(np.array([0.0, 0.2, 0.01, 0.3]), 20) == 0  # of so few, nothing can be said


def test_sources_are_compared_on_the_same_images():
    rng = np.random.default_rng(0)
    correct = rng.random(400) > 0.2
    good, poor = (Judged(correct, {"entropy": ~correct + noise * rng.random(400)}) for noise in (1.2, 20))
    found = compare_aurc(good, poor, "entropy", samples=200)
    assert found["difference"] == pytest.approx(
        aurc(good.uncertainty["entropy"], correct) - aurc(poor.uncertainty["entropy"], correct)
    )
    assert found["interval95"][0] < found["difference"] < found["interval95"][1] < 0
    assert found["verdict"] == "significant"
    assert compare_aurc(good, good, "entropy", samples=20)["verdict"] == "not significant"


def test_thresholds_are_chosen_by_other_images_than_they_are_judged_on():
    """With all images as both, a threshold for no errors could not be broken; with a half, it can."""
    passes = random_passes(n=400, k=3)
    labels = np.random.default_rng(2).integers(0, 3, 400)
    labels[:200] = passes.mean(0).argmax(-1)[:200]
    judged = {"single": judge(passes[:1], labels)}
    found = score_sources({"validation": judged}, "validation")
    assert found["threshold_from"] == "half of validation"
    order = np.random.default_rng(0).permutation(400)
    chosen, kept = (judged["single"].take(each) for each in (order[:200], order[200:]))
    row = found["sources"]["single"]["measures"]["predictive_entropy"]["thresholds"][0]
    expected = threshold_for_risk(chosen.uncertainty["predictive_entropy"], chosen.correct, row["target"])
    assert row["threshold"] == expected
    assert row["coverage"] == np.mean(kept.uncertainty["predictive_entropy"] <= (-1 if expected is None else expected))
    other = score_sources({"test": judged}, "test")
    assert other["threshold_from"] is None
    assert other["sources"]["single"]["measures"]["predictive_entropy"]["thresholds"] == []
