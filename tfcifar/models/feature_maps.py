"""The feature maps of a model: which there are, and how many images' maps fit into memory at once."""

import math

import keras

from pipelines.datasets import EVAL_BATCH_SIZE

MOST_BYTES = 1 << 30


def spatial_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """All layers with an output [n, h, w, c], in the order of their calls; those of nested models as "model/layer"."""
    found: dict[str, keras.layers.Layer] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= {f"{layer.name}/{name}": inner for name, inner in spatial_layers(layer).items()}
        elif not isinstance(layer, keras.layers.InputLayer) and len(getattr(layer.output, "shape", ())) == 4:
            found[layer.name] = layer
    return found


def images_to_predict(model: keras.Model) -> int:
    """How many images to predict at once: EVAL_BATCH_SIZE, or fewer where that would take gigabytes; at least 1.

    A prediction has a few maps at a time, counted as four of the largest: what a convolution reads, what it writes, and
    its workspace. With images of 224 pixels, 500 at once took 8 GB.
    """
    return min(EVAL_BATCH_SIZE, max(1, MOST_BYTES // (4 * max([1, *_bytes_of_maps(model)]))))


def images_to_differentiate(model: keras.Model) -> int:
    """How many images at once so that all of their maps, which a gradient keeps, fit into MOST_BYTES; at least 1."""
    return max(1, MOST_BYTES // max(1, sum(_bytes_of_maps(model))))


def _bytes_of_maps(model: keras.Model) -> list[int]:
    """Of one image, in float32."""
    return [4 * math.prod(layer.output.shape[1:]) for layer in spatial_layers(model).values()]
