"""A trained model and a folder of a few labelled images -> a classifier of new classes."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.errors import InputError
from pipelines.image_folder import read_class_folders
from tfcifar.evaluation.probabilities import Scaling
from tfcifar.evaluation.statistics import wilson_interval
from tfcifar.fewshot import BASELINES
from tfcifar.fewshot.confidence import CrossValidated, cross_validate
from tfcifar.fewshot.meta_train import LEARNER, MODEL, open_learner
from tfcifar.fewshot.methods import Learned, Method, method_class
from tfcifar.models.saved import load_model
from tfcifar.prediction.opened import Opened
from tfcifar.run_dir import RunDir

DEFAULT = "linear_probe"  # of a run; what was meta-trained has its own


@dataclass(frozen=True)
class NewClassifier:
    """What was learned, and what is known of it. seconds: of learning, cross-validation included."""

    method: str
    learned: Learned
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    counts: tuple[int, ...]
    judged: CrossValidated | None
    seconds: float

    def opened(self) -> Opened:
        """As what `predict` is given of a model."""
        k, scaling = len(self.class_names), None
        if self.judged is not None:
            scaling = Scaling("temperature", np.full(k, 1 / self.judged.temperature), np.zeros(k))
        return Opened(self.learned.logits, self.image_shape, "tensorflow", self.class_names, scaling)

    def summary(self) -> str:
        """For people, in two lines."""
        images = f"{sum(self.counts)} images ({min(self.counts)} to {max(self.counts)} of each)"
        first = f"learned {len(self.class_names)} classes from {images} in {self.seconds:.1f} s with {self.method}"
        if self.judged is None:
            return f"{first}\nhow often it is right is not known: cross-validation takes 2 images of each class"
        low, high = self.judged.interval95
        share = self.judged.correct / self.judged.n
        return (
            f"{first}\ncross-validated on them: {self.judged.correct} of {self.judged.n} right "
            f"({share:.0%}, 95% interval {low:.0%} to {high:.0%})"
        )


def learn_new_classes(model: Path, support: Path, method_name: str | None) -> NewClassifier:
    """Learn the classes in the folder `support` with the network in `model`.

    Args:
        model: a run directory, or a folder that `tfcifar.fewshot.benchmark` has meta-trained.
        support: <class>/<image>, images of any size.
        method_name: None: `linear_probe` for a run, its own method for what was meta-trained.

    Raises:
        InputError: not such folders, or a method that the network was not trained for.
    """
    method, image_shape = open_method(model, method_name)
    class_names, examples = read_class_folders(support, *image_shape[:2])
    images, labels, k = np.asarray(examples.images), examples.labels, len(class_names)
    started = time.perf_counter()
    judged = cross_validate(method, images, labels, k)
    learned = method.learn(images, labels, k)
    counts = tuple(np.bincount(labels).tolist())
    seconds = time.perf_counter() - started
    return NewClassifier(method.name, learned, class_names, image_shape, counts, judged, seconds)


def open_method(path: Path, name: str | None) -> tuple[Method, tuple[int, int, int]]:
    """The method that learns with the network in `path`, and the shape of its images."""
    if (path / LEARNER).is_file():
        own = open_learner(path)
        if name in (None, own.name):
            return own, own.model.input_shape[1:]
        model, there = load_model(path / MODEL), f"{own.name} or "
    else:
        model, there = load_model(RunDir.existing(path).model), ""
    name = name or DEFAULT
    if name not in BASELINES:
        raise InputError(
            f"--method: expected {there}{', '.join(BASELINES)} for {path}, received {name}; what python -m "
            f"tfcifar.fewshot.benchmark has meta-trained with it will do."
        )
    return method_class(name)(model, remember=True), model.input_shape[1:]


def count_right(rows: list[dict], class_names: tuple[str, ...]) -> str | None:
    """How many answers are right, for people; None unless each image lies in a folder named like a class."""
    truth = [Path(row["image"]).parent.name for row in rows]
    if not rows or not set(truth) <= set(class_names):
        return None
    right = sum(row["classes"][0]["name"] == name for row, name in zip(rows, truth, strict=True))
    low, high = wilson_interval(right, len(rows))
    return f"{right} of {len(rows)} right ({right / len(rows):.1%}, 95% interval {low:.1%} to {high:.1%})"
