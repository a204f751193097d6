"""The parts of a recipe that say what is learned, from which sizes of images, and how weights are changed."""

import math
from dataclasses import dataclass

from pipelines.errors import check, unknown

OPTIMIZERS = ("sgd", "adam", "adamw", "muon")
SCHEDULES = ("constant", "linear", "cosine", "one_cycle", "stages", "plateau")


@dataclass(frozen=True)
class Optimizer:
    name: str = "sgd"
    learning_rate: float = 0.1  # the peak of the schedule
    momentum: float = 0.9  # sgd and muon only, with Nesterov's correction
    # Decoupled, times the learning rate, not on biases and normalization; with muon part of the gradient, and on
    # biases and the head only (Adam's on the head, decoupled): the kernels have a fixed norm.
    weight_decay: float = 0.0
    bias_ratio: float = 0.22  # muon: learning rate of the biases, per image of the batch, to that of the kernels
    dense_ratio: float = 2.8  # muon: likewise that of the head
    adam_ratio: float | None = None  # muon: learning rate of Adam, in the place of SGD, to that of the kernels
    clip_norm: float | None = None  # of all gradients together
    ema_decay: float | None = None  # per step; validation and the saved model use the averaged weights
    # SWA: the saved model is the mean of the weights at the end of each of the last so many epochs. It takes a schedule
    # whose learning rate has not fallen to nothing by then, such as "constant" or "stages".
    swa_epochs: int = 0

    def __post_init__(self):
        if self.name not in OPTIMIZERS:
            raise unknown("optimizer.name", self.name, OPTIMIZERS)
        check(
            0 < self.learning_rate < math.inf, "optimizer.learning_rate", "a finite number above 0", self.learning_rate
        )
        check(0 <= self.weight_decay < math.inf, "optimizer.weight_decay", "a number of at least 0", self.weight_decay)
        for name in ("bias_ratio", "dense_ratio"):
            value = getattr(self, name)
            check(0 < value < math.inf, f"optimizer.{name}", "a finite number above 0", value)
        check(
            self.adam_ratio is None or (self.name == "muon" and 0 < self.adam_ratio < math.inf),
            "optimizer.adam_ratio",
            "a finite number above 0, with muon, or none",
            self.adam_ratio,
        )
        check(0 <= self.momentum < 1, "optimizer.momentum", "a number from 0 up to 1", self.momentum)
        check(
            self.clip_norm is None or self.clip_norm > 0,
            "optimizer.clip_norm",
            "a number above 0",
            self.clip_norm,
        )
        check(
            self.ema_decay is None or 0 < self.ema_decay < 1,
            "optimizer.ema_decay",
            "a number between 0 and 1",
            self.ema_decay,
        )
        check(self.swa_epochs >= 0, "optimizer.swa_epochs", "at least 0", self.swa_epochs)
        check(
            not (self.swa_epochs and self.ema_decay),
            "optimizer.swa_epochs",
            "0 with ema_decay: one of the two averages",
            self.swa_epochs,
        )


def check_swa_epochs(swa_epochs: int, last_phase: int, stops_early: bool) -> None:
    """Raises InputError unless the last `swa_epochs` can be averaged in a run whose last phase has `last_phase`."""
    check(
        swa_epochs <= last_phase,
        "optimizer.swa_epochs",
        f"at most {last_phase}, the epochs in which all weights train on whole images",
        swa_epochs,
    )
    check(
        not (swa_epochs and stops_early),
        "optimizer.swa_epochs",
        "0 with early_stopping_patience: which epochs are the last is not known before",
        swa_epochs,
    )


@dataclass(frozen=True)
class Schedule:
    """Learning rate over the main phase.

    constant; linear and cosine (to zero); one_cycle (linear up to the peak, then cosine to a 10,000th of it: Smith and
    Topin 2018); stages (`stage_learning_rates`, each for as many epochs as `stage_epochs` says); plateau (constant,
    times `plateau_factor` after each `plateau_patience` epochs without a lower validation loss, anew in each phase).
    """

    name: str = "cosine"
    warmup_epochs: float = 0.0  # linear from zero (one_cycle: from 1/25, linear: from 1/5 of the peak)
    stage_learning_rates: tuple[float, ...] = ()
    stage_epochs: tuple[int, ...] = ()
    plateau_patience: int = 3
    plateau_factor: float = 0.3

    def __post_init__(self):
        if self.name not in SCHEDULES:
            raise unknown("schedule.name", self.name, SCHEDULES)
        check(self.plateau_patience >= 1, "schedule.plateau_patience", "at least 1 epoch", self.plateau_patience)
        check(0 < self.plateau_factor < 1, "schedule.plateau_factor", "a number between 0 and 1", self.plateau_factor)
        check(self.warmup_epochs >= 0, "schedule.warmup_epochs", "a number of at least 0", self.warmup_epochs)
        check(
            all(0 < rate < math.inf for rate in self.stage_learning_rates),
            "schedule.stage_learning_rates",
            "finite numbers above 0",
            self.stage_learning_rates,
        )
        check(
            len(self.stage_learning_rates) == len(self.stage_epochs),
            "schedule.stage_epochs",
            f"as many values as stage_learning_rates ({len(self.stage_learning_rates)})",
            self.stage_epochs,
        )
        check(
            (self.name == "stages") == bool(self.stage_epochs),
            "schedule.stage_epochs",
            "values for the schedule 'stages', and none for the others",
            self.stage_epochs,
        )
        check(
            self.name not in ("stages", "plateau") or self.warmup_epochs == 0,
            "schedule.warmup_epochs",
            f"0 for the schedule '{self.name}'",
            self.warmup_epochs,
        )


@dataclass(frozen=True)
class SmallImages:
    """First epochs on images of fewer pixels, at a fraction of the cost (Howard 2018, fast.ai DAWNBench).

    What a network learns first, edges and colours and coarse shapes, it learns from fewer pixels just as well. The
    optimizer starts anew, without momentum, when whole images begin; the schedule goes on.

    From scratch the images are shrunk to `image_size`; a transfer model upscales them only that far, in its head
    epochs too.
    """

    epochs: int = 0  # of the main phase; 0: none
    image_size: int = 24  # height and width

    def __post_init__(self):
        check(self.epochs >= 0, "small_images.epochs", "at least 0", self.epochs)
        check(self.image_size >= 16, "small_images.image_size", "at least 16 pixels", self.image_size)


@dataclass(frozen=True)
class MultiTask:
    """A second head that learns groups of classes; its loss is added to that of the classes."""

    groups: tuple[str, ...] = ()  # "animal: bird cat 'polar bear'", each class in one group; empty: no second head
    weight: float = 0.3  # of its loss

    def __post_init__(self):
        check(0 <= self.weight < math.inf, "multi_task.weight", "a finite number of at least 0", self.weight)


@dataclass(frozen=True)
class Distill:
    """A student learns what teachers say of an image besides its label (Hinton et al. 2015, arXiv:1503.02531).

    Teacher and student see the same augmented image, for many epochs: "a good teacher is patient and consistent"
    (Beyer et al. 2022, arXiv:2106.05237). What teachers say is computed once and kept in the run directory.
    """

    teachers: tuple[str, ...] = ()  # run directories or ensembles, whose probabilities are averaged; empty: none
    temperature: float = 2.0  # by which the logits of both are divided
    weight: float = 0.9  # of the teachers' part in the loss; the labels have the rest
    # Epochs with augmented images of their own; later ones repeat them, and cost the teachers nothing. 0: as many as
    # there are.
    views: int = 0
    # Pixels by which repeated images are shifted at most, at random, and mirrored at random too where the recipe flips:
    # the student cannot learn them by heart, while the teachers are taken to say the same.
    jitter: int = 0
    feature_weight: float = 0.0  # of the distance to the features of the one teacher (FitNets, arXiv:1412.6550)

    def __post_init__(self):
        check(0 < self.temperature < math.inf, "distill.temperature", "a finite number above 0", self.temperature)
        check(0 <= self.weight <= 1, "distill.weight", "a number from 0 to 1", self.weight)
        check(self.views >= 0, "distill.views", "at least 0", self.views)
        check(self.jitter >= 0, "distill.jitter", "at least 0", self.jitter)
        check(self.jitter == 0 or self.views > 0, "distill.jitter", "0 where distill.views is 0: no image is repeated",
              self.jitter)  # fmt: skip
        check(0 <= self.feature_weight < math.inf, "distill.feature_weight", "at least 0", self.feature_weight)
        check(
            self.feature_weight == 0 or len(self.teachers) == 1,
            "distill.feature_weight",
            "0, or exactly one teacher",
            self.feature_weight,
        )
