"""A model as those who ask it know it, whatever its file: packages above this one can open files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfcifar.evaluation.probabilities import Scaling


@dataclass(frozen=True)
class Opened:
    """What a loader makes of a path.

    run: uint8 [n, *image_shape] -> float32 logits [n, k]. image_shape: (h, w, 3). platform: of what runs it, for
    example "litert". class_names: k names, or None if they are not known. scaling: what calibrates its logits, or
    None. card: JSON-ready, what else is known of the model. acceptance: see `fit_acceptance`, or None. explain: uint8
    [n, *image_shape] and classes, int [n] -> Grad-CAMs, float32 [n, h, w], 0..1; None: the model cannot be explained.
    """

    run: Callable[[np.ndarray], np.ndarray]
    image_shape: tuple[int, int, int]
    platform: str
    class_names: Sequence[str] | None = None
    scaling: Scaling | None = None
    card: dict | None = None
    acceptance: dict | None = None
    explain: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None


Loader = Callable[[Path, int], Opened]  # (path, threads)
