"""From logits to calibrated probabilities, with numpy alone: what answers a user must not wait for SciPy."""

from dataclasses import dataclass

import numpy as np


def log_sum_exp(logits: np.ndarray) -> np.ndarray:
    """log(sum(exp(logits))) over the last axis; float [n, k] -> float64 [n]. The maximum is taken out: no overflow."""
    logits = logits.astype(np.float64)
    highest = logits.max(-1)
    return highest + np.log(np.exp(logits - highest[..., None]).sum(-1))


@dataclass(frozen=True)
class Scaling:
    """Calibrated logits are `scale` * logits + `bias`.

    method: none, temperature (one scale, no bias: the predicted class stays) or vector. scale, bias: float64 [k].
    """

    method: str
    scale: np.ndarray
    bias: np.ndarray

    def apply(self, logits: np.ndarray) -> np.ndarray:
        """logits: float [n, k] -> calibrated log-probabilities, float64 [n, k]."""
        scaled = logits.astype(np.float64) * self.scale + self.bias
        return scaled - log_sum_exp(scaled)[..., None]

    @property
    def temperature(self) -> float | None:
        """What logits are divided by; None for vector scaling, which has one for each class."""
        return None if self.method == "vector" else float(1 / self.scale[0])


def unscaled(num_classes: int) -> Scaling:
    """The scaling that leaves logits as they are."""
    return Scaling("none", np.ones(num_classes), np.zeros(num_classes))
