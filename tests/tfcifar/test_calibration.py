"""Reliability bins and calibration errors, by hand."""

import json

import numpy as np
import pytest

from tfcifar.evaluation.calibration import (
    adaptive_calibration_error,
    expected_calibration_error,
    reliability_bins,
)
from tfcifar.evaluation.metrics import classification_metrics
from tfcifar.reporting.tables import calibration_table

CONFIDENCE = np.array([0.30, 0.45, 0.55, 0.80, 0.90, 1.00])
CORRECT = np.array([True, False, True, False, True, True])


def test_bins_match_hand_computed_ones():
    low, middle, high = reliability_bins(CONFIDENCE, CORRECT, bins=3)
    assert (low["low"], low["high"], low["count"]) == (0, pytest.approx(1 / 3), 1)
    assert (low["confidence"], low["accuracy"]) == (pytest.approx(0.30), 1)
    assert (middle["count"], middle["confidence"], middle["accuracy"]) == (2, pytest.approx(0.50), 0.5)
    assert (high["count"], high["confidence"], high["accuracy"]) == (3, pytest.approx(0.90), pytest.approx(2 / 3))
    assert high["high"] == 1


def test_expected_calibration_error_matches_hand_computed_bins():
    expected = (1 * 0.70 + 2 * 0.00 + 3 * (0.90 - 2 / 3)) / 6
    assert expected_calibration_error(CONFIDENCE, CORRECT, bins=3) == pytest.approx(expected)


def test_a_bin_holds_its_upper_edge_and_rounding_above_one_is_no_bin_of_its_own():
    counts = [row["count"] for row in reliability_bins([0.25, 0.5, 0.75, 1.0, 1.0 + 1e-12], np.ones(5, bool), bins=4)]
    assert counts == [1, 1, 1, 2]


def test_empty_bins_are_none_and_json_ready():
    rows = reliability_bins(CONFIDENCE.astype("float32"), CORRECT)
    assert len(rows) == 15
    assert sum(row["count"] for row in rows) == 6
    assert rows[0] == {"low": 0, "high": pytest.approx(1 / 15), "count": 0, "confidence": None, "accuracy": None}
    json.dumps(rows, allow_nan=False)


def test_error_is_small_where_confidence_is_the_chance_of_being_right_and_grows_with_overconfidence():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 0.8, 100_000)
    correct = rng.uniform(size=100_000) < confidence
    assert expected_calibration_error(confidence, correct) < 0.01
    assert expected_calibration_error(confidence + 0.2, correct) == pytest.approx(0.2, abs=0.01)


def test_metrics_report_the_error_of_the_predicted_class():
    # Two images, both 80% sure of class 0, one of them right: |0.5 - 0.8|.
    logits = np.log(np.array([[0.8, 0.2], [0.8, 0.2]], "float32"))
    assert classification_metrics(logits, np.array([0, 1]), "ab")["ece"] == pytest.approx(0.3, abs=1e-6)


def test_adaptive_error_matches_hand_computed_bins_of_equal_mass():
    # Sorted: 0.30 0.45 | 0.55 0.80 | 0.90 1.00, whatever order they come in.
    expected = (abs(0.75 - 1) + abs(1.35 - 1) + abs(1.90 - 2)) / 6
    order = [3, 0, 5, 1, 4, 2]
    assert adaptive_calibration_error(CONFIDENCE[order], CORRECT[order], bins=3) == pytest.approx(expected)
    # 6 predictions in 4 bins: 2, 2, 1, 1.
    expected = (abs(0.75 - 1) + abs(1.35 - 1) + abs(0.90 - 1) + abs(1.00 - 1)) / 6
    assert adaptive_calibration_error(CONFIDENCE, CORRECT, bins=4) == pytest.approx(expected)


def test_adaptive_error_with_more_bins_than_predictions_is_the_mean_gap_of_each():
    expected = np.abs(CONFIDENCE - CORRECT).mean()
    assert adaptive_calibration_error(CONFIDENCE, CORRECT, bins=15) == pytest.approx(expected)


def test_the_table_warns_where_there_are_too_few_images_to_calibrate_by():
    found = {"run": "mine", "method": "none", "kept": True, "accuracy": 0.9, "nll": 0.3, "brier": 0.1}
    row = found | {"split": "validation", "ece": 0.1, "adaptive_ece": 0.1}
    assert "mine, 9 validation images (cross-validated; so few can calibrate nothing)\n" in calibration_table(
        [row | {"n": 9}]
    )
    assert "mine, 100 validation images (cross-validated)\n" in calibration_table([row | {"n": 100}])
