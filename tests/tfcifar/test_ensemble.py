"""Votes, weights, stacking, selection and diversity: by hand, by brute force, and by scikit-learn."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from pipelines.errors import InputError
from tfcifar.ensemble import VOTES
from tfcifar.ensemble.combination import cross_validated, fit_combination, rows_of
from tfcifar.ensemble.diversity import disagreement, q_statistic
from tfcifar.ensemble.ensemble_runs import _votes_for
from tfcifar.ensemble.fitting import fit_stack, fit_weights
from tfcifar.ensemble.saved import Ensemble, load_ensemble, save_ensemble
from tfcifar.ensemble.selection import cumulative_curve, gains, greedy_picks, select
from tfcifar.ensemble.votes import hard_vote, log_probabilities, mixture, stack
from tfcifar.evaluation.cross_entropy import cross_entropy

NAMES = ("a", "b", "c")


def members_of(probabilities) -> np.ndarray:
    """Log-probabilities [members, n, k] of these probabilities."""
    return np.log(np.array(probabilities, np.float64))


@pytest.fixture(scope="module")
def voters():
    """Logits [3, 400, 4] of members that know the labels with noise of 1, 2 and 6, and labels [400]."""
    random = np.random.default_rng(0)
    labels = np.arange(400) % 4
    noise = random.normal(0, 1, (3, 400, 4)) * np.array([1.0, 2.0, 6.0])[:, None, None]
    return (2 * np.eye(4)[labels] + noise).astype(np.float32), labels


def test_a_hard_vote_goes_by_majority_and_a_tie_by_the_summed_probability():
    majority = [[0.4, 0.3, 0.3]], [[0.4, 0.3, 0.3]], [[0.0005, 0.999, 0.0005]]  # summed, class 1 would win
    tie = [[0.6, 0.4, 0.0001]], [[0.0001, 0.9, 0.1]], [[0.1, 0.2, 0.7]]  # one vote each; class 1 has the highest sum
    ones = np.ones(3, int)
    assert hard_vote(members_of(majority), ones).argmax(-1) == 0
    assert hard_vote(members_of(tie), ones).argmax(-1) == 1
    # Two votes of three and a third of the vote that all share: (2 + 0.8005 / 3) / 4.
    probabilities = np.exp(hard_vote(members_of(majority), ones))[0]
    assert probabilities == pytest.approx([(2 + 0.8005 / 3) / 4, (1 + 1.599 / 3) / 4, 0.6005 / 3 / 4])
    assert hard_vote(members_of(majority), np.array([1, 1, 3])).argmax(-1) == 1  # counted as often as it was picked


def test_a_mixture_is_the_weighted_mean_of_probabilities_however_sure_members_are():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), (3, 5))
    weights = np.array([0.5, 0.5, 0.0])
    np.testing.assert_allclose(np.exp(mixture(np.log(probabilities), weights)), probabilities[:2].mean(0))
    sure = np.array([[[2000.0, 0, 0]], [[0, 2000.0, 0]]])  # whose probabilities underflow to zero
    found = mixture(log_probabilities(sure, np.ones(2)), np.array([0.5, 0.5]))
    np.testing.assert_allclose(found, [[np.log(0.5), np.log(0.5), -2000 - np.log(1)]])


def test_weights_are_those_of_the_mixture_that_labels_were_drawn_from():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.full(5, 0.3), (3, 20_000))
    cumulative = np.tensordot([0.7, 0.3, 0.0], probabilities, 1).cumsum(1)
    labels = (random.random((20_000, 1)) > cumulative).sum(1)
    weights = fit_weights(np.log(np.maximum(probabilities, 1e-300)), labels)
    np.testing.assert_allclose(weights, [0.7, 0.3, 0.0], atol=0.02)
    # Karush-Kuhn-Tucker: the mean ratio of a member's likelihood to the mixture's is 1 where it has weight, else less.
    of_label = probabilities[:, np.arange(20_000), labels]
    ratio = (of_label / (weights @ of_label)).mean(1)
    np.testing.assert_allclose(ratio[weights > 0], 1, atol=1e-4)
    assert (ratio[weights == 0] < 1).all()
    assert weights.sum() == pytest.approx(1)


def test_a_stack_without_penalty_is_scikit_learns_logistic_regression(voters):
    logits, labels = voters
    members = log_softmax(logits[:2].astype(float), axis=-1)
    features = np.concatenate(list(members), axis=1)
    expected = LogisticRegression(C=1e8, max_iter=5000, tol=1e-9).fit(features, labels).predict_log_proba(features)
    found = stack(members, *fit_stack(members, labels, penalty=0))
    assert cross_entropy(found, labels)[0] == pytest.approx(cross_entropy(expected, labels)[0], abs=1e-5)
    np.testing.assert_allclose(np.exp(found), np.exp(expected), atol=0.01)


def test_a_stack_under_a_strong_penalty_is_the_geometric_mean_but_for_the_bias(voters):
    logits, labels = voters
    members = log_softmax(logits.astype(float), axis=-1)
    weights, bias = fit_stack(members, labels, penalty=1e6)
    np.testing.assert_allclose(weights, np.tile(np.eye(4) / 3, (3, 1, 1)), atol=1e-5)
    np.testing.assert_allclose(stack(members, weights, 0 * bias), log_softmax(members.mean(0), axis=-1), atol=1e-3)


def test_greedy_picks_lower_the_loss_most_at_each_step_with_replacement(voters):
    logits, labels = voters
    members = log_softmax(logits.astype(float), axis=-1)
    order = greedy_picks(members, labels, 5)
    for step in range(5):
        losses = [cross_entropy(mixture(members[[*order[:step], each]], np.full(step + 1, 1 / (step + 1))), labels)[0]
                  for each in range(3)]  # fmt: skip
        assert order[step] == int(np.argmin(losses))
    assert len(set(order)) < 5
    losses = [row["nll"] for row in cumulative_curve(members, labels, order)]
    assert select(members, labels, 5).sum() == int(np.argmin(losses)) + 1


def test_what_a_member_adds_is_what_the_others_lack_without_it(voters):
    logits, labels = voters
    members = log_softmax(logits.astype(float), axis=-1)
    everyone, others = (np.exp(members[:m]).mean(0) for m in (3, 2))
    found = gains(members, labels)[2]
    expected = (np.log(everyone) - np.log(others))[np.arange(400), labels].mean()
    assert found["nll_gain"] == pytest.approx(expected)
    assert found["accuracy_gain"] == pytest.approx(
        (everyone.argmax(1) == labels).mean() - (others.argmax(1) == labels).mean()
    )


def test_diversity_by_hand():
    correct = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 1, 0], [0, 0, 0, 0, 1, 1], [1, 1, 1, 1, 1, 1]], bool)
    q = q_statistic(correct)
    # a and b: both right 3, both wrong 1, only a 1, only b 1: (3 * 1 - 1 * 1) / (3 * 1 + 1 * 1).
    assert q[0, 1] == q[1, 0] == pytest.approx(0.5)
    assert q[0, 2] == -1
    assert np.isnan(q[0, 3])
    np.testing.assert_allclose(disagreement(np.array([[0, 1, 2, 3], [0, 1, 0, 0]])), [[0, 0.5], [0.5, 0]])


def test_what_is_fitted_to_noise_looks_good_in_sample_and_not_when_cross_validated():
    random = np.random.default_rng(0)
    logits, labels = random.normal(0, 1, (2, 150, 3)), random.integers(0, 3, 150)
    members = log_softmax(logits, axis=-1)
    in_sample = stack(members, *fit_stack(members, labels, penalty=1e-6))
    assert cross_entropy(in_sample, labels)[0] < np.log(3) - 0.02
    honest = cross_validated(("a", "b"), logits, labels, "stacked")
    assert cross_entropy(honest, labels)[0] > np.log(3) - 0.02


@pytest.mark.parametrize("vote", VOTES)
@pytest.mark.parametrize("picks", [None, 4])
def test_an_ensemble_is_the_same_after_it_was_saved_and_better_than_its_members(voters, tmp_path, vote, picks):
    logits, labels = voters
    combination = fit_combination(NAMES, logits, labels, vote, picks)
    own = rows_of(combination.members, NAMES, logits)
    runs = tuple(tmp_path / "runs" / name for name in combination.members)
    ensemble = Ensemble(combination, runs, ("x",) * len(runs), "flip", ("p", "q", "r", "s"))
    save_ensemble(ensemble, tmp_path / "ensembles" / "one")
    loaded = load_ensemble(tmp_path / "ensembles" / "one")
    np.testing.assert_array_equal(loaded.combine(own), ensemble.combine(own))
    assert [path.resolve() for path in loaded.run_dirs] == list(runs)
    assert (loaded.members, loaded.views, loaded.class_names) == (combination.members, "flip", ("p", "q", "r", "s"))
    np.testing.assert_allclose(np.exp(loaded.combine(own)).sum(1), 1)
    if vote in ("weighted", "stacked"):
        best = min(cross_entropy(log_softmax(each.astype(float), axis=-1), labels)[0] for each in logits)
        assert cross_entropy(loaded.combine(own), labels)[0] < best


def test_logits_of_other_members_and_folders_without_an_ensemble_are_refused(voters, tmp_path):
    logits, labels = voters
    combination = fit_combination(NAMES, logits, labels, "soft")
    with pytest.raises(ValueError, match=r"expected shape \[3, n, k\], in the order a, b, c"):
        combination.combine(logits[:2])
    np.testing.assert_allclose(
        combination.combine(logits), np.log(softmax(logits.astype(float), axis=-1).mean(0)), atol=1e-9
    )
    with pytest.raises(InputError, match=r"expected a folder made by tfcifar\.ensemble"):
        load_ensemble(tmp_path)


def test_the_stacked_vote_is_left_out_above_a_hundred_classes_which_is_said(capsys):
    assert tuple(_votes_for(100)) == VOTES
    assert capsys.readouterr().out == ""
    assert _votes_for(1000) == ["hard", "soft", "weighted"]
    assert "NOTE: the stacked vote is left out: with 1,000 classes" in capsys.readouterr().out
