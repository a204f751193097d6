"""Test-time augmentation: the weighted mean of a model's logits over several views of each image.

Source: Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv:2404.00498, whose six views
`flip_translate` are: the image with half of the weight, two translations by one pixel with a quarter each, and of
all three the mirror image, which takes half of its original's weight. `flip_translate_8` takes all eight neighbours in
place of two. `multi_crop` is the ten crops of Krizhevsky, Sutskever and Hinton 2012 (doi:10.1145/3065386) for small
images: with hardly a pixel to spare, the whole image, at half of the weight, stands for the crop of the centre. It is
for networks that were trained on crops of many scales; one that has seen a single scale loses by it.
"""

from collections.abc import Callable
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

from pipelines.datasets import make_image_dataset
from pipelines.disk_images import Images
from tfcifar.models.feature_maps import images_to_predict

AUTOTUNE = tf.data.AUTOTUNE


Transform: TypeAlias = Callable[[tf.Tensor], tf.Tensor]  # of a batch of images
CROP = 8  # a corner crop leaves out an eighth of height and width: 28 of 32 pixels, as 224 of 256 for ImageNet


def _same(images):
    return images


def _mirror(images):
    return images[:, :, ::-1]


def _translated(down: int, right: int) -> Transform:
    """The image moved by so many pixels, at most one each way; what comes in repeats the pixels next to the edge."""

    def translate(images):
        height, width = images.shape[1:3]
        padded = tf.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), "REFLECT")
        return padded[:, 1 - down : 1 - down + height, 1 - right : 1 - right + width]

    return translate


def _corner(bottom: bool, right: bool) -> Transform:
    """A corner of the image, enlarged to the size of all of it (bilinear)."""

    def crop(images):
        height, width = images.shape[1:3]
        top, left = bottom * (height // CROP), right * (width // CROP)
        part = images[:, top : top + height - height // CROP, left : left + width - width // CROP]
        return tf.image.resize(part, (height, width))

    return crop


def _and_mirrored(weight: float, *transforms: Transform) -> tuple:
    """Views that share `weight` equally: each of `transforms`, and the mirror image of each."""
    each = weight / (2 * len(transforms))
    return tuple(
        view
        for transform in transforms
        for view in ((each, transform), (each, lambda images, transform=transform: _mirror(transform(images))))
    )


# The views of recipe.TTA_VIEWS: weight, and what is done to a batch. Powers of two: weighting rounds nothing.
VIEWS = {
    "none": ((1.0, _same),),
    "flip": _and_mirrored(1.0, _same),
    "flip_translate": (*_and_mirrored(0.5, _same), *_and_mirrored(0.5, _translated(-1, -1), _translated(1, 1))),
    "flip_translate_8": (
        *_and_mirrored(0.5, _same),
        *_and_mirrored(0.5, *(_translated(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))),
    ),
    "multi_crop": (
        *_and_mirrored(0.5, _same),
        *_and_mirrored(0.5, *(_corner(bottom, right) for bottom in (False, True) for right in (False, True))),
    ),
}


def predict_logits(model: keras.Model, images: Images, view: str, batch_size: int | None = None) -> np.ndarray:
    """Logits of `model`, averaged over the views that `view` names.

    Args:
        model: images [n, h, w, c] with values 0..255 -> logits [n, k].
        images: uint8 [n, h, w, c], n >= 1; h and w at least 2 for translations.
        view: a key of VIEWS; "none" is the plain prediction.
        batch_size: images in a step; None: as `images_to_predict` has it. Only speed and memory depend on it.

    Returns:
        float32 [n, k].
    """
    ds = make_image_dataset(images, batch_size or images_to_predict(model))
    # View by view through the one compiled predict function, each made batch by batch: many copies of a data set
    # of larger images would not fit into memory.
    logits = [
        np.float32(weight) * model.predict(ds.map(transform, AUTOTUNE).prefetch(AUTOTUNE), verbose=0)
        for weight, transform in VIEWS[view]
    ]
    return np.asarray(np.sum(logits, axis=0, dtype=np.float32))
