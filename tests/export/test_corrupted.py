"""What files are worth on corrupted images; here the images stay as they are, and files are functions."""

import tracemalloc

import numpy as np
import pytest

from export import corrupted
from export.corrupted import judge_corrupted
from pipelines.sources import Examples


@pytest.fixture(autouse=True)
def nothing_is_corrupted(monkeypatch):
    monkeypatch.setattr(corrupted, "corrupt", lambda images, *_: images)


def test_figures_are_means_over_all_corruptions_and_severities():
    examples = Examples(np.zeros((4, 8, 8, 3), np.uint8), np.array([0, 0, 0, 1]))
    logits = np.tile(np.log(np.float32([0.8, 0.2])), (4, 1))
    (judged,) = judge_corrupted({"file": lambda _: logits}, examples, "ab", 4, {"file": 1.0}).values()
    nll = -(3 * np.log(0.8) + np.log(0.2)) / 4
    calibrated = judged.pop("calibrated")
    assert judged == pytest.approx(
        {"images": 4, "corruptions": 15, "severities": 5, "accuracy": 0.75, "nll": nll, "ece": 0.05}
    )
    assert calibrated == pytest.approx({"nll": nll, "ece": 0.05})


def test_many_classes_do_not_fill_the_memory():
    """75 kinds of images, each with a confusion of 200 x 200 classes: 24 MB for each file."""
    examples = Examples(np.zeros((2, 8, 8, 3), np.uint8), np.array([0, 1]))
    names = [str(label) for label in range(200)]
    tracemalloc.start()
    try:
        judge_corrupted({"file": lambda _: np.zeros((2, 200), np.float32)}, examples, names, 2, {})
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()
