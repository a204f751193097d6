"""Images that a student sees again, moved a little, so that it does not learn them by heart."""

import tensorflow as tf

from pipelines.augment_geometry import crop_move, move, random_flip_move
from pipelines.augment_random import drawing_for, split


def jitter(images, seed, pixels, mirror, rows, batch_size):
    """Shifts each image by up to `pixels` down and sideways, the border reflected; mirrors it with probability 1/2.

    Args:
        images: float32 [b, h, w, c].
        seed: int [2].
        pixels: int, smaller than h and w.
        mirror: bool; False: nothing is mirrored.
        rows: int [b], where these images stand in a batch of `batch_size` that several devices may share.

    Returns:
        float32 [b, h, w, c].
    """
    shift_seed, flip_seed = split(seed, 2)
    with drawing_for(rows, batch_size):
        moves = [crop_move(images, shift_seed, pixels)]
        if mirror:
            moves.append(random_flip_move(images, flip_seed))
    return tf.ensure_shape(move(images, *moves), images.shape)
