"""Temperature and vector scaling: known factors found, gradients right, scikit-learn's solution where it has one."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from tfcifar.evaluation import scaling
from tfcifar.evaluation.calibrate_run import _simplest_of_the_best
from tfcifar.evaluation.cross_entropy import cross_entropy
from tfcifar.evaluation.cross_validation import out_of_fold
from tfcifar.evaluation.scaling import fit_temperature, fit_vector, no_scaling
from tfcifar.evaluation.statistics import compare_means


def draw(logits: np.ndarray, seed: int = 0) -> np.ndarray:
    """Labels that come with the probabilities which the logits say."""
    cumulative = softmax(logits, axis=1).cumsum(1)
    return (np.random.default_rng(seed).random((len(logits), 1)) > cumulative).sum(1).clip(max=logits.shape[1] - 1)


@pytest.fixture(scope="module")
def logits():
    return np.random.default_rng(1).normal(0, 2, (20_000, 4))


def test_logits_scaled_by_a_factor_have_that_temperature(logits):
    labels = draw(logits)
    assert fit_temperature(3 * logits, labels).temperature == pytest.approx(3, rel=0.02)  # +-2 standard errors
    exact = fit_temperature(logits, labels).temperature
    assert fit_temperature(3 * logits, labels).temperature == pytest.approx(3 * exact, rel=1e-5)
    calibrated = fit_temperature(3 * logits, labels).apply(3 * logits)
    np.testing.assert_allclose(np.exp(calibrated), softmax(logits / exact, axis=1), atol=1e-5)


def test_vector_scaling_recovers_the_scales_and_biases_that_labels_were_drawn_with(logits):
    scale, bias = np.array([0.5, 1.0, 1.5, 0.8]), np.array([0.6, -0.2, -0.5, 0.1])
    found = fit_vector(logits, draw(scale * logits + bias))
    np.testing.assert_allclose(found.scale, scale, atol=0.06)
    np.testing.assert_allclose(found.bias, bias, atol=0.09)
    assert found.bias.sum() == pytest.approx(0, abs=1e-12)
    assert found.temperature is None


def test_vector_scaling_of_two_classes_is_scikit_learns_logistic_regression(logits):
    two, labels = logits[:3000, :2], draw(logits[:3000, :2] * [0.4, 0.9] + [0.3, 0])
    found, expected = fit_vector(two, labels), LogisticRegression(C=1e10, tol=1e-10).fit(two, labels)
    np.testing.assert_allclose([-found.scale[0], found.scale[1]], expected.coef_[0], rtol=1e-4)
    assert found.bias[1] - found.bias[0] == pytest.approx(expected.intercept_[0], rel=1e-4)


def test_vector_scaling_does_not_depend_on_an_offset_or_a_spread_of_a_class(logits):
    """Its bias and its scale take them out. A class that a model seldom names has logits far below the others'."""
    few, labels = logits[:2000], draw(logits[:2000] * [0.5, 1, 1.5, 0.8])
    shifted = few * [1, 1, 10, 1] + [0, -300, 0, 10]
    moved, expected = fit_vector(shifted, labels).apply(shifted), fit_vector(few, labels).apply(few)
    np.testing.assert_allclose(moved, expected, atol=1e-4)


@pytest.mark.parametrize("fit", [fit_temperature, fit_vector])
def test_gradients_are_those_of_finite_differences(logits, monkeypatch, fit):
    seen = []

    def check(objective, start, bounds):
        at = start + np.random.default_rng(0).normal(0, 0.2, len(start))
        seen.append(check_grad(lambda x: objective(x)[0], lambda x: objective(x)[1], at))
        return start

    monkeypatch.setattr(scaling, "minimum", check)
    fit(logits[:50], draw(logits[:50]))
    assert seen[0] < 1e-6


def test_cross_entropy_and_its_gradient_by_logits(logits):
    few, labels = logits[:5], np.array([0, 3, 1, 1, 2])
    loss, _ = cross_entropy(few, labels)
    assert loss == pytest.approx(-np.log(softmax(few, axis=1)[np.arange(5), labels]).mean())
    error = check_grad(
        lambda x: cross_entropy(x.reshape(5, 4), labels)[0],
        lambda x: cross_entropy(x.reshape(5, 4), labels)[1].ravel(),
        few.ravel(),
    )
    assert error < 1e-6


def test_a_model_without_mistakes_becomes_sure_and_its_parameters_stay_finite():
    logits, labels = 5 * np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, 2, 0])
    for found in (fit_temperature(logits, labels), fit_vector(logits, labels)):
        assert (np.exp(found.apply(logits)).max(1) > 0.999).all()
        assert (found.scale <= 100).all()
        assert (np.abs(found.bias) <= 50).all()


def test_each_example_is_predicted_by_what_was_fitted_without_it():
    labels = np.arange(23) % 3
    predicted = out_of_fold(lambda fitted_on, held_out: np.isin(held_out, fitted_on)[:, None], labels)
    assert predicted.tolist() == [[0.0]] * 23
    order = out_of_fold(lambda fitted_on, held_out: np.stack([held_out, held_out + len(fitted_on)], 1), labels)
    assert order[:, 0].tolist() == list(range(23))


def test_the_simplest_is_kept_that_none_of_the_later_betters_significantly():
    # Log-probabilities of the right class: the second is better than the first by chance alone, the third is better
    # than the first for sure, but not than the second.
    noise = np.random.default_rng(0).normal(0, 1, 200)
    none, temperature = np.zeros(200), 0.1 + noise
    predictions = {"none": none, "temperature": temperature, "vector": np.full(200, 0.08)}
    labels, logits = np.zeros(200, int), {name: np.stack([each, each], 1) for name, each in predictions.items()}
    assert compare_means(-temperature, -none)["verdict"] == "not significant"
    assert compare_means(-predictions["vector"], -none)["verdict"] == "significant"
    assert _simplest_of_the_best(logits, labels) == "temperature"
    assert _simplest_of_the_best({name: logits[name] for name in ("none", "vector")}, labels) == "vector"
    assert _simplest_of_the_best({name: logits[name] for name in ("none", "temperature")}, labels) == "none"


def test_no_scaling_gives_the_softmax(logits):
    np.testing.assert_allclose(np.exp(no_scaling(logits, None).apply(logits)), softmax(logits, axis=1))
