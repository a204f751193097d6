"""Pairs of confused classes, and class by class comparison with correction."""

import numpy as np
import pytest
from scipy.stats import binomtest

from tfcifar.evaluation.class_analysis import compare_classes, most_confused_pairs

NAMES = ("cat", "dog", "ship")


def test_pairs_count_mistakes_both_ways():
    pairs = most_confused_pairs([[90, 6, 1], [4, 95, 0], [2, 0, 98]], NAMES)
    assert [(row["classes"], row["mistakes"]) for row in pairs] == [(("cat", "dog"), 10), (("cat", "ship"), 3)]
    assert pairs[0]["share"] == pytest.approx(10 / 13)


def test_a_perfect_model_confuses_nothing():
    assert most_confused_pairs(np.eye(3, dtype=int) * 5, NAMES) == []


def test_classes_are_compared_by_mcnemar_with_the_correction_of_benjamini_and_hochberg():
    """By hand: sorted p values p1 <= p2 become min(2 p1, p2) and p2."""
    labels = np.repeat([0, 1], 40)
    a, b = np.ones(80, bool), np.ones(80, bool)
    b[:12] = False  # only a is right: 12 of 12
    b[40:47] = False  # 7 to 2
    a[47:49] = False
    p0, p1 = binomtest(12, 12).pvalue, binomtest(7, 9).pvalue
    cat, dog = compare_classes(a, b, labels, NAMES)  # no ship: no row
    assert (cat["name"], cat["n"], cat["verdict"]) == ("cat", 40, "significant")
    assert cat["p_value"] == pytest.approx(min(2 * p0, p1))
    assert dog["p_value"] == pytest.approx(p1)
    assert dog["difference"] == pytest.approx(5 / 40)
    assert dog["verdict"] == "not significant"
