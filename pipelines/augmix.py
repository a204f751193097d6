"""AugMix (Hendrycks et al. 2020, arXiv:1912.02781) on whole batches: a mixture of chains of mild operations.

Each image goes through a number of chains, each of one to three operations drawn at random. Their results are mixed
with weights from Dirichlet(1, ..., 1), and that mixture with the image itself, with a share that is uniform in 0..1
(Beta(1, 1)). The label stays.

The operations are those that none of the test corruptions of `pipelines.corruptions` resembles, with a level of their
own for each image, uniform from 0.1 to the severity, of 10:

| operation | at level 10 (proportional to the level) | direction |
|---|---|---|
| autocontrast, equalize | no magnitude | - |
| posterize | 4 bits per channel fewer than the 4 that are kept at level 0, rounded down | - |
| rotate | 30 degrees | either |
| solarize | inverts values from 256 - 25.6 * level up | - |
| shear_x, shear_y | 0.3 of the distance from the centre | either |
| translate_x, translate_y | a third of width or height, rounded down to pixels | either |

What comes into view is gray (127.5), as in `pipelines.randaugment`; in the paper's code it is black.

The paper's Jensen-Shannon loss, which asks for the same prediction on the image and two such mixtures of it, is left
out: it takes three forward and backward passes a step, and a run here is measured by what it costs on two CPU cores.
The authors' code has the same choice (`--no-jsd`).
"""

import tensorflow as tf

from pipelines import randaugment
from pipelines.augment_random import column, per_image, per_image_integer, split, uniform
from pipelines.randaugment import apply_drawn

LONGEST_CHAIN = 3
MAX_SEVERITY = 10
LOWEST_LEVEL = 0.1


def augmix(images, seed, chains, severity):
    """Mixes each image with differently altered copies of itself.

    Args:
        images: float32 [b, h, w, c] in [0, 255].
        seed: int [2].
        chains: int >= 0; 3 in the paper. With 0 nothing is done.
        severity: float in [0, 10]; 3 in the paper for CIFAR-10. With 0 nothing is done: operations without a
            magnitude would still alter the images.

    Returns:
        float32 [b, h, w, c] in [0, 255].
    """
    if not chains or not severity:
        return images
    chain_seed, weight_seed, share_seed = split(seed, 3)
    weights = mixing_weights(images, weight_seed, chains)
    # All chains at once, one batch after the other: each operation runs once a step, on all images that drew it.
    altered = _chains(tf.tile(images, [chains, 1, 1, 1]), chain_seed, severity)
    mixture = tf.add_n([column(weights[:, i]) * part for i, part in enumerate(tf.split(altered, chains))])
    share = column(per_image(images, share_seed))
    return (1 - share) * images + share * mixture


def mixing_weights(images, seed, chains):
    """One draw of Dirichlet(1, ..., 1) for each image: float32 [b, chains], at least 0, rows sum to 1."""
    # Exponential draws over their sum (Devroye 1986, chapter XI.4). Off the ends: the logarithm of 0 is not finite,
    # and a row of zeros has no sum to divide by.
    drawn = -tf.math.log(uniform([tf.shape(images)[0], chains], seed, 1e-6, 1 - 1e-6))
    return drawn / tf.reduce_sum(drawn, axis=1, keepdims=True)


def _chains(images, seed, severity):
    """One to three operations on each image."""
    length_seed, *step_seeds = split(seed, 1 + LONGEST_CHAIN)
    length = per_image_integer(images, length_seed, 1, LONGEST_CHAIN)
    for step, step_seed in enumerate(step_seeds):
        operation_seed, level_seed, sign_seed = split(step_seed, 3)
        drawn = per_image_integer(images, operation_seed, 1, len(OPERATIONS) - 1)
        drawn = tf.where(step < length, drawn, 0)  # 0, the identity, where the chain has ended
        levels = per_image(images, level_seed, min(LOWEST_LEVEL, severity), severity) / MAX_SEVERITY
        signs = tf.where(per_image(images, sign_seed) < 0.5, -1.0, 1.0)
        images = apply_drawn(images, drawn, signs * levels, None, OPERATIONS)
    return images


# As in `pipelines.randaugment`: images [n, h, w, c] and signed levels [n] in [-1, 1]; n may be 0. There is no level
# that all images have in common.


def posterize(images, signed, level):
    step = tf.pow(2.0, 4 + tf.floor(4 * tf.abs(signed)))
    return tf.floor(images / column(step)) * column(step)


def solarize(images, signed, level):
    return tf.where(images >= column(256 - tf.floor(256 * tf.abs(signed))), 255 - images, images)


def translate_x(images, signed, level):
    return randaugment.translate_x(images, _THIRD * signed, level)


def translate_y(images, signed, level):
    return randaugment.translate_y(images, _THIRD * signed, level)


_THIRD = (1 / 3) / (150 / 331)  # of a side, in the units of randaugment's translations

OPERATIONS = {
    operation.__name__: operation
    for operation in (
        randaugment.identity,
        randaugment.autocontrast,
        randaugment.equalize,
        posterize,
        randaugment.rotate,
        solarize,
        randaugment.shear_x,
        randaugment.shear_y,
        translate_x,
        translate_y,
    )
}
