"""Everything that decides what a few-shot benchmark does, on every data set of it."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from pipelines.errors import check, unknown
from tfcifar.fewshot import METHODS


@dataclass(frozen=True)
class FewShot:
    """Fields are overridden with --set. Rates were chosen on meta-validation classes of the synthetic source."""

    data: tuple[str, ...] = ("cifar10@6/2/2", "cifar10@5/0/5", "synthetic:100@60/20/20")  # DATASET@CLASS SPLIT
    split_seed: int = 0  # which classes are in which part, where the split does not say it
    draws: int = 1  # of the classes, and trainings: the n-th has split_seed + n and seed + n
    methods: tuple[str, ...] = tuple(METHODS)
    image_size: int | None = None  # bring every image to this size; None: the data set's own
    widths: tuple[int, ...] = (32, 32, 32, 32)  # of Conv-4
    ways: int = 5  # classes of an episode; fewer where a part has fewer
    shots: tuple[int, ...] = (1, 5, 20)  # images of each class to learn from
    queries: int = 15  # images of each class to be judged by
    episodes: int = 600  # of each number of shots
    pretrain_steps: int = 3000  # of the classifier of the meta-train classes, whose features the baselines use
    pretrain_batch: int = 128
    pretrain_rate: float = 2e-3
    iterations: int = 1500  # of meta-training
    meta_batch: int = 4  # episodes of an iteration
    train_shots: int = 5  # in meta-training
    inner_steps: int = 5  # of gradient descent in an episode
    inner_rate: float = 0.1  # at the start: it is learned
    reptile_rate: float = 0.4  # of Reptile's steps, which learns none; 0.1 was worse on meta-validation classes
    outer_rate: float = 2e-3
    validation_every: int = 250  # iterations
    validation_episodes: int = 100
    seed: int = 0

    def __post_init__(self):
        for name in self.methods:
            if name not in METHODS:
                raise unknown("methods", name, METHODS)
        for name in ("data", "methods", "shots", "widths"):
            check(bool(getattr(self, name)), name, "at least one", getattr(self, name))
        for name in ("draws", "queries", "pretrain_steps", "pretrain_batch", "iterations", "meta_batch", "train_shots",
                     "inner_steps", "validation_every", "validation_episodes"):  # fmt: skip
            check(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        check(self.ways >= 2, "ways", "at least 2", self.ways)
        check(self.episodes >= 2, "episodes", "at least 2, for an interval", self.episodes)
        check(min(self.shots) >= 1, "shots", "at least 1 image each", self.shots)
        for name in ("pretrain_rate", "inner_rate", "reptile_rate", "outer_rate"):
            check(getattr(self, name) > 0, name, "a number above 0", getattr(self, name))
        for each in self.data:
            dataset, at, split = each.rpartition("@")
            check(bool(dataset and at and split), "data", "DATASET@SPLIT, for example cifar10@6/2/2", each)

    def replace(self, **changes: Any) -> "FewShot":
        return dataclasses.replace(self, **changes)


def demo(settings: FewShot) -> FewShot:
    """Seconds, on generated images: walks everything that the benchmark walks."""
    return settings.replace(
        data=("synthetic:20@10/5/5",),
        widths=(8, 8, 8, 8),
        episodes=20,
        pretrain_steps=100,
        iterations=10,
        meta_batch=2,
        inner_steps=2,
        validation_every=5,
        validation_episodes=5,
    )


PRESETS = {"cpu": lambda settings: settings, "demo": demo}
