"""How sure to be after a handful of images: by learning from most of them and answering for the others, in turn."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from pipelines.folds import fold_of
from tfcifar.evaluation.probabilities import Scaling
from tfcifar.evaluation.scaling import LARGEST, SMALLEST
from tfcifar.evaluation.statistics import wilson_interval
from tfcifar.fewshot.methods import Method

MOST_FOLDS = 5


@dataclass(frozen=True)
class CrossValidated:
    """Answers for images that were held out. correct of n; temperature: what logits are to be divided by."""

    correct: int
    n: int
    temperature: float

    @property
    def interval95(self) -> tuple[float, float]:
        return wilson_interval(self.correct, self.n)


def cross_validate(method: Method, images: np.ndarray, labels: np.ndarray, num_classes: int) -> CrossValidated | None:
    """Learn from all folds but one, answer for that one, in turn; None where a class has one image only.

    Args: as for `Method.learn`.
    """
    folds = min(MOST_FOLDS, int(np.bincount(labels, minlength=num_classes).min()))
    if folds < 2:
        return None
    fold = fold_of(labels, folds, seed=0)
    logits = np.empty((len(labels), num_classes))
    for held_out in range(folds):
        inside = fold == held_out
        learned = method.learn(images[~inside], labels[~inside], num_classes)
        logits[inside] = learned.logits(images[inside])
    correct = int((logits.argmax(1) == labels).sum())
    return CrossValidated(correct, len(labels), temperature_for(logits, correct))


def temperature_for(logits: np.ndarray, correct: int) -> float:
    """The temperature with which the highest probabilities are, on average, the share of right answers to expect.

    That share is (correct + 1) / (n + 2), Laplace's rule of succession: a handful of images without a mistake is no
    proof that there will be none, and the temperature with the highest likelihood would take it for one.

    Args:
        logits: float [n, k].
        correct: how many of them have their maximum at the right class.

    Returns:
        Between 0.01 and 100.
    """
    wanted = (correct + 1) / (len(logits) + 2)

    def excess(log_factor: float) -> float:
        factor = np.full(logits.shape[1], np.exp(log_factor))
        scaled = Scaling("temperature", factor, np.zeros(logits.shape[1])).apply(logits)
        return float(np.exp(scaled.max(1)).mean()) - wanted

    low, high = np.log(SMALLEST), np.log(LARGEST)  # of what logits are multiplied by; the mean rises with it
    if excess(low) >= 0:
        return 1 / SMALLEST
    if excess(high) <= 0:
        return 1 / LARGEST
    return float(np.exp(-brentq(excess, low, high)))
