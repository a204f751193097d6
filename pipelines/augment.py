"""Training augmentation: whole batches, TensorFlow ops only, a pure function of the batch and a seed.

Each operation is one function, importable from here:

    random_flip alternating_flip crop_translate shift rotate    where the pixels go
    color_jitter rand_augment apply_policy                      what values they have
    augmix                                                      an image and altered copies of it, mixed
    cutout random_erasing                                       which are lost
    mixup cutmix smooth_labels                                  two images, soft labels

Images are float32 [b, h, w, c] in [0, 255], before normalization; h, w and c are static. Everything runs in
`tf.function` and in `tf.data`; all but `rotate`, `augmix`, `rand_augment` and `apply_policy` also under XLA
(`jit_compile=True`), with the same draws.
"""

import tensorflow as tf

from pipelines.augment_color import color_jitter
from pipelines.augment_config import Augment
from pipelines.augment_erase import cutout, random_erasing
from pipelines.augment_geometry import (
    alternating_flip,
    alternating_flip_move,
    crop_move,
    crop_translate,
    move,
    random_flip,
    random_flip_move,
    rotate,
    shift,
    shift_move,
)
from pipelines.augment_mix import cutmix, mixup, smooth_labels
from pipelines.augment_policy import apply_policy
from pipelines.augment_random import column, drawing_for, per_image, split, uniform
from pipelines.augmix import augmix
from pipelines.errors import InputError
from pipelines.randaugment import rand_augment

__all__ = [
    "Augment",
    "alternating_flip",
    "apply_policy",
    "augment_batch",
    "augmix",
    "color_jitter",
    "crop_translate",
    "cutmix",
    "cutout",
    "mixes",
    "mixup",
    "rand_augment",
    "random_erasing",
    "random_flip",
    "rotate",
    "shift",
    "smooth_labels",
]


def augment_batch(images, labels, example_ids, epoch, seed, config, rows=None, batch_size=None):
    """Applies what `config` asks for, in this order: geometry, flip, AugMix, values, holes, mixing, smoothing.

    Each operation has its own seed, so that switching one on leaves the draws of the others as they were.

    Args:
        images: uint8 or float32 [b, h, w, c] in [0, 255].
        labels: [b, k], one-hot.
        example_ids: int [b], which example of the data set each image is; read by the alternating flip only.
        epoch: int scalar, from 0; read by the alternating flip only.
        seed: int [2] = (seed of the run, number of the batch since the start of the run). The second number
            makes batches differ; the first alone decides in which epochs the alternating flip mirrors.
        config: Augment.
        rows: int [b], where these images stand in a batch of `batch_size` that several devices share: each image
            becomes what it would become in the whole batch. Where images are mixed (`mixes`), the first one is there
            as the partner of the second alone, and not returned. None: they are the whole batch.

    Returns:
        (images float32 [b, h, w, c] in [0, 255], labels float32 [b, k], rows sum to 1).

    Raises:
        InputError: Labels are not one-hot rows, or the padding does not fit the images.
    """
    if rows is not None:
        with drawing_for(rows, batch_size):
            images, labels = augment_batch(images, labels, example_ids, epoch, seed, config)
        first = int(mixes(config))
        return images[first:], labels[first:]
    labels = tf.cast(labels, tf.float32)
    if tf.config.get_visible_devices("GPU"):  # TensorFlow gathers uint8 on the CPU only, and would go back to it
        images = tf.cast(images, tf.float32)
    if labels.shape.rank != 2:
        raise InputError(f"labels: expected one-hot rows [batch, classes], received shape {labels.shape}.")
    seeds = split(seed, 11)  # one more leaves those before it as they are

    moves = []  # done together at the price of one, and on bytes where they come as bytes: a quarter of the memory
    if config.crop_padding:
        moves.append(crop_move(images, seeds[0], config.crop_padding))
    if config.shift_fraction:
        moves.append(shift_move(images, seeds[1], config.shift_fraction))
    if config.rotation_degrees:  # computes pixels from pixels, so what comes before it has to be done
        images = tf.cast(move(images, *moves), tf.float32)
        images, moves = rotate(images, seeds[2], config.rotation_degrees), []
    if config.flip == "random":
        moves.append(random_flip_move(images, seeds[3]))
    if config.flip == "alternating":
        run_seed = tf.stack([seed[0], tf.zeros_like(seed[0])])  # the same in every batch of the run
        moves.append(alternating_flip_move(images, example_ids, epoch, run_seed))
    images = tf.cast(move(images, *moves), tf.float32)

    if config.augmix_chains:
        images = augmix(images, seeds[9], config.augmix_chains, config.augmix_severity)
    if config.randaugment_layers:
        images = rand_augment(images, seeds[4], config.randaugment_layers, config.randaugment_magnitude)
    if config.policy:
        images = apply_policy(images, seeds[10], config.policy)
    if config.color_jitter:
        strength = config.color_jitter
        images = color_jitter(images, seeds[5], brightness=strength, contrast=strength, saturation=strength)
    if config.erasing_probability:
        images = random_erasing(images, seeds[6], config.erasing_probability)
    if config.cutout_size:
        images = cutout(images, seeds[7], config.cutout_size)

    images, labels = _mix(images, labels, seeds[8], config)
    if config.label_smoothing:
        labels = smooth_labels(labels, config.label_smoothing)
    return images, labels


def mixes(config: Augment) -> bool:
    """Whether `config` mixes an image with the one before it in the batch."""
    return bool(config.mixup_alpha or config.cutmix_alpha)


def _mix(images, labels, seed, config):
    if not mixes(config):
        return images, labels
    mixed_images, mixed_labels = _mix_all(images, labels, seed, config)
    if config.mix_probability == 1:
        return mixed_images, mixed_labels
    chosen = per_image(images, split(seed, 3)[2]) < config.mix_probability
    return tf.where(column(chosen), mixed_images, images), tf.where(chosen[:, tf.newaxis], mixed_labels, labels)


def _mix_all(images, labels, seed, config):
    choice_seed, mix_seed = split(seed, 2)
    if config.mixup_alpha and config.cutmix_alpha:
        return tf.cond(
            uniform([], choice_seed) < 0.5,
            lambda: mixup(images, labels, mix_seed, config.mixup_alpha),
            lambda: cutmix(images, labels, mix_seed, config.cutmix_alpha),
        )
    if config.mixup_alpha:
        return mixup(images, labels, mix_seed, config.mixup_alpha)
    return cutmix(images, labels, mix_seed, config.cutmix_alpha)
