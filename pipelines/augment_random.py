"""Stateless draws, one per image: the same seed gives the same batch on every run and after every resume."""

import tensorflow as tf


def split(seed, count):
    """`count` independent seeds from one: a list of int tensors [2]."""
    return tf.unstack(tf.random.split(seed, count))


def per_image(images, seed, low=0.0, high=1.0):
    """One uniform number in [low, high) for each image of the batch: float32 [b]."""
    return tf.random.stateless_uniform([tf.shape(images)[0]], seed, low, high)


def per_image_integer(images, seed, low, high):
    """One uniform integer from `low` to `high`, both included, for each image of the batch: int32 [b]."""
    return tf.random.stateless_uniform([tf.shape(images)[0]], seed, low, high + 1, tf.int32)


def beta(images, seed, alpha):
    """One draw of Beta(alpha, alpha) for each image of the batch: float32 [b] in [0, 1].

    The quotient of two Gamma(alpha) draws; for a very small alpha both can underflow to 0, which counts as 0.
    """
    shape = [2, tf.shape(images)[0]]
    first, second = tf.unstack(tf.random.stateless_gamma(shape, seed, alpha=float(alpha)))
    return tf.math.divide_no_nan(first, first + second)


def column(values):
    """[b] -> [b, 1, 1, 1], to scale images."""
    return values[:, tf.newaxis, tf.newaxis, tf.newaxis]
