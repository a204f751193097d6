"""Labels that were flipped on purpose are found by a cheap classifier's out-of-fold predictions."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import cross_val_predict

from tfcifar.data_quality.label_issues import likeliest_confusions, rank_label_issues

FLIPPED = 90  # of 1,797 handwritten digits: 5%


@pytest.fixture(scope="module")
def digits():
    """(labels, of which FLIPPED are wrong; which; probabilities out of fold)."""
    data = load_digits()
    random = np.random.RandomState(0)
    flipped = random.permutation(len(data.target))[:FLIPPED]
    labels = data.target.astype(np.int64)
    labels[flipped] = (labels[flipped] + random.randint(1, 10, FLIPPED)) % 10
    classifier = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
    probabilities = cross_val_predict(classifier, data.data, labels, cv=4, method="predict_proba")
    return labels, flipped, probabilities.astype(np.float32)


def test_most_of_the_first_issues_are_the_flipped_labels(digits):
    labels, flipped, probabilities = digits
    issues = rank_label_issues(labels, probabilities)
    assert np.isin(issues.index[:50], flipped).mean() >= 0.95
    assert np.isin(flipped, issues.index).mean() >= 0.9


def test_the_proposed_label_is_the_true_one(digits):
    labels, flipped, probabilities = digits
    issues = rank_label_issues(labels, probabilities)
    found = np.isin(issues.index, flipped)
    assert (issues.proposed[found] == load_digits().target[issues.index[found]]).mean() >= 0.9
    assert (issues.proposed != labels[issues.index]).all()


def test_issues_are_ranked_by_their_margin(digits):
    labels, _, probabilities = digits
    issues = rank_label_issues(labels, probabilities)
    given = probabilities[issues.index, labels[issues.index]]
    margin = given - probabilities[issues.index, issues.proposed]
    np.testing.assert_allclose(issues.quality, (margin + 1) / 2, atol=1e-6)
    assert (np.diff(issues.quality) >= 0).all()


def test_with_ideal_probabilities_the_joint_and_the_errors_are_exact():
    """Theorem 1 of arXiv:1911.00068: ideal probabilities of an example are the noise rates of its true class."""
    counts = np.array([[100, 10, 5], [20, 80, 0], [0, 10, 95]])  # rows are given labels, columns true classes
    given, true = (np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices(counts.shape))
    probabilities = (counts / counts.sum(0)).T[true]
    issues = rank_label_issues(given, probabilities)
    np.testing.assert_allclose(issues.joint, counts / counts.sum())
    assert issues.estimated_share == pytest.approx(45 / 320)
    assert set(issues.index) == set(np.flatnonzero(given != true))
    np.testing.assert_array_equal(issues.proposed, true[issues.index])


def test_labels_that_fit_have_no_issue():
    labels = np.arange(60) % 3
    issues = rank_label_issues(labels, (np.eye(3)[labels] * 0.9 + 0.1 / 3).astype(np.float32))
    assert len(issues.index) == len(issues.proposed) == len(issues.quality) == 0
    assert issues.estimated_share == 0
    assert likeliest_confusions(issues.joint, "abc") == []


def test_confusions_are_named_by_given_and_true_class():
    joint = np.array([[0.5, 0.02, 0.0], [0.05, 0.2, 0.0], [0.0, 0.0, 0.23]])
    assert likeliest_confusions(joint, ("cat", "dog", "frog")) == [
        {"given": "dog", "true": "cat", "share": 0.05},
        {"given": "cat", "true": "dog", "share": 0.02},
    ]
