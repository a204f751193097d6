"""Which pixels go: Cutout and Random Erasing, on whole batches."""

import math

import tensorflow as tf

from pipelines.augment_random import per_image, per_image_integer, split, uniform

GRAY = 127.5  # near the mean of natural images, so that the hole is near zero after normalization


def cutout(images, seed, size, fill=GRAY):
    """Paints a square of each image in one value (DeVries & Taylor 2017, arXiv:1708.04552).

    The centre is uniform over the pixels, so that part of the square may lie outside the image, as in the
    paper: the network then sees some images almost whole.

    Args:
        images: float32 [b, h, w, c] in [0, 255].
        seed: int [2].
        size: int, side of the square in pixels.
        fill: float in [0, 255].

    Returns:
        float32 [b, h, w, c] in [0, 255].
    """
    _, height, width, channels = images.shape
    row_seed, column_seed = split(seed, 2)
    top = per_image_integer(images, row_seed, 0, height - 1) - size // 2
    left = per_image_integer(images, column_seed, 0, width - 1) - size // 2
    hole = box_mask(images, top, left, size, size, channels)
    return images * (1 - hole) + fill * hole


def random_erasing(images, seed, probability, area=(0.02, 0.4), aspect=(0.3, 1 / 0.3)):
    """Fills a rectangle of some images with noise (Zhong et al. 2017, arXiv:1708.04896; variant RE-R).

    The rectangle lies inside the image. Where the paper draws again until the rectangle fits, this one trims
    the longer side to the image, so that no loop is needed. The aspect ratio is uniform on a log scale: as
    many flat rectangles as tall ones.

    Args:
        images: float32 [b, h, w, c] in [0, 255].
        seed: int [2].
        probability: float in [0, 1], chance of each image to lose a rectangle.
        area: smallest and largest fraction of the image's area, before trimming.
        aspect: smallest and largest height / width of the rectangle.

    Returns:
        float32 [b, h, w, c] in [0, 255].
    """
    _, height, width, channels = images.shape
    seeds = split(seed, 6)
    pixels = per_image(images, seeds[0], *area) * height * width
    ratio = tf.exp(per_image(images, seeds[1], math.log(aspect[0]), math.log(aspect[1])))
    rows = _side(tf.sqrt(pixels * ratio), height)
    columns = _side(tf.sqrt(pixels / ratio), width)
    top = _below(per_image(images, seeds[2]), height - rows + 1)
    left = _below(per_image(images, seeds[3]), width - columns + 1)
    erased = per_image(images, seeds[4]) < probability
    hole = box_mask(images, top, left, tf.where(erased, rows, 0), columns, channels)
    noise = uniform(tf.shape(images), seeds[5], 0.0, 255.0)
    return images * (1 - hole) + noise * hole


def box_mask(images, top, left, rows, columns, channels=1):
    """1 inside a box, 0 outside, float32 [b, h, w, channels]; what lies outside the image does not count.

    Args:
        images: [b, h, w, c], for the size only.
        top, left: int32 [b], first row and column of the box; may be negative.
        rows, columns: int32 [b] or scalar, height and width of the box in pixels.
        channels: int. With as many as the images have, nothing is broadcast along the last axis, which TensorFlow
            does element by element: 3 times the time of the product itself.
    """
    _, height, width, _ = images.shape
    vertical = _between(tf.range(height), top, top + rows)
    horizontal = _between(tf.repeat(tf.range(width), channels), left, left + columns)
    return tf.reshape(vertical[:, :, tf.newaxis] * horizontal[:, tf.newaxis, :], [-1, height, width, channels])


def _between(index, first, end):
    return tf.cast((index >= first[:, tf.newaxis]) & (index < end[:, tf.newaxis]), tf.float32)


def _side(length, limit):
    return tf.clip_by_value(tf.cast(tf.round(length), tf.int32), 1, limit)


def _below(uniform, count):
    """A number in [0, 1) -> a whole number from 0 to count - 1."""
    return tf.cast(uniform * tf.cast(count, tf.float32), tf.int32)
