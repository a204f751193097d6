"""A recipe is everything that decides what a training run does: frozen dataclasses, validated."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any

from pipelines.augment_config import Augment
from pipelines.errors import check, unknown
from tfcifar.models import MODELS
from tfcifar.recipe_parts import Distill, MultiTask, Optimizer, Schedule, SmallImages, check_swa_epochs

CACHES = ("memory", "disk")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
LABELS = ("one_hot", "integer")
TTA_VIEWS = ("none", "flip", "flip_translate", "flip_translate_8", "multi_crop")


@dataclass(frozen=True)
class Data:
    dataset: str = "cifar10"  # a TFDS name, "synthetic", or the path of an archive or image folder
    data_dir: str | None = None  # where TFDS looks; None: TFDS_DATA_DIR, then ~/tensorflow_datasets
    image_size: int | None = None  # bring every image to this size; None: the data set's own, or the median
    validation_fraction: float = 0.1
    split_seed: int = 0  # not the run's seed: every run sees the same split
    train_on_validation: bool = False  # final models only, with the recipe already fixed
    train_fraction: float = 1.0  # of the training images that are used, for quick trials
    fallback: str | None = None  # the demo's: a data set to use where `dataset` cannot be had
    folds: int = 0  # hold out one of so many equal parts of the training images, see tfcifar.data_quality; 0: none
    fold: int = 0  # the one that is held out
    cache: str = "memory"  # where decoded images are kept; "disk": image folders that do not fit in memory

    def __post_init__(self):
        check(
            0 < self.validation_fraction < 1,
            "data.validation_fraction",
            "a number between 0 and 1",
            self.validation_fraction,
        )
        check(0 < self.train_fraction <= 1, "data.train_fraction", "above 0, at most 1", self.train_fraction)
        if self.cache not in CACHES:
            raise unknown("data.cache", self.cache, CACHES)
        check(self.folds == 0 or self.folds >= 2, "data.folds", "0 (none), or at least 2", self.folds)
        check(0 <= self.fold < max(self.folds, 1), "data.fold", f"0..{max(self.folds, 1) - 1}", self.fold)


@dataclass(frozen=True)
class Model:
    name: str
    weights: str | None = None  # transfer models: "imagenet", the path of a weights file, or None
    image_size: int | None = None  # transfer models: images are upscaled to it inside the model
    dropout: float = 0.0
    widths: tuple[int, ...] = ()  # own architectures: channels of each stage; empty: the model's own
    alpha: float | None = None  # MobileNets: share of the channels, as in Keras; None: 1.0
    attention: str | None = None  # attention_cnn: se, cbam or mhsa; None: the model's own

    def __post_init__(self):
        if self.name not in MODELS:
            raise unknown("model.name", self.name, MODELS)
        check(0 <= self.dropout < 1, "model.dropout", "a number from 0 up to 1", self.dropout)
        pretrained = MODELS[self.name].pretrained
        check(pretrained or self.weights is None, "model.weights", f"none for {self.name}", self.weights)
        check(
            pretrained or self.image_size is None,
            "model.image_size",
            f"none for {self.name}",
            self.image_size,
        )
        check(not (pretrained and self.widths), "model.widths", f"none for {self.name}", self.widths)
        alphas = MODELS[self.name].alphas
        choices = f"one of {', '.join(map(str, alphas))}" if alphas else f"none for {self.name}"
        check(self.alpha is None or self.alpha in alphas, "model.alpha", choices, self.alpha)
        kinds = MODELS[self.name].attention
        if self.attention is not None and self.attention not in kinds:
            check(bool(kinds), "model.attention", f"none for {self.name}", self.attention)
            raise unknown("model.attention", self.attention, kinds)
        check(all(width >= 1 for width in self.widths), "model.widths", "channels, each at least 1", self.widths)
        check(
            self.image_size is None or 32 <= self.image_size <= 1024,
            "model.image_size",
            "32 to 1024 pixels",
            self.image_size,
        )


@dataclass(frozen=True)
class Transfer:
    """How a pretrained backbone is fine-tuned: the new head first, then the backbone from its top downwards."""

    head_epochs: int = 0
    head_learning_rate: float = 1e-3  # Adam, constant
    unfreeze: tuple[float, ...] = (1.0,)  # shares of the backbone's layers that train, step by step
    unfreeze_epochs: int = 1  # epochs of each step but the last, which takes what remains
    first_layer_rate: float = 1.0  # of the backbone's first layer to the last; geometric in between

    def __post_init__(self):
        check(self.head_epochs >= 0, "transfer.head_epochs", "at least 0", self.head_epochs)
        rate = self.head_learning_rate
        check(0 < rate < math.inf, "transfer.head_learning_rate", "a finite number above 0", rate)
        rate = self.first_layer_rate
        check(0 < rate <= 1, "transfer.first_layer_rate", "a number above 0, at most 1", rate)
        check(self.unfreeze_epochs >= 1, "transfer.unfreeze_epochs", "at least 1", self.unfreeze_epochs)
        rising = list(self.unfreeze) == sorted(set(self.unfreeze))
        check(
            bool(self.unfreeze) and rising and self.unfreeze[0] >= 0 and self.unfreeze[-1] <= 1,
            "transfer.unfreeze",
            "rising shares from 0 to 1",
            self.unfreeze,
        )


@dataclass(frozen=True)
class Recipe:
    name: str
    model: Model
    epochs: int  # of the main phase; transfer.head_epochs come before it
    batch_size: int
    data: Data = field(default_factory=Data)
    augment: Augment = field(default_factory=Augment)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    transfer: Transfer = field(default_factory=Transfer)
    small_images: SmallImages = field(default_factory=SmallImages)
    multi_task: MultiTask = field(default_factory=MultiTask)
    distill: Distill = field(default_factory=Distill)
    labels: str = "one_hot"  # integer: sparse cross-entropy; no MixUp, CutMix or label smoothing
    mixed_precision: str = "auto"
    early_stopping_patience: int | None = None  # epochs of the main phase without a better validation accuracy
    tta: str = "none"  # one of TTA_VIEWS: test-time views, reported beside the plain figure
    seed: int = 0
    deterministic: bool = False

    def __post_init__(self):
        check(self.epochs >= 1, "epochs", "at least 1", self.epochs)
        check(self.batch_size >= 1, "batch_size", "at least 1", self.batch_size)
        check(self.seed >= 0, "seed", "at least 0", self.seed)
        patience = self.early_stopping_patience
        check(patience is None or patience >= 1, "early_stopping_patience", "at least 1, or none", patience)
        check(
            patience is None or not self.data.train_on_validation,
            "early_stopping_patience",
            "none with data.train_on_validation, which leaves nothing to judge by",
            patience,
        )
        if self.mixed_precision not in PRECISIONS:
            raise unknown("mixed_precision", self.mixed_precision, PRECISIONS)
        if self.labels not in LABELS:
            raise unknown("labels", self.labels, LABELS)
        if self.tta not in TTA_VIEWS:
            raise unknown("tta", self.tta, TTA_VIEWS)
        soft = [name for name in ("mixup_alpha", "cutmix_alpha", "label_smoothing") if getattr(self.augment, name)]
        check(
            self.labels == "one_hot" or not soft,
            "labels",
            f"one_hot with augment.{', augment.'.join(soft)}",
            self.labels,
        )
        check(self.labels == "one_hot" or not self.multi_task.groups, "labels", "one_hot with multi_task", self.labels)
        check(self.labels == "one_hot" or not self.distill.teachers, "labels", "one_hot with distill", self.labels)
        check(
            not (self.distill.teachers and self.multi_task.groups),
            "multi_task.groups",
            "none with distill: no teacher answers for groups",
            self.multi_task.groups,
        )
        check(
            not self.schedule.stage_epochs or sum(self.schedule.stage_epochs) == self.epochs,
            "schedule.stage_epochs",
            f"values that add up to epochs ({self.epochs})",
            self.schedule.stage_epochs,
        )
        check(
            self.schedule.warmup_epochs < self.epochs,
            "schedule.warmup_epochs",
            f"fewer than epochs ({self.epochs})",
            self.schedule.warmup_epochs,
        )
        steps_before_last = (len(self.transfer.unfreeze) - 1) * self.transfer.unfreeze_epochs
        check(
            steps_before_last < self.epochs,
            "transfer.unfreeze",
            f"steps that leave the last at least one of {self.epochs} epochs",
            self.transfer.unfreeze,
        )
        last_phase = self.epochs - self.small_images.epochs - steps_before_last
        check_swa_epochs(self.optimizer.swa_epochs, max(last_phase, 0), patience is not None)
        pretrained = MODELS[self.model.name].pretrained
        check(
            self.small_images.epochs < self.epochs,
            "small_images.epochs",
            f"fewer than epochs ({self.epochs})",
            self.small_images.epochs,
        )
        if pretrained and self.small_images.epochs:
            whole = self.model.image_size or MODELS[self.model.name].native_size
            # Apart by other steps, MobileNetV2 and EfficientNet would pad differently at the two sizes.
            choices = range(whole - 32, 31, -32)
            check(
                self.small_images.image_size in choices,
                "small_images.image_size",
                f"{', '.join(map(str, choices)) or 'none'} for {self.model.name} at {whole} pixels",
                self.small_images.image_size,
            )
            check(
                self.transfer.unfreeze == (1.0,),
                "transfer.unfreeze",
                "[1.0], the whole backbone at once, with small_images",
                self.transfer.unfreeze,
            )
        check(
            not (self.schedule.name == "plateau" and self.data.train_on_validation),
            "schedule.name",
            "another than 'plateau' where the validation images are trained on",
            self.schedule.name,
        )
        check(
            not (self.model.weights and self.optimizer.name == "muon"),
            "optimizer.name",
            f"sgd, adam or adamw for {self.model.name} with weights (muon would undo the scale of its kernels)",
            self.optimizer.name,
        )
        check(
            pretrained or self.transfer == Transfer(),
            "transfer",
            f"its defaults for {self.model.name}",
            self.transfer,
        )

    def replace(self, **changes: Any) -> "Recipe":
        """This recipe with the named fields changed: a variant states only what differs."""
        return dataclasses.replace(self, **changes)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"
