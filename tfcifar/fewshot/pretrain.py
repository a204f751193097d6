"""The network that all methods start from or are compared with, trained on meta-train classes only."""

from pathlib import Path

import keras

from pipelines.augment_config import Augment
from pipelines.datasets import steps_per_epoch
from pipelines.errors import InputError
from pipelines.sources import Examples, Source
from pipelines.splits import Splits, channel_statistics, checksum
from tfcifar.fewshot.class_split import ClassPart, ClassSplit
from tfcifar.fewshot.settings import FewShot
from tfcifar.models import build_model
from tfcifar.recipe import Data, Model, Optimizer, Recipe, Schedule
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir
from tfcifar.training.trainer import check_same_data, train


def pretrain(dataset: str, split: ClassSplit, settings: FewShot, folder: Path) -> RunDir:
    """Train an ordinary classifier of the meta-train classes, on all of their images; or go on with it.

    Raises:
        InputError: `folder` holds another run.
    """
    splits = _splits(split.source, split.train)
    batch_size = min(settings.pretrain_batch, len(splits.train))
    epochs = max(2, round(settings.pretrain_steps / steps_per_epoch(splits.train, batch_size)))
    recipe = Recipe(
        name="pretrain",
        data=Data(dataset, train_on_validation=True),  # there is nothing to choose: the last epoch is kept
        model=Model("conv4", widths=settings.widths),
        augment=Augment(flip="random"),  # what the episodes of meta-training have too
        optimizer=Optimizer("adamw", learning_rate=settings.pretrain_rate, weight_decay=0.01),
        schedule=Schedule("cosine", warmup_epochs=min(1.0, epochs / 4)),
        mixed_precision="float32",
        epochs=epochs,
        batch_size=batch_size,
        seed=settings.seed,
    )
    run_dir = RunDir(folder)
    if not run_dir.timing.is_file():
        train(recipe, splits, run_dir, resume=True)
    elif load_json(run_dir.recipe) != recipe:
        raise InputError(f"{folder} holds a finished run of another recipe; give another --output.")
    check_same_data(run_dir, splits)
    return run_dir


def new_network(split: ClassSplit, settings: FewShot) -> keras.Model:
    """The same network with fresh weights: where meta-training starts."""
    keras.utils.set_random_seed(settings.seed)
    mean, std = channel_statistics(split.train.examples.images)
    classes = len(split.train.class_names)
    return build_model(Model("conv4", widths=settings.widths), split.source.image_shape, classes, mean, std)


def _splits(source: Source, part: ClassPart) -> Splits:
    images, labels = part.examples.images, part.examples.labels
    inner = Source(f"{source.name} (meta-train)", part.class_names, source.image_shape, part.examples, None, None)
    nothing = Examples(images[:0], labels[:0])
    return Splits(inner, part.examples, nothing, {"train": checksum(part.examples)}, *channel_statistics(images))
