"""Stateless draws, one per image: the same seed gives the same batch on every run and after every resume.

The same on every device, too: left to choose, TensorFlow takes another generator under XLA, and XLA turns the
same bits into other floats. So the generator is named, and floats are made from integers.
"""

import numpy as np
import scipy.special
import tensorflow as tf

GENERATOR = "philox"
BETA_QUANTILES = 8192  # a step of 1/8192 in probability: finer than a batch can tell


def split(seed, count):
    """`count` independent seeds from one: a list of int tensors [2]."""
    return tf.unstack(tf.random.split(seed, count, alg=GENERATOR))


def uniform(shape, seed, low=0.0, high=1.0):
    """Uniform numbers in [low, high): float32 of `shape`."""
    steps = 2**24  # float32 holds no more between 0 and 1
    integers = tf.random.stateless_uniform(shape, seed, 0, steps, tf.int32, alg=GENERATOR)
    return low + (high - low) / steps * tf.cast(integers, tf.float32)


def per_image(images, seed, low=0.0, high=1.0):
    """One uniform number in [low, high) for each image of the batch: float32 [b]."""
    return uniform([tf.shape(images)[0]], seed, low, high)


def per_image_integer(images, seed, low, high):
    """One uniform integer from `low` to `high`, both included, for each image of the batch: int32 [b]."""
    shape = [tf.shape(images)[0]]
    return tf.random.stateless_uniform(shape, seed, low, high + 1, tf.int32, alg=GENERATOR)


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
