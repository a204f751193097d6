"""BatchNorm statistics measured anew: averaged weights need those of their own activations.

Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization", arXiv:1803.05407, section
3.2.
"""

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from pipelines.disk_images import Images
from tfcifar.models.feature_maps import images_to_predict


def recompute_statistics(model: keras.Model, images: Images, batch_size: int | None = None) -> None:
    """Set mean and variance of each BatchNorm layer of `model` to those of its inputs over all `images`.

    One pass over the images as they are, without augmentation: what the layers will see when the model is used. Dropout
    is off. Each layer is fed what the layers before it make of the batch's own statistics, as in training; so the
    first layer's statistics are exact, and later ones up to what batches of this size differ from each other.
    Layers that do not train keep theirs.

    Args:
        model: a functional model, which may have such models nested in it.
        images: uint8 [n, h, w, c], training images; in any order, batches are drawn from all of them.
        batch_size: None: as many as `images_to_predict` says.
    """
    norms = _batch_norms(model)
    if not norms:
        return
    batch_size = batch_size or images_to_predict(model)
    normalize = tf.function(_with_batch_statistics(model, norms))
    order = np.random.RandomState(0).permutation(len(images))  # images may come sorted by class
    mean = [np.zeros(norm.moving_mean.shape) for norm in norms]
    mean_square = [np.zeros(norm.moving_mean.shape) for norm in norms]
    momentums = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0  # after each batch the layer holds the statistics of that batch alone
        starts = range(0, len(images), batch_size)
        for start in tqdm(starts, desc="BatchNorm statistics", unit="batch", leave=False, disable=None):
            batch = images[order[start : start + batch_size]]
            normalize(tf.constant(batch))
            for index, norm in enumerate(norms):
                batch_mean = np.asarray(norm.moving_mean, np.float64)
                mean[index] += len(batch) * batch_mean
                mean_square[index] += len(batch) * (np.asarray(norm.moving_variance, np.float64) + batch_mean**2)
    finally:
        for norm, momentum in zip(norms, momentums, strict=True):
            norm.momentum = momentum
    for index, norm in enumerate(norms):
        total = mean[index] / len(images)
        norm.moving_mean.assign(total)
        norm.moving_variance.assign(np.maximum(mean_square[index] / len(images) - total**2, 0))


def _batch_norms(model: keras.Model) -> list:
    """Those that train, at any depth."""
    layers = model._flatten_layers(include_self=False, recursive=True)
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]


def _with_batch_statistics(model: keras.Model, norms: list) -> keras.Model:
    """The same layers, of which only `norms` run as in training."""
    left = {id(norm) for norm in norms}

    def same_layer(layer):
        return rewired(layer) if isinstance(layer, keras.Model) else layer

    def call(layer, *args, **kwargs):
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            left.discard(id(layer))
            kwargs["training"] = True
        return layer(*args, **kwargs)

    def rewired(model):
        return keras.models.clone_model(model, clone_function=same_layer, call_function=call)

    result = rewired(model)
    if left:
        raise ValueError("model: expected BatchNorm layers in functional models only. Received: some in other layers")
    return result
