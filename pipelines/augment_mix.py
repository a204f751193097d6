"""Two images into one, and labels to match: Mixup, CutMix and label smoothing, on whole batches.

The partner of an image is the one before it in the batch. Batches come shuffled, so this is as random as a
permutation, costs one contiguous copy, and never pairs an image with itself.
"""

import tensorflow as tf

from pipelines.augment_erase import box_mask
from pipelines.augment_random import beta, column, per_image_integer, split


def mixup(images, labels, seed, alpha):
    """Blends each image and label with its partner's (Zhang et al. 2018, arXiv:1710.09412).

    The share is drawn from Beta(alpha, alpha) for each image, not once per batch.

    Args:
        images: float32 [b, h, w, c].
        labels: float32 [b, k], one-hot or any distribution.
        seed: int [2].
        alpha: float > 0; 0.2 mostly keeps one image dominant, 1 draws shares uniformly.

    Returns:
        (images float32 [b, h, w, c], labels float32 [b, k]); each label keeps its sum.
    """
    share = beta(images, seed, alpha)
    return _blend(images, column(share)), _blend(labels, share[:, tf.newaxis])


def cutmix(images, labels, seed, alpha):
    """Pastes a box of the partner into each image, at the same place (Yun et al. 2019, arXiv:1905.04899).

    The box covers a fraction drawn from Beta(alpha, alpha) for each image, in the image's proportions, with
    its centre uniform over the pixels; what would lie outside is cut off. The label weight is the exact
    fraction of pixels pasted, not the fraction drawn.

    Args:
        images: float32 [b, h, w, c].
        labels: float32 [b, k], one-hot or any distribution.
        seed: int [2].
        alpha: float > 0; the paper uses 1.

    Returns:
        (images float32 [b, h, w, c], labels float32 [b, k]); each label keeps its sum.
    """
    _, height, width, _ = images.shape
    area_seed, row_seed, column_seed = split(seed, 3)
    side = tf.sqrt(beta(images, area_seed, alpha))  # Beta(alpha, alpha) is symmetric: share or 1 - share
    rows = tf.cast(tf.round(side * height), tf.int32)
    columns = tf.cast(tf.round(side * width), tf.int32)
    top = per_image_integer(images, row_seed, 0, height - 1) - rows // 2
    left = per_image_integer(images, column_seed, 0, width - 1) - columns // 2
    kept = 1 - box_mask(images, top, left, rows, columns)
    return _blend(images, kept), _blend(labels, tf.reduce_mean(kept, axis=[1, 2]))


def smooth_labels(labels, smoothing):
    """Spreads `smoothing` of each label's mass evenly over the classes (Szegedy et al. 2016, arXiv:1512.00567).

    The same as `keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)` on the labels it receives.

    Args:
        labels: float32 [b, k], each row sums to 1.
        smoothing: float in [0, 1].

    Returns:
        float32 [b, k].
    """
    return labels * (1 - smoothing) + smoothing / labels.shape[1]


def _blend(batch, share):
    # The two products, not partner + share * (own - partner): exact where the share is 0 or 1.
    return share * batch + (1 - share) * tf.roll(batch, 1, axis=0)
