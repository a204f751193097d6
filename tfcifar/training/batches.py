"""The batches that a recipe trains on."""

import tensorflow as tf

from pipelines.datasets import make_train_dataset
from pipelines.sharding import WHOLE, Shares
from pipelines.splits import Splits
from tfcifar.recipe import Recipe


def train_batches(
    recipe: Recipe,
    splits: Splits,
    first_epoch: int,
    last_epoch: int,
    augment_on_device: bool = False,
    shares: Shares = WHOLE,
) -> tf.data.Dataset:
    """Those of the epochs [first_epoch, last_epoch), see `make_train_dataset`.

    A student with `distill.views` sees the images of earlier epochs again, of which its teachers have been asked.
    """
    return make_train_dataset(
        splits.train,
        splits.num_classes,
        recipe.augment,
        recipe.batch_size,
        recipe.seed,
        first_epoch,
        last_epoch,
        integer_labels=recipe.labels == "integer",
        augment_on_device=augment_on_device,
        views=recipe.distill.views,
        shares=shares,
    )
