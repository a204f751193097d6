"""The only normalization in the project: layers at the entrance of each model, so that callers send 0..255."""

from collections.abc import Sequence

import keras

# What ImageNet backbones of keras.applications were trained with, as scale and offset on RGB 0..255.
IMAGENET_NORMALIZATION: dict[str, dict[str, float | list[float]]] = {
    "tf": {"scale": 1 / 127.5, "offset": -1.0},  # to [-1, 1]
    "caffe": {
        "scale": 1.0,
        "offset": [-123.68, -116.779, -103.939],
    },  # mean of each channel; BGR in the original
    "none": {"scale": 1.0, "offset": 0.0},  # the backbone has its own layers for it
}


def standardize(mean: Sequence[float], std: Sequence[float]) -> keras.layers.Layer:
    """(x / 255 - mean) / std per channel, for x in 0..255 and mean, std in [0, 1] units."""
    scale = [1 / (255 * s) for s in std]
    offset = [-m / s for m, s in zip(mean, std, strict=True)]
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="standardize")


def imagenet_normalization(mode: str) -> keras.layers.Layer:
    """The normalization of a keras.applications backbone; `mode` as in its `preprocess_input`."""
    return keras.layers.Rescaling(**IMAGENET_NORMALIZATION[mode], dtype="float32", name="imagenet_normalization")
