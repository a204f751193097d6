"""Bounds on what to believe: by hand, and as they are kept."""

import json

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp

from pipelines.errors import InputError
from tfcifar.evaluation.acceptance import fit_acceptance, is_foreign, min_probability_for
from tfcifar.evaluation.probabilities import Scaling, log_sum_exp, unscaled
from tfcifar.uncertainty.selective import risk_bound


def test_probabilities_are_scipys_even_of_huge_logits():
    logits = np.array([[0.0, 1, -2], [1e4, -1e4, 9999], [-1e4, -1e4, -1e4]], np.float32)
    np.testing.assert_allclose(log_sum_exp(logits), logsumexp(logits.astype(float), axis=1), rtol=1e-15)
    scaling = Scaling("vector", np.array([0.5, 1, 2]), np.array([1.0, 0, -1]))
    expected = log_softmax(logits.astype(float) * scaling.scale + scaling.bias, axis=1)
    np.testing.assert_allclose(scaling.apply(logits), expected, rtol=1e-12, atol=1e-12)


@pytest.fixture(scope="module")
def example():
    """1,000 images: the surer the likelier right, about one in ten wrong."""
    random = np.random.default_rng(0)
    highest = random.uniform(0, 8, 1000)
    logits = np.zeros((1000, 4), np.float32)
    logits[:, 1] = highest
    wrong = random.random(1000) < 0.4 * np.exp(-highest / 2)
    return logits, np.where(wrong, 2, 1)


def test_answers_above_the_bound_keep_the_risk_with_confidence(example):
    logits, labels = example
    bounds = json.loads(json.dumps(fit_acceptance(logits, labels, unscaled(4))))
    probability = np.exp(unscaled(4).apply(logits).max(1))
    assert [row["risk"] for row in bounds["risks"]]
    for row in bounds["risks"]:
        kept = probability >= min_probability_for(row["risk"], bounds)
        assert kept.mean() == row["coverage"]
        assert risk_bound(int((labels[kept] != 1).sum()), int(kept.sum()), 0.05) < row["risk"]
    with pytest.raises(InputError, match=r"received 0\.3"):
        min_probability_for(0.3, bounds)


def test_one_in_twenty_of_its_own_images_and_no_logits_at_all_are_foreign(example):
    logits, labels = example
    bounds = fit_acceptance(logits, labels, unscaled(4))
    assert np.mean(is_foreign(logits, bounds)) == 0.05
    assert is_foreign(np.full((1, 4), -9, np.float32), bounds) == [True]
    assert is_foreign(logits[:2], None) == [None, None]
