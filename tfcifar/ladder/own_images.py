"""What the recipes of a ladder, made for CIFAR-10, need changed for a folder of images of one's own."""

import math
from pathlib import Path

from pipelines.errors import InputError, check
from pipelines.sources import open_source
from pipelines.splits import make_splits
from tfcifar import recipes
from tfcifar.models import MODELS
from tfcifar.recipe import Data, Recipe

SIZES = {"demo": 32, "cpu": 64, "gpu": 64}  # pixels, where none are asked for
SMALLEST, LARGEST = 24, 224  # pixels: three quarters are at least 16, and no backbone takes more
STEPS_PER_EPOCH = 20  # at least, where there are images enough for batches of SMALLEST_BATCH
SMALLEST_BATCH = 8
FEWEST_STEPS = 400  # of a network from scratch, over all epochs
MADE_FOR = 32  # pixels of CIFAR-10


def default_folder(preset: str, dataset: str | None) -> Path:
    """Where a ladder goes: each data set has a folder of its own, so that a second one does not meet the first."""
    if dataset is None or dataset == Data().dataset:
        return Path("runs") / f"ladder-{preset}"
    name = Path(dataset).resolve().name if Path(dataset).exists() else dataset.replace("/", "_")  # of TFDS: NAME/CONFIG
    return Path("runs") / f"ladder-{preset}-{name}"


def fit_recipes(preset: str, dataset: str, data_dir: str | None, image_size: int | None) -> dict[int, list[str]]:
    """Options of `tfcifar.train` by level, so that each level trains on `dataset` in the memory that CIFAR-10 takes.

    Reads all training images, so that whatever is wrong with them shows before hours of training.

    Args:
        image_size: pixels to which all images are brought; None: SIZES.

    Raises:
        InputError: a size out of range, images that cannot be read or divided, or too few of them.
    """
    size = SIZES[preset] if image_size is None else image_size
    check(SMALLEST <= size <= LARGEST, "--image-size", f"{SMALLEST} to {LARGEST} pixels", size)
    split = Data()
    images = len(make_splits(open_source(dataset, data_dir, size), split.validation_fraction, split.split_seed).train)
    if images < SMALLEST_BATCH:
        raise InputError(
            f"--dataset {dataset}: expected at least {SMALLEST_BATCH} images to train on, received {images} "
            "beside those that validate and test."
        )
    return {level: _options(recipes.load(f"level_{level}", preset), size, images) for level in recipes.levels()}


def _options(recipe: Recipe, size: int, images: int) -> list[str]:
    limits = [recipe.batch_size, images // STEPS_PER_EPOCH]
    changed: dict[str, float] = {"data.image_size": size}
    if not MODELS[recipe.model.name].pretrained:  # which upscales all images to one size of its own
        limits.append(recipe.batch_size * MADE_FOR**2 // size**2)
        if recipe.small_images.epochs:
            changed["small_images.image_size"] = recipe.small_images.image_size * size // MADE_FOR
    batch_size = max(SMALLEST_BATCH, 2 ** (max(min(limits), 1).bit_length() - 1))
    changed["batch_size"] = batch_size
    if not MODELS[recipe.model.name].pretrained:
        changed["epochs"] = max(recipe.epochs, math.ceil(FEWEST_STEPS / (images // batch_size)))
        if recipe.optimizer.name == "sgd":  # linear scaling: Goyal et al. 2017, arXiv:1706.02677
            changed["optimizer.learning_rate"] = recipe.optimizer.learning_rate * batch_size / recipe.batch_size
    return [word for field, value in changed.items() for word in ("--set", f"{field}={value}")]
