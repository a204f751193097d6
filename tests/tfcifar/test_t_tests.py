"""t-tests and Holm's correction against published examples."""

import numpy as np
import pytest

from tfcifar.evaluation.t_tests import holm, paired_t, verdict_of, welch_interval

# Student 1908: hours of additional sleep of ten patients after two drugs.
DRUG_1 = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
DRUG_2 = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)


def test_the_paired_test_gives_the_figures_of_students_sleep_data():
    # R, ?sleep: t.test(extra ~ group, paired = TRUE): p = 0.002833, 95% interval -2.4598858 to -0.7001142.
    found = paired_t(DRUG_1, DRUG_2)
    assert found["p_value"] == pytest.approx(0.002833, abs=5e-7)
    interval = found["difference"] - found["half_width"], found["difference"] + found["half_width"]
    assert interval == pytest.approx((-2.4598858, -0.7001142), abs=5e-8)


def test_the_unpaired_interval_too():
    # R: t.test(extra ~ group): Welch, -3.3654832 to 0.2054832.
    assert welch_interval(DRUG_1, DRUG_2) == pytest.approx((-3.3654832, 0.2054832), abs=5e-8)


def test_differences_that_are_all_the_same_are_certain_and_no_difference_is_none():
    assert paired_t([0.1, 0.2, 0.3], [0.0, 0.1, 0.2])["p_value"] == 0
    assert paired_t([0.1, 0.2], [0.1, 0.2]) == {"difference": 0, "half_width": 0, "p_value": 1}


def test_what_makes_no_pairs_is_refused():
    for a, b in (((0.5,), (0.4,)), ((0.5, 0.6), (0.4, 0.5, 0.6))):
        with pytest.raises(ValueError, match="expected two shapes"):
            paired_t(a, b)


def test_holm_equals_p_adjust_of_r():
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.04, 0.005, 0.7, 0.6]) == pytest.approx([0.12, 0.02, 1, 1])
    assert holm([]) == []


def test_of_equal_models_holm_calls_any_significant_one_time_in_twenty():
    random = np.random.default_rng(0)
    trials = [[paired_t(*random.normal(size=(2, 5)))["p_value"] for _ in range(4)] for _ in range(400)]
    wrong = np.mean([any(verdict_of(p) == "significant" for p in holm(each)) for each in trials])
    assert 0.02 < wrong < 0.08
