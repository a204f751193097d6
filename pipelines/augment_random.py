"""Stateless draws, one per image: the same seed gives the same batch on every run and after every resume.

The same on every device, too: left to choose, TensorFlow takes another generator under XLA, and XLA turns the
same bits into other floats. So the generator is named, and floats are made from integers.
"""

from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import scipy.special
import tensorflow as tf

GENERATOR = "philox"
BETA_QUANTILES = 8192  # a step of 1/8192 in probability: finer than a batch can tell


# (rows int [b], batch size) while a part of a batch is augmented
_part: ContextVar[tuple[tf.Tensor, tf.Tensor] | None] = ContextVar("part", default=None)


@contextmanager
def drawing_for(rows, batch_size):
    """Inside, the draws of the images are those that they have as the `rows` (int [b]) of a batch of `batch_size`.

    So that the devices that share a batch make of it what one device would.
    """
    token = _part.set((rows, batch_size))
    try:
        yield
    finally:
        _part.reset(token)


def split(seed, count):
    """`count` independent seeds from one: a list of int tensors [2]."""
    return tf.unstack(tf.random.split(seed, count, alg=GENERATOR))


def uniform(shape, seed, low=0.0, high=1.0):
    """Uniform numbers in [low, high): float32 of `shape`, (), or one row or a multiple of it for each image."""
    steps = 2**24  # float32 holds no more between 0 and 1
    integers = _integers(shape, seed, 0, steps)
    return low + (high - low) / steps * tf.cast(integers, tf.float32)


def per_image(images, seed, low=0.0, high=1.0):
    """One uniform number in [low, high) for each image of the batch: float32 [b]."""
    return uniform([tf.shape(images)[0]], seed, low, high)


def per_image_integer(images, seed, low, high):
    """One uniform integer from `low` to `high`, both included, for each image of the batch: int32 [b]."""
    return _integers([tf.shape(images)[0]], seed, low, high + 1)


def _integers(shape, seed, low, high):
    """int32 of `shape` in [low, high); of a part of a batch (`drawing_for`) its rows of the whole batch's draws."""
    part, scalar = _part.get(), isinstance(shape, list) and not shape
    if part is None or scalar:
        return tf.random.stateless_uniform(shape, seed, low, high, tf.int32, alg=GENERATOR)
    rows, batch_size = part
    shape = tf.convert_to_tensor(shape)
    copies, rest = shape[0] // tf.size(rows), shape[1:]  # AugMix draws for each image once a chain
    whole = tf.concat([[copies * tf.cast(batch_size, tf.int32)], rest], 0)
    drawn = tf.random.stateless_uniform(whole, seed, low, high, tf.int32, alg=GENERATOR)
    drawn = tf.reshape(drawn, tf.concat([[copies, tf.cast(batch_size, tf.int32)], rest], 0))
    return tf.reshape(tf.gather(drawn, rows, axis=1), shape)


def column(values):
    """[b] -> [b, 1, 1, 1], to scale images."""
    return values[:, tf.newaxis, tf.newaxis, tf.newaxis]


def beta(images, seed, alpha):
    """One draw of Beta(alpha, alpha) for each image of the batch: float32 [b] in [0, 1].

    Looks up a table of equally likely quantiles: unlike a quotient of Gamma draws it cannot divide 0 by 0 for
    a small alpha, and it compiles under XLA.
    """
    probabilities = (np.arange(BETA_QUANTILES) + 0.5) / BETA_QUANTILES
    quantiles = scipy.special.betaincinv(alpha, alpha, probabilities).astype(np.float32)
    return tf.gather(tf.constant(quantiles), per_image_integer(images, seed, 0, BETA_QUANTILES - 1))
