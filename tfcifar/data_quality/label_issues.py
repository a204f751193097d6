"""Labels that are likely wrong, by confident learning.

Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels" (arXiv:1911.00068),
as cleanlab has it. An example counts as confidently seen as a class whose probability is above the mean that examples
with this label have. From how often examples of one label are confidently seen as another class follows how many labels
are wrong, and of each pair of classes so many are named, those with the largest margin ("prune by noise rate").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cleanlab.count import estimate_joint
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

RANKED_BY = "normalized_margin"


@dataclass(frozen=True)
class LabelIssues:
    """Examples whose label is likely wrong, the likeliest first.

    index: int64 [m]; proposed: int64 [m], the class that the model sees instead.
    quality: float64 [m], 0..1; 0 where the model is sure of the proposed class, 0.5 where it is undecided.
    joint: float64 [k, k], estimated share of all examples with the label of a row and the true class of a column.
    """

    index: np.ndarray
    proposed: np.ndarray
    quality: np.ndarray
    joint: np.ndarray

    @property
    def estimated_share(self) -> float:
        """The estimated share of wrong labels, 0..1."""
        return float(self.joint.sum() - np.trace(self.joint))


def rank_label_issues(labels: np.ndarray, probabilities: np.ndarray) -> LabelIssues:
    """Find the labels that out-of-sample predictions speak against.

    Args:
        labels: int64 [n], as given.
        probabilities: float [n, k], of models that have not seen the example that they judge.
    """
    # One process: TensorFlow's threads do not survive the fork that cleanlab would make.
    found = find_label_issues(labels, probabilities, return_indices_ranked_by=RANKED_BY, n_jobs=1)
    index = np.asarray(found, np.int64)
    quality = get_label_quality_scores(labels, probabilities, method=RANKED_BY)
    joint = estimate_joint(labels, probabilities)
    return LabelIssues(index, probabilities[index].argmax(-1), quality[index], joint)


def likeliest_confusions(joint: np.ndarray, class_names: Sequence[str], count: int = 10) -> list[dict]:
    """Rows of `given`, `true` (names) and `share` of all examples, the largest shares of wrong labels first."""
    wrong = joint - np.diag(np.diag(joint))
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    places = [np.unravel_index(place, wrong.shape) for place in order]
    return [
        {"given": class_names[given], "true": class_names[true], "share": round(float(wrong[given, true]), 6)}
        for given, true in places
        if wrong[given, true] > 0
    ]
