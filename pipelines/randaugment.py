"""RandAugment (Cubuk et al. 2019, arXiv:1909.13719) on whole batches.

In each layer every image draws one of 14 operations and a direction. The batch is then parted by operation,
each operation runs once on its part, and the parts are put back in place: an image pays for the operation it
drew and for no other. The parts have sizes known only at run time, so this runs in `tf.function` and `tf.data`
but not under XLA (`jit_compile=True`).

With level = magnitude / 30, the operations and their ranges are those of torchvision's RandAugment:

| operation | at level 1 (proportional to the level) | direction |
|---|---|---|
| identity, autocontrast, equalize | no magnitude | - |
| shear_x, shear_y | 0.3 of the distance from the centre | either |
| translate_x, translate_y | 150/331 of width or height, rounded down to pixels | either |
| rotate | 30 degrees | either |
| brightness, color, contrast, sharpness | factor 1 + 0.9 or 1 - 0.9, as in Pillow's ImageEnhance | either |
| posterize | 4 bits per channel dropped, 4 kept | - |
| solarize | inverts values from 255 * (1 - level) up | - |

What shear, translation and rotation bring into view is gray (127.5).
"""

import math

import tensorflow as tf

from pipelines.augment_color import adjust_color
from pipelines.augment_erase import GRAY
from pipelines.augment_geometry import affine, rotation
from pipelines.augment_random import column, per_image, per_image_integer, split
from pipelines.policy_config import MAX_MAGNITUDE


def rand_augment(images, seed, num_layers, magnitude):
    """Applies `num_layers` random operations of one magnitude to each image, one after the other.

    Args:
        images: float32 [b, h, w, 3 or 1] in [0, 255]; with one channel, "color" does nothing.
        seed: int [2].
        num_layers: int >= 0; the paper's N, 1 to 3 in its experiments.
        magnitude: float in [0, 30].

    Returns:
        float32, same shape, in [0, 255].
    """
    for layer_seed in split(seed, num_layers) if num_layers else []:
        images = _layer(images, layer_seed, magnitude / MAX_MAGNITUDE)
    return images


def _layer(images, seed, level):
    operation_seed, sign_seed = split(seed, 2)
    drawn = per_image_integer(images, operation_seed, 0, len(OPERATIONS) - 1)
    signs = tf.where(per_image(images, sign_seed) < 0.5, -1.0, 1.0)
    return apply_drawn(images, drawn, level * signs, level, OPERATIONS)


def apply_drawn(images, drawn, signed, level, operations):
    """Each image after the one of `operations` that it drew.

    Args:
        images: float32 [b, h, w, c].
        drawn: int32 [b], places in `operations`.
        signed: float32 [b], for each image the level with its direction, in [-1, 1].
        level: float that all images have in common, for operations without a direction; None if there is none.
        operations: dict of functions (images [n, h, w, c], signed [n], level) -> images of that shape.

    Returns:
        float32 [b, h, w, c].
    """
    places = tf.dynamic_partition(tf.range(tf.shape(images)[0]), drawn, len(operations))
    parts = [
        operation(tf.gather(images, place), tf.gather(signed, place), level)
        for operation, place in zip(operations.values(), places, strict=True)
    ]
    return tf.ensure_shape(tf.dynamic_stitch(places, parts), images.shape)


# Each operation takes images [n, h, w, c], signed levels [n] in [-1, 1] (the direction is per image), and the
# level as one number in [0, 1]; n may be 0.


def identity(images, signed, level):
    return images


def autocontrast(images, signed, level):
    """Stretches each channel of each image to [0, 255]; a channel of one value stays."""
    low = tf.reduce_min(images, axis=[1, 2], keepdims=True)
    high = tf.reduce_max(images, axis=[1, 2], keepdims=True)
    stretched = 255 * tf.math.divide_no_nan(images - low, high - low)
    return tf.where(high > low, stretched, images)


def equalize(images, signed, level):
    """Flattens the histogram of each channel of each image, with Pillow's rounding (ImageOps.equalize)."""
    _, height, width, channels = images.shape
    # Transposed as floats: oneDNN does not transpose integers on every CPU, and complains on stderr.
    planes = tf.transpose(images, [0, 3, 1, 2])
    values = tf.clip_by_value(tf.cast(tf.round(planes), tf.int32), 0, 255)
    flat = tf.reshape(values, [-1, height * width])
    # One histogram per channel and image: channel i counts in its own 256 bins, from 256 * i.
    count = tf.shape(flat)[0]
    bins = flat + 256 * tf.range(count)[:, tf.newaxis]
    histogram = tf.reshape(tf.math.bincount(tf.reshape(bins, [-1]), minlength=256 * count), [-1, 256])
    highest = tf.gather(histogram, tf.reduce_max(flat, axis=1), batch_dims=1)
    step = ((height * width - highest) // 255)[:, tf.newaxis]
    table = (tf.cumsum(histogram, axis=1, exclusive=True) + step // 2) // tf.maximum(step, 1)
    table = tf.where(step > 0, tf.minimum(table, 255), tf.range(256))
    equalized = tf.cast(tf.gather(table, flat, batch_dims=1), tf.float32)
    return tf.transpose(tf.reshape(equalized, [-1, channels, height, width]), [0, 2, 3, 1])


def shear_x(images, signed, level):
    return affine(images, _shear(signed, [[0.0, 0.3], [0.0, 0.0]]), fill_value=GRAY)


def shear_y(images, signed, level):
    return affine(images, _shear(signed, [[0.0, 0.0], [0.3, 0.0]]), fill_value=GRAY)


def translate_x(images, signed, level):
    offsets = tf.stack([_pixels(signed, images.shape[2]), tf.zeros_like(signed)], axis=1)
    return affine(images, tf.eye(2, batch_shape=tf.shape(signed)), offsets, fill_value=GRAY)


def translate_y(images, signed, level):
    offsets = tf.stack([tf.zeros_like(signed), _pixels(signed, images.shape[1])], axis=1)
    return affine(images, tf.eye(2, batch_shape=tf.shape(signed)), offsets, fill_value=GRAY)


def rotate(images, signed, level):
    return affine(images, rotation(math.radians(30) * signed), fill_value=GRAY)


def brightness(images, signed, level):
    return adjust_color(images, brightness=1 + 0.9 * signed)


def color(images, signed, level):
    return adjust_color(images, saturation=1 + 0.9 * signed)


def contrast(images, signed, level):
    return adjust_color(images, contrast=1 + 0.9 * signed)


def sharpness(images, signed, level):
    """Moves each image away from or towards its smoothed version; the border of one pixel stays, as in Pillow."""
    _, height, width, channels = images.shape
    kernel = tf.constant([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]) / 13.0
    kernel = tf.tile(kernel[:, :, tf.newaxis, tf.newaxis], [1, 1, channels, 1])
    # "SAME" and a mask rather than "VALID": TensorFlow 2.21 gives an empty part a wrong shape under "VALID".
    inner = tf.pad(tf.ones([height - 2, width - 2]), [[1, 1], [1, 1]])[..., tf.newaxis]
    detail = (images - tf.nn.depthwise_conv2d(images, kernel, [1, 1, 1, 1], "SAME")) * inner
    return tf.clip_by_value(images + column(0.9 * signed) * detail, 0.0, 255.0)


def posterize(images, signed, level):
    step = 2.0 ** round(4 * level)
    return tf.floor(images / step) * step


def solarize(images, signed, level):
    return tf.where(images >= 255 * (1 - level), 255 - images, images)


OPERATIONS = {
    operation.__name__: operation
    for operation in (
        identity,
        autocontrast,
        equalize,
        shear_x,
        shear_y,
        translate_x,
        translate_y,
        rotate,
        brightness,
        color,
        contrast,
        sharpness,
        posterize,
        solarize,
    )
}


def _shear(signed, slope):
    return tf.eye(2) + signed[:, tf.newaxis, tf.newaxis] * tf.constant(slope)


def _pixels(signed, size):
    """Signed levels [n] -> whole pixels float32 [n], towards zero."""
    return tf.sign(signed) * tf.floor(tf.abs(signed) * (150 / 331) * size)
