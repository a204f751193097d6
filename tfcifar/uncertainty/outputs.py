"""What the passes through a network gave, image by image: all that scores and figures are made from."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfcifar.arrays import read_cache, write_arrays
from tfcifar.uncertainty.measures import uncertainties


@dataclass(frozen=True)
class Judged:
    """One source of predictions on labelled images: bool [n] whether right, and float64 [n] by measure."""

    correct: np.ndarray
    uncertainty: dict[str, np.ndarray]

    def take(self, indices: np.ndarray) -> "Judged":
        measures = {name: values[indices] for name, values in self.uncertainty.items()}
        return Judged(self.correct[indices], measures)


@dataclass(frozen=True)
class Outputs:
    """Of one run.

    settings: what they were computed with; outputs of other settings are computed anew.
    labels: int [n], by split.
    judged: by split, then by source.
    foreign: float64 [n] by kind of images, then by detector; larger is more foreign.
    """

    settings: dict
    labels: dict[str, np.ndarray]
    judged: dict[str, dict[str, Judged]]
    foreign: dict[str, dict[str, np.ndarray]]


def judge(probabilities: np.ndarray, labels: np.ndarray) -> Judged:
    """The mean prediction of several passes, or one, and its uncertainty.

    Args:
        probabilities: [passes, n, k].
        labels: int [n].
    """
    predicted = np.mean(probabilities, axis=0, dtype=np.float64).argmax(-1)
    return Judged(predicted == labels, uncertainties(probabilities))


def save_outputs(outputs: Outputs, path: Path) -> None:
    arrays = {f"labels/{split}": labels for split, labels in outputs.labels.items()}
    for split, sources in outputs.judged.items():
        for source, each in sources.items():
            arrays[f"correct/{split}/{source}"] = each.correct
            arrays |= {f"judged/{split}/{source}/{name}": values for name, values in each.uncertainty.items()}
    for kind, scores in outputs.foreign.items():
        arrays |= {f"foreign/{kind}/{detector}": values for detector, values in scores.items()}
    write_arrays(path, {"settings": np.array(json.dumps(outputs.settings)), **arrays})


def load_outputs(path: Path) -> Outputs | None:
    """What `save_outputs` wrote; None: it is not there, or damaged, which is said."""
    labels: dict[str, np.ndarray] = {}
    judged: dict[str, dict[str, Judged]] = {}
    foreign: dict[str, dict[str, np.ndarray]] = {}
    arrays = read_cache(path)
    if arrays is None:
        return None
    for name, values in arrays.items():
        kind, _, rest = name.partition("/")
        if kind == "labels":
            labels[rest] = values
        elif kind == "correct":
            split, source = rest.split("/")
            judged.setdefault(split, {})[source] = Judged(values, {})
        elif kind == "judged":
            split, source, measure = rest.split("/")
            judged[split][source].uncertainty[measure] = values
        elif kind == "foreign":
            images, detector = rest.rsplit("/", 1)
            foreign.setdefault(images, {})[detector] = values
    return Outputs(json.loads(str(arrays["settings"])), labels, judged, foreign)
