"""One interface for all methods: learn from a few labelled images, then give logits for any."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from pipelines.errors import unknown
from tfcifar.fewshot import METHODS


@dataclass(frozen=True)
class Learned:
    """What a method makes of some labelled images.

    logits: uint8 [n, h, w, 3] -> float32 [n, k].
    to_model: builds a Keras model that gives the same logits, to be saved.
    """

    logits: Callable[[np.ndarray], np.ndarray]
    to_model: Callable[[], keras.Model]


class Method(Protocol):
    """Made from a trained model with a layer "logits", which it leaves as it is."""

    name: str

    def learn(self, images: np.ndarray, labels: np.ndarray, num_classes: int) -> Learned:
        """Learn new classes.

        Args:
            images: uint8 [n, h, w, 3] of the model's size, at least one of each class.
            labels: int64 [n], 0..num_classes-1.
        """
        ...


def method_class(name: str) -> Any:
    """The class of a method. Raises InputError for an unknown name."""
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    module, _, kind = METHODS[name][0].partition(":")
    return getattr(importlib.import_module(module), kind)
