"""A model whose logits can be said by hand, and that takes as long as a test wants."""

import threading

import numpy as np

from pipelines.errors import InputError
from tfcifar.evaluation.probabilities import Scaling
from tfcifar.prediction.opened import Opened

SHAPE = (4, 6, 3)
CLASSES = ["red", "green", "blue"]


def channel_sums(images: np.ndarray) -> np.ndarray:
    """The logits of the fake model: for each colour the sum of its pixels, over 1000."""
    return (images.astype(np.float32).sum((1, 2)) / 1000).astype(np.float32)


def left_half(images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Maps of a model that looks at the left half only."""
    maps = np.zeros(images.shape[:3], np.float32)
    maps[:, :, : images.shape[2] // 2] = 1
    return maps


class FakeModel:
    """Loads from any file; counts its batches, and waits for `go` where a test has cleared it."""

    def __init__(self):
        self.batches = []
        self.go = threading.Event()
        self.go.set()
        self.started = threading.Event()

    def __call__(self, images):
        self.started.set()
        assert self.go.wait(10)
        self.batches.append(len(images))
        return channel_sums(images)

    def load(self, path, threads=1):
        if path.read_bytes() == b"broken":
            raise InputError(f"{path}: broken")
        scaling = Scaling("temperature", np.full(3, 0.5), np.zeros(3)) if path.stem == "calibrated" else None
        acceptance = {"max_energy": -2.0} if path.stem == "bounded" else None
        explain = left_half if path.stem == "explained" else None
        return Opened(self, SHAPE, "fake", CLASSES, scaling, {"name": path.stem}, acceptance, explain)
