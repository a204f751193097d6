"""The chain from decoded examples to batches of tensors: one visible function for training, one for evaluation."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from pipelines.augment import augment_batch, mixes
from pipelines.augment_config import Augment
from pipelines.disk_images import DiskImages, Images
from pipelines.errors import InputError, check
from pipelines.sharding import WHOLE, Shares
from pipelines.sources import Examples

EVAL_BATCH_SIZE = 500


def steps_per_epoch(examples: Examples, batch_size: int) -> int:
    """Full batches in an epoch; what is left over takes its turn in another epoch, in another order.

    Raises:
        InputError: not even one batch.
    """
    if len(examples) < batch_size:
        raise InputError(
            f"batch_size: expected at most the {len(examples)} training images, received {batch_size}; "
            "--set batch_size=N chooses another."
        )
    return len(examples) // batch_size


def make_train_dataset(
    examples: Examples,
    num_classes: int,
    augment: Augment,
    batch_size: int,
    seed: int,
    first_epoch: int,
    last_epoch: int,
    integer_labels: bool = False,
    augment_on_device: bool = False,
    views: int = 0,
    shares: Shares = WHOLE,
) -> tf.data.Dataset:
    """Batches of epochs [first_epoch, last_epoch), one after the other.

    Every batch is a pure function of (seed, epoch, step), so a run that resumes at an epoch sees exactly what
    it would have seen.

    Args:
        views: how many epochs differ; each later one repeats the one that many epochs before. 0: all do.
        shares: the parts of each batch that are asked for, one after the other; augmented as in the whole batch.

    Returns:
        Batches (images float32 [b, h, w, c] in 0..255, labels): labels float32 [b, num_classes], or int64 [b]
        with `integer_labels`. With `augment_on_device`, batches (images uint8, labels, example_ids int64 [b],
        epoch int64, seed int64 [2]) for `augment_batch` in the training step; of parts, also its last two arguments.

    Raises:
        InputError: a batch is not to be had, or cannot be divided into equal parts.
    """
    steps = steps_per_epoch(examples, batch_size)
    rows_of_each = shares.rows_of_each(batch_size)
    partners = int(mixes(augment))  # each part's first image is mixed with the last one of the part before
    images_at = reader(examples.images)  # decoded once, kept as uint8: CIFAR-10 is 138 MB
    labels = tf.constant(examples.labels)

    def batches_of_epoch(epoch):
        order = tf.random.experimental.stateless_shuffle(tf.range(len(examples), dtype=tf.int64), (seed, epoch))
        ids = tf.data.Dataset.from_tensor_slices(order).batch(batch_size, drop_remainder=True)
        return ids.enumerate().map(lambda step, ids: (ids, epoch, tf.stack([seed, epoch * steps + step])))

    def parts_of_batch(ids, epoch, step_seed):
        def part(index):
            rows = (index * rows_of_each + tf.range(-partners, rows_of_each, dtype=tf.int64)) % batch_size
            return tf.gather(ids, rows), epoch, step_seed, rows, batch_size

        return tf.data.Dataset.range(shares.first, shares.last).map(part)

    def load(ids, epoch, step_seed, *part):
        batch_labels = tf.gather(labels, ids)
        return images_at(ids), tf.one_hot(batch_labels, num_classes), ids, epoch, step_seed, *part

    def augment_and_keep_the_pair(images, labels, ids, epoch, step_seed, *part):
        images, soft_labels = augment_batch(images, labels, ids, epoch, step_seed, augment, *part)
        return images, tf.argmax(soft_labels, axis=-1) if integer_labels else soft_labels

    ds = tf.data.Dataset.range(first_epoch, last_epoch)
    if views:
        ds = ds.map(lambda epoch: epoch % views)
    ds = ds.flat_map(batches_of_epoch)  # a full shuffle: the order is only 8 bytes an example
    if shares != WHOLE:
        ds = ds.flat_map(parts_of_batch)
    ds = ds.map(load, tf.data.AUTOTUNE)
    if not augment_on_device:
        ds = ds.map(augment_and_keep_the_pair, tf.data.AUTOTUNE)  # whole batches: many times faster than per image
    return ds.prefetch(tf.data.AUTOTUNE)  # the next batch is ready while this one trains


def make_eval_dataset(
    examples: Examples,
    num_classes: int,
    batch_size: int = EVAL_BATCH_SIZE,
    integer_labels: bool = False,
    shares: Shares = WHOLE,
) -> tf.data.Dataset:
    """Batches (images uint8 [b, h, w, c], labels) of all examples, in order, the last one smaller.

    Labels are float32 one-hot [b, num_classes], or int64 [b] with `integer_labels`. With `shares`, the batches are
    of even sizes, and of each the parts that are asked for, one after the other: no device is without images.
    """
    if shares == WHOLE:
        labels = tf.data.Dataset.from_tensor_slices(examples.labels).batch(batch_size)
        ds = tf.data.Dataset.zip(make_image_dataset(examples.images, batch_size), labels)
    else:
        ds = _evaluated_parts(examples, batch_size, shares)
    if not integer_labels:
        ds = ds.map(lambda images, labels: (images, tf.one_hot(labels, num_classes)), tf.data.AUTOTUNE)
    return ds.prefetch(tf.data.AUTOTUNE)


def _evaluated_parts(examples: Examples, batch_size: int, shares: Shares) -> tf.data.Dataset:
    total, batches = len(examples), -(-len(examples) // batch_size)
    parts = dataclasses.replace(shares, count=batches * shares.count)
    check(total >= parts.count, "validation", f"at least {parts.count} images, one for each device", total)
    images_at, labels = reader(examples.images), tf.constant(examples.labels)

    def load(part):
        ids = tf.range(*parts.bounds(part, total))
        return images_at(ids), tf.gather(labels, ids)

    ds = tf.data.Dataset.range(batches).flat_map(
        lambda batch: tf.data.Dataset.range(shares.first, shares.last).map(lambda part: batch * shares.count + part)
    )
    ds = ds.map(load, tf.data.AUTOTUNE)
    return ds.apply(tf.data.experimental.assert_cardinality(batches * (shares.last - shares.first)))


def make_image_dataset(images: Images, batch_size: int) -> tf.data.Dataset:
    """Batches of all `images` (uint8 [n, h, w, c], an array or `DiskImages`), in order, the last one smaller."""
    if isinstance(images, DiskImages):
        return tf.data.Dataset.range(len(images)).batch(batch_size).map(reader(images), tf.data.AUTOTUNE)
    return tf.data.Dataset.from_tensor_slices(images).batch(batch_size)


def reader(images: Images) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function for `tf.data`: ids (int64 [b]) -> those of `images`, uint8 [b, h, w, c]."""
    if not isinstance(images, DiskImages):
        in_memory = tf.constant(images)
        return lambda ids: tf.gather(in_memory, ids)

    def read(ids):
        batch = tf.numpy_function(lambda ids: images[ids], [ids], tf.uint8)
        return tf.ensure_shape(batch, (None, *images.image_shape))

    return read
