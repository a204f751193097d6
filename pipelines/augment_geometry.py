"""Where the pixels go: flips, crops, shifts and rotations, on whole batches.

Images are float32 [b, h, w, c]; h, w and c must be known when the graph is built, b need not be. What moves whole
pixels takes uint8 as well, and gives back what it takes.

Flips, crops and shifts move whole pixels. Each of them is a move: (rows int32 [b, h], columns int32 [b, w]), which
row and column of its image each output row and column shows. Moves compose before any pixel is touched, so that
all of a batch's moves together cost one gather.
"""

import math

import tensorflow as tf

from pipelines.augment_random import per_image, per_image_integer, split
from pipelines.errors import InputError, unknown

FILL_MODES = ("reflect", "constant")


def random_flip(images, seed):
    """Mirrors each image left to right with probability 1/2.

    Args:
        images: float32 [b, h, w, c].
        seed: int [2].

    Returns:
        float32 [b, h, w, c].
    """
    return move(images, random_flip_move(images, seed))


def random_flip_move(images, seed):
    """The move of `random_flip`."""
    return _mirror(images, per_image(images, seed) < 0.5)


def alternating_flip(images, example_ids, epoch, seed):
    """Mirrors each example in every other epoch; which epochs, even or odd, is a coin toss per example.

    Two consecutive epochs thus show each example both ways, where independent flips repeat the same view
    half of the time. From Keller Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (arXiv:2404.00498).

    Args:
        images: float32 [b, h, w, c].
        example_ids: int [b], which example of the data set each image is; the same in every epoch.
        epoch: int scalar, from 0.
        seed: int [2]; must stay the same for the whole run.

    Returns:
        float32 [b, h, w, c].
    """
    return move(images, alternating_flip_move(images, example_ids, epoch, seed))


def alternating_flip_move(images, example_ids, epoch, seed):
    """The move of `alternating_flip`."""
    lowest_bit = (_hash_bits(example_ids, seed) ^ tf.cast(epoch, tf.uint64)) & tf.constant(1, tf.uint64)
    return _mirror(images, tf.cast(lowest_bit, tf.bool))


def crop_translate(images, seed, padding, mode="reflect"):
    """Pads each image on all sides and cuts a random window of the original size.

    All (2 * padding + 1)^2 windows are equally likely. Images are never padded in memory: each output row
    and column looks up its source.

    Args:
        images: float32 [b, h, w, c].
        seed: int [2].
        padding: int, pixels; for "reflect" smaller than h and w.
        mode: "reflect" (mirror without repeating the border, as in numpy.pad) or "constant" (0, black).

    Returns:
        float32 [b, h, w, c].

    Raises:
        InputError: `mode` is unknown, or `padding` does not fit the image.
    """
    return _translate(images, seed, padding, padding, mode)


def crop_move(images, seed, padding):
    """The move of `crop_translate` with a reflected border."""
    return _reflected_offsets(images, seed, padding, padding)


def shift(images, seed, fraction, mode="reflect"):
    """Moves each image by up to `fraction` of its height and width, in whole pixels.

    Args:
        images: float32 [b, h, w, c].
        seed: int [2].
        fraction: float in [0, 1); 0.1 moves by -10% to +10%, rounded down to whole pixels.
        mode: as in `crop_translate`, for the border that comes into view.

    Returns:
        float32 [b, h, w, c].
    """
    rows, columns = _shift_limits(images, fraction)
    return _translate(images, seed, rows, columns, mode)


def shift_move(images, seed, fraction):
    """The move of `shift` with a reflected border."""
    return _reflected_offsets(images, seed, *_shift_limits(images, fraction))


def move(images, *moves):
    """Applies `moves`, the first one first, in one gather.

    Args:
        images: [b, h, w, c] of any dtype.
        moves: pairs (rows int32 [b, h], columns int32 [b, w]), within the image.

    Returns:
        Same shape and dtype; the same tensor where there is no move.
    """
    if not moves:
        return images
    (rows, columns), *others = moves
    for next_rows, next_columns in others:
        rows = tf.gather(rows, next_rows, batch_dims=1)
        columns = tf.gather(columns, next_columns, batch_dims=1)
    # One gather of pixels from a flat list is faster than one of rows and one of columns.
    _, height, width, channels = images.shape
    first = height * width * tf.range(tf.shape(images)[0])
    pixels = first[:, tf.newaxis, tf.newaxis] + width * rows[:, :, tf.newaxis] + columns[:, tf.newaxis, :]
    return tf.gather(tf.reshape(images, [-1, channels]), pixels)


def rotate(images, seed, degrees):
    """Turns each image about its centre by an angle from -degrees to +degrees, bilinear, reflected border.

    Args:
        images: float32 [b, h, w, c].
        seed: int [2].
        degrees: float.

    Returns:
        float32 [b, h, w, c], in the value range of `images`.
    """
    radians = math.radians(degrees)
    return affine(images, rotation(per_image(images, seed, -radians, radians)), fill_mode="REFLECT")


def rotation(angles):
    """Rotation matrices, counter-clockwise on the screen: radians float32 [b] -> float32 [b, 2, 2]."""
    cos, sin = tf.cos(angles), tf.sin(angles)
    return tf.stack([tf.stack([cos, -sin], axis=1), tf.stack([sin, cos], axis=1)], axis=1)


def affine(images, matrices, offsets=0.0, fill_mode="CONSTANT", fill_value=0.0):
    """Samples each image at `matrix @ (x, y) + offset`, with (0, 0) at its centre, bilinear.

    Args:
        images: float32 [b, h, w, c].
        matrices: float32 [b, 2, 2], from output to input coordinates (x to the right, y down).
        offsets: float32 [b, 2], in pixels.
        fill_mode: "CONSTANT" or "REFLECT", for points outside the image.
        fill_value: float, with "CONSTANT".

    Returns:
        float32 [b, h, w, c].
    """
    _, height, width, _ = images.shape
    centre = tf.constant([(width - 1) / 2, (height - 1) / 2])
    offsets = offsets + centre - tf.linalg.matvec(matrices, centre)
    rows = tf.concat([matrices, offsets[:, :, tf.newaxis]], axis=2)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.pad(tf.reshape(rows, [-1, 6]), [[0, 0], [0, 2]]),  # two zeros: no perspective
        output_shape=[height, width],
        fill_value=fill_value,
        interpolation="BILINEAR",
        fill_mode=fill_mode,
    )


def _mirror(images, flipped):
    """The move that mirrors the images where `flipped`, bool [b], is set."""
    _, height, width, _ = images.shape
    columns = tf.range(width)
    rows = tf.tile(tf.range(height)[tf.newaxis], [tf.shape(images)[0], 1])
    return rows, tf.where(flipped[:, tf.newaxis], columns[::-1], columns)


def _hash_bits(example_ids, seed):
    """64 well-mixed bits per id, uint64 [b]: the finalizer of MurmurHash3 (Appleby, public domain)."""
    seed = tf.cast(seed, tf.uint64)
    bits = tf.cast(example_ids, tf.uint64) ^ _mix(seed[0]) ^ _mix(_mix(seed[1]) + tf.constant(1, tf.uint64))
    return _mix(_mix(bits))


def _mix(bits):
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        bits = (bits ^ tf.bitwise.right_shift(bits, tf.constant(33, tf.uint64))) * tf.constant(factor, tf.uint64)
    return bits ^ tf.bitwise.right_shift(bits, tf.constant(33, tf.uint64))


def _shift_limits(images, fraction):
    _, height, width, _ = images.shape
    return int(height * fraction), int(width * fraction)


def _translate(images, seed, max_rows, max_columns, mode):
    if mode not in FILL_MODES:
        raise unknown("mode", str(mode), FILL_MODES)
    if mode == "reflect":
        return move(images, _reflected_offsets(images, seed, max_rows, max_columns))
    _, height, width, _ = images.shape
    rows, columns = _offsets(images, seed, max_rows, max_columns)
    inside = _inside(rows, height)[:, :, tf.newaxis] * _inside(columns, width)[:, tf.newaxis, :]
    moved = move(images, (tf.clip_by_value(rows, 0, height - 1), tf.clip_by_value(columns, 0, width - 1)))
    return moved * tf.cast(inside[..., tf.newaxis], moved.dtype)


def _reflected_offsets(images, seed, max_rows, max_columns):
    _, height, width, _ = images.shape
    if max_rows >= height or max_columns >= width:
        raise InputError(
            f"padding: expected fewer pixels than the image has (a reflected border comes from inside it), "
            f"received {max(max_rows, max_columns)} for images of {height}x{width}."
        )
    rows, columns = _offsets(images, seed, max_rows, max_columns)
    return _reflect(rows, height), _reflect(columns, width)


def _offsets(images, seed, max_rows, max_columns):
    """Rows [b, h] and columns [b, w], displaced per image; may lie outside the image."""
    _, height, width, _ = images.shape
    row_seed, column_seed = split(seed, 2)
    rows = tf.range(height) + per_image_integer(images, row_seed, -max_rows, max_rows)[:, tf.newaxis]
    columns = tf.range(width) + per_image_integer(images, column_seed, -max_columns, max_columns)[:, tf.newaxis]
    return rows, columns


def _reflect(index, size):
    return size - 1 - tf.abs(size - 1 - tf.abs(index))


def _inside(index, size):
    return tf.cast((index >= 0) & (index < size), tf.float32)
