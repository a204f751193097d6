"""What the recipes of a ladder, made for CIFAR-10, need changed for a folder of images of one's own."""

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
MADE_FOR = 32  # pixels of CIFAR-10


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
    changed = {"data.image_size": size}
    if not MODELS[recipe.model.name].pretrained:  # which upscales all images to one size of its own
        limits.append(recipe.batch_size * MADE_FOR**2 // size**2)
        if recipe.small_images.epochs:
            changed["small_images.image_size"] = recipe.small_images.image_size * size // MADE_FOR
    changed["batch_size"] = max(SMALLEST_BATCH, 2 ** (max(min(limits), 1).bit_length() - 1))
    return [word for field, value in changed.items() for word in ("--set", f"{field}={value}")]
