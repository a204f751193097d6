"""What teachers say of every augmented image of the training split: computed once, kept, joined with the batches."""

import contextlib
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from pipelines.datasets import steps_per_epoch
from pipelines.errors import InputError
from pipelines.sharding import WHOLE, Shares
from pipelines.splits import Splits
from tfcifar.arrays import is_whole, write_array
from tfcifar.models.multi_task import CLASSES
from tfcifar.recipe import Recipe
from tfcifar.run_dir import read_json, write_json
from tfcifar.training.batches import train_batches
from tfcifar.training.distillation import FEATURES, Teachers
from tfcifar.training.jitter import jitter


class Targets:
    """What the teachers say of each batch of each view, in files of one view each.

    A view is what the input chain makes of the training split in one epoch.
    """

    def __init__(self, recipe: Recipe, splits: Splits, folder: Path):
        self.recipe, self.splits, self.folder = recipe, splits, folder
        self.steps = steps_per_epoch(splits.train, recipe.batch_size)
        epochs = recipe.transfer.head_epochs + recipe.epochs
        self.views = min(recipe.distill.views or epochs, epochs)
        self.names = [CLASSES] + [FEATURES] * (recipe.distill.feature_weight > 0)

    def compute(self, teachers: Teachers) -> None:
        """Write what is not there yet, or damaged; an interrupted one goes on with the view that it was at.

        Raises:
            InputError: what is there was said by other teachers.
        """
        record = self.folder / "teachers.json"
        if not record.is_file():
            write_json(record, teachers.digests)
        elif read_json(record) != teachers.digests:
            raise InputError(
                f"distill.teachers: those of {self.folder} have changed since; give another --run-dir, or the teachers "
                "that it began with."
            )
        missing = [view for view in range(self.views) if not all(self._is_there(view, name) for name in self.names)]
        for view in tqdm(missing, desc="teachers", unit="view", disable=None if missing else True):
            batches = train_batches(self.recipe, self.splits, view, view + 1)
            said = [
                teachers(images.numpy()) for images, _ in tqdm(batches, total=self.steps, leave=False, disable=None)
            ]
            for name in self.names:
                array = np.stack([each[name] for each in said])
                write_array(self._path(view, name), array)

    def width(self) -> int:
        """Of the teacher's features."""
        return np.load(self._path(0, FEATURES), mmap_mode="r").shape[-1]

    def join(
        self, train_ds: tf.data.Dataset, first_epoch: int, last_epoch: int, shares: Shares = WHOLE
    ) -> tf.data.Dataset:
        """`train_ds` of these epochs with labels as the losses take them: [n, 2k], and the features beside them.

        Images that come again are moved by `distill.jitter`.
        """
        arrays = [[np.load(self._path(view, name), mmap_mode="r") for name in self.names] for view in range(self.views)]
        parts = shares.last - shares.first  # of each batch, one after the other
        pixels = self.recipe.distill.jitter

        def read(index):
            batch, part = divmod(int(index), parts)
            epoch, step = divmod(batch, self.steps)
            rows = slice(*shares.bounds(shares.first + part, self.recipe.batch_size))
            return [array[step][rows].astype(np.float32) for array in arrays[epoch % self.views]]

        def jittered(images, index):
            batch, part = index // parts, index % parts
            rows = tf.range(*shares.bounds(shares.first + part, self.recipe.batch_size))
            # No batch is augmented with such a seed: those have the numbers of the first views.
            seed = tf.stack([tf.constant(self.recipe.seed, tf.int64), batch])
            mirror = self.recipe.augment.flip != "none"
            return jitter(images, seed, pixels, mirror, rows, self.recipe.batch_size)

        def with_targets(batch, index):
            images, labels = batch
            if pixels:
                first_views = index < self.views * self.steps * parts
                images = tf.cond(first_views, lambda: images, lambda: jittered(images, index))
            said = tf.numpy_function(read, [index], [tf.float32] * len(self.names))
            for tensor, array in zip(said, arrays[0], strict=True):
                tensor.set_shape((self.recipe.batch_size // shares.count, array.shape[-1]))
            packed = tf.concat([labels, said[0]], axis=-1)
            return images, {CLASSES: packed, FEATURES: said[1]} if len(said) > 1 else packed

        indices = tf.data.Dataset.range(first_epoch * self.steps * parts, last_epoch * self.steps * parts)
        return tf.data.Dataset.zip(train_ds, indices).map(with_targets, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

    def _is_there(self, view: int, name: str) -> bool:
        path = self._path(view, name)
        if not path.is_file():
            return False
        whole = is_whole(path)
        if whole is None:
            with contextlib.suppress(ValueError):  # cut short
                np.load(path, mmap_mode="r")
                whole = True
        if not whole:
            print(f"NOTE: {path}: incomplete or altered; the teachers are asked again.", file=sys.stderr, flush=True)
        return bool(whole)

    def _path(self, view: int, name: str) -> Path:
        return self.folder / f"{name}-{view:04d}.npy"


def training_dataset(
    recipe: Recipe,
    splits: Splits,
    first_epoch: int,
    last_epoch: int,
    augment_on_device: bool,
    targets: Targets | None,
    shares: Shares = WHOLE,
) -> tf.data.Dataset:
    """The batches of `train_batches`, joined with `targets` where there are teachers."""
    train_ds = train_batches(recipe, splits, first_epoch, last_epoch, augment_on_device, shares)
    if targets is not None:
        train_ds = targets.join(train_ds, first_epoch, last_epoch, shares)
    # Parts come without an end, so that several machines need not ask each other at each step whether there is more.
    return train_ds if shares == WHOLE else train_ds.repeat()
