"""Maps at the resolution of the image: SmoothGrad, guided saliency and occlusion."""

from collections.abc import Callable
from contextlib import ExitStack

import keras
import numpy as np
import tensorflow as tf

from tfcifar.explain.activations import is_rectifier, replaced_call
from tfcifar.explain.gradcam import normalized
from tfcifar.models.feature_maps import images_to_differentiate
from tfcifar.models.nested import all_layers


def smooth_grad(
    model: keras.Model, images: np.ndarray, classes: np.ndarray, noise: float = 0.1, samples: int = 16, seed: int = 0
) -> np.ndarray:
    """The gradient of the class's logit to the pixels, averaged over noisy copies; its largest channel.

    Smilkov et al. 2017, "SmoothGrad" (arXiv:1706.03825).

    Args:
        images: [n, h, w, 3], 0..255.
        classes: int [n].
        noise: standard deviation, as a share of the range of the pixels.
        samples: copies of each image.

    Returns:
        float32 [n, h, w], from 0, with maximum 1.
    """
    rng = np.random.default_rng(seed)
    total = np.zeros(images.shape, np.float32)
    for _ in range(samples):
        noisy = images + rng.normal(0, 255 * noise, images.shape)
        total += pixel_gradients(model, noisy, classes)
    return normalized(np.abs(total).max(-1))


def guided_saliency(model: keras.Model, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The gradient to the pixels, of which each rectifier passes only what raises the class where it is active.

    Springenberg et al. 2015, "Striving for Simplicity" (arXiv:1412.6806). Sharp, but it hardly depends on the weights
    near the output (Adebayo et al. 2018): see the sanity check before you believe it.

    Returns:
        float32 [n, h, w], from 0, with maximum 1.
    """
    with ExitStack() as stack:
        for layer in all_layers(model):
            if is_rectifier(layer):
                stack.enter_context(replaced_call(layer, _guided(layer.call)))
        gradients = pixel_gradients(model, images, classes)
    return normalized(np.maximum(gradients, 0).max(-1))


def occlusion(model: keras.Model, images: np.ndarray, classes: np.ndarray, patch: int | None = None) -> np.ndarray:
    """How much of the class's probability a grey patch takes away, averaged over the patches that cover a pixel.

    Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks" (arXiv:1311.2901).

    Args:
        patch: pixels a side, moved by half of it; None: a quarter of the image.

    Returns:
        float32 [n, h, w], from 0, with maximum 1, or 0 where no patch takes any away.
    """
    height, width = images.shape[1:3]
    patch = patch or max(2, min(height, width) // 4)
    grey = images.mean((1, 2), keepdims=True)
    places = [(y, x) for y in _starts(height, patch) for x in _starts(width, patch)]
    whole = probabilities(model, images, classes)
    drops, counts = np.zeros(images.shape[:3], np.float32), np.zeros(images.shape[:3], np.float32)
    for y, x in places:
        occluded = images.astype(np.float32)
        occluded[:, y : y + patch, x : x + patch] = grey
        drop = whole - probabilities(model, occluded, classes)
        drops[:, y : y + patch, x : x + patch] += drop[:, None, None]
        counts[:, y : y + patch, x : x + patch] += 1
    return normalized(np.maximum(drops / counts, 0))


def _starts(length: int, patch: int) -> list[int]:
    """Of patches half a patch apart, the last one flush with the border."""
    return [*range(0, length - patch, max(1, patch // 2)), length - patch]


def pixel_gradients(model: keras.Model, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The gradient of each image's logit of its class to the pixels, float32 [n, h, w, 3]."""
    pixels = tf.constant(images, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        chosen = tf.gather(model(pixels, training=False), classes, batch_dims=1)
    return tape.gradient(chosen, pixels).numpy()


def probabilities(model: keras.Model, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The softmax probability of each image's class, float32 [n]."""
    batch_size = images_to_differentiate(model)
    # Not `predict`: it builds a tf.data pipeline a call, and explanations ask about few images hundreds of times.
    starts = range(0, len(images), batch_size)
    logits = [model.predict_on_batch(images[start : start + batch_size].astype(np.float32)) for start in starts]
    return tf.gather(tf.nn.softmax(np.concatenate(logits)), classes, batch_dims=1).numpy()


def _guided(call: Callable) -> Callable:
    """A rectifier's `call` with the guided gradient."""

    def guided_call(inputs, *args, **kwargs):
        @tf.custom_gradient
        def guided(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = call(x, *args, **kwargs)

            def gradient(upstream):
                through = tape.gradient(value, x, tf.nn.relu(upstream))
                return tf.where(value > 0, through, tf.zeros_like(through))

            return value, gradient

        return guided(inputs)

    return guided_call
