"""The metrics against scikit-learn, and what happens where a metric has no meaning."""

import json

import numpy as np
import pytest
from sklearn import metrics as sk

from pipelines.errors import InputError
from tfcifar.evaluation.compute import training_pflop
from tfcifar.evaluation.metrics import classification_metrics, softmax


def random_case(n, k, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    logits = rng.normal(0, 2, (n, k)).astype("float32")
    logits[np.arange(n), labels] += 2
    return logits, labels, [f"class {i}" for i in range(k)]


@pytest.mark.parametrize("k", [2, 3, 10, 100])
def test_metrics_equal_scikit_learn(k):
    logits, labels, names = random_case(2_000, k)
    metrics = classification_metrics(logits, labels, names)
    predicted, probabilities, classes = logits.argmax(1), softmax(logits), range(k)

    assert metrics["n"] == 2_000
    assert metrics["accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted))
    assert metrics["loss"] == pytest.approx(sk.log_loss(labels, probabilities, labels=classes))
    assert metrics["macro_f1"] == pytest.approx(sk.f1_score(labels, predicted, average="macro"))
    assert metrics["confusion"] == sk.confusion_matrix(labels, predicted, labels=classes).tolist()
    precision, recall, f1, support = sk.precision_recall_fscore_support(labels, predicted, labels=classes)
    for column, expected in (("precision", precision), ("recall", recall), ("accuracy", recall), ("f1", f1)):
        np.testing.assert_allclose([row[column] for row in metrics["per_class"]], expected)
    assert [row["n"] for row in metrics["per_class"]] == support.tolist()
    assert [row["name"] for row in metrics["per_class"]] == names


@pytest.mark.parametrize("k", [2, 10])
def test_brier_sums_over_classes_as_scikit_learn_does_without_halving(k):
    logits, labels, names = random_case(500, k)
    expected = sk.brier_score_loss(labels, softmax(logits), labels=range(k), scale_by_half=False)
    assert classification_metrics(logits, labels, names)["brier"] == pytest.approx(expected)


def test_top5_accuracy_equals_scikit_learn_and_is_left_out_for_few_classes():
    logits, labels, names = random_case(2_000, 100)
    expected = sk.top_k_accuracy_score(labels, logits, k=5, labels=range(100))
    assert classification_metrics(logits, labels, names)["top5_accuracy"] == pytest.approx(expected)
    assert "top5_accuracy" not in classification_metrics(*random_case(50, 5))


def test_huge_logits_neither_overflow_nor_lose_the_loss():
    logits = np.array([[1e4, 0, 0], [0, 1e4, 0]], "float32")
    metrics = classification_metrics(logits, np.array([0, 2]), "abc")
    assert metrics["loss"] == pytest.approx(5_000)  # (0 + 10,000) / 2 nats
    assert metrics["brier"] == pytest.approx(1)  # (0 + 2) / 2
    assert metrics["mean_confidence"] == 1


def test_a_quotient_over_nothing_is_none_in_json():
    # Three of class a, one of them taken for b; nothing is c, nothing is taken for c; d is never found.
    logits = 5 * np.eye(4, dtype="float32")[[0, 0, 1, 1]]
    metrics = classification_metrics(logits, np.array([0, 0, 0, 3]), ["a", "b", "c", "d"])
    a, b, c, d = metrics["per_class"]
    assert a == {"name": "a", "n": 3, "accuracy": 2 / 3, "precision": 1, "recall": 2 / 3, "f1": 0.8}
    assert b == {"name": "b", "n": 0, "accuracy": None, "precision": 0, "recall": None, "f1": 0}
    assert c == {"name": "c", "n": 0, "accuracy": None, "precision": None, "recall": None, "f1": None}
    assert d == {"name": "d", "n": 1, "accuracy": 0, "precision": None, "recall": 0, "f1": 0}
    assert metrics["macro_f1"] == pytest.approx(0.8 / 3)  # a, b and d occur
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics  # and no numpy types


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_of_a_diverged_model_are_refused(bad):
    logits, labels, names = random_case(10, 3)
    logits[[2, 7], 1] = bad
    with pytest.raises(InputError, match="2 of 10 images"):
        classification_metrics(logits, labels, names)


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0, 1, 3], "abc", "integers in 0..2"),
        ([0, 1, -1], "abc", "integers in 0..2"),
        ([0.0, 1.0, 2.0], "abc", "float64"),
        ([0, 1], "abc", r"\[3, 3\] and \[2\]"),
        ([0, 1, 2], "ab", "class_names: expected 3"),
    ],
)
def test_arguments_that_do_not_fit_together_are_refused(labels, names, message):
    with pytest.raises(ValueError, match=message):
        classification_metrics(np.zeros((3, 3), "float32"), np.array(labels), names)


def test_compute_of_airbench94_is_what_its_authors_publish():
    # Positions * kernel of its seven convolutions (arXiv:2404.00498): 31, 15, 7 and 3 pixels wide.
    macs = 31**2 * (2 * 2 * 3 * 24 + 9 * 24 * 64)
    macs += 15**2 * (9 * 64 * 64 + 9 * 64 * 256)
    macs += 7**2 * (9 * 256 * 256 + 9 * 256 * 256)
    macs += 3**2 * 9 * 256 * 256 + 256 * 10
    assert training_pflop(macs, round(9.9 * 50_000)) == pytest.approx(0.36, rel=0.03)  # two digits are published


def test_compute_is_six_operations_a_mac_and_image():
    assert training_pflop(macs=1_000_000, images=500) == pytest.approx(3e9 / 1e15)
