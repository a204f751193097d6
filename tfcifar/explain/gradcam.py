"""Grad-CAM and Grad-CAM++: the evidence for a class in the last feature maps, upscaled to the image."""

import keras
import numpy as np
import tensorflow as tf

from tfcifar.explain.activations import maps_and_gradients


def grad_cam(model: keras.Model, images: np.ndarray, classes: np.ndarray, layer: keras.layers.Layer) -> np.ndarray:
    """Each feature map weighted by its mean gradient, summed, without what speaks against the class.

    Selvaraju et al. 2017, "Grad-CAM" (arXiv:1610.02391).

    Args:
        images: [n, h, w, 3], 0..255.
        classes: int [n], whose evidence is asked for.
        layer: of `model`, nested models included; its output is [n, h', w', c].

    Returns:
        float32 [n, h, w], at least 0 and with maximum 1, or 0 where nothing speaks for the class.
    """
    maps, gradients = maps_and_gradients(model, images, classes, layer)
    weights = gradients.mean((1, 2), keepdims=True)
    return upscaled(np.maximum((weights * maps).sum(-1), 0), images.shape[1:3])


def grad_cam_plus_plus(
    model: keras.Model, images: np.ndarray, classes: np.ndarray, layer: keras.layers.Layer
) -> np.ndarray:
    """As `grad_cam`, with a weight for each position, so that several or small objects count too.

    Chattopadhay et al. 2018, "Grad-CAM++" (arXiv:1710.11063), equations 10 and 19, for the exponential of the logit.
    """
    maps, gradients = maps_and_gradients(model, images, classes, layer)
    square, cube = gradients**2, gradients**3
    # The derivation is for rectified maps; the small negative values of a GELU would turn the sign of a denominator.
    denominator = 2 * square + np.maximum(maps, 0).sum((1, 2), keepdims=True) * cube
    alpha = np.divide(square, denominator, out=np.zeros_like(square), where=denominator != 0)
    weights = (alpha * np.maximum(gradients, 0)).sum((1, 2), keepdims=True)
    return upscaled(np.maximum((weights * maps).sum(-1), 0), images.shape[1:3])


def upscaled(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Maps [n, h', w'] as float32 [n, *size], bilinear, each divided by its maximum."""
    large = tf.image.resize(maps[..., None], size).numpy()[..., 0]
    return normalized(large)


def normalized(maps: np.ndarray) -> np.ndarray:
    """Each of the maps [n, h, w] (at least 0) divided by its maximum; a map of zeros stays as it is."""
    highest = maps.max((1, 2), keepdims=True)
    return np.divide(maps, highest, out=np.zeros_like(maps), where=highest > 0).astype(np.float32)
