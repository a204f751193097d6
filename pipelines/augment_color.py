"""What values the pixels have: brightness, contrast, saturation and hue, per image, on whole batches."""

import math

import numpy as np
import tensorflow as tf

from pipelines.augment_random import column, per_image, split
from pipelines.errors import InputError

# RGB -> YIQ (NTSC): one luma channel, and two chroma channels that saturation scales and hue rotates.
TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32)
FROM_YIQ = np.linalg.inv(TO_YIQ)


def color_jitter(images, seed, brightness, contrast, saturation, hue=0.0):
    """Draws brightness, contrast, saturation and hue of each image anew.

    The factors are uniform in [1 - strength, 1 + strength], the hue turns by up to `hue` of a full circle
    either way. Applied in the order brightness, saturation, hue, contrast, and clipped once at the end.

    Args:
        images: float32 [b, h, w, 3] in [0, 255]; or [b, h, w, 1], where saturation and hue do nothing.
        seed: int [2].
        brightness, contrast, saturation: float in [0, 1].
        hue: float in [0, 0.5].

    Returns:
        float32, same shape, in [0, 255].
    """
    seeds = split(seed, 4)
    circle = 2 * math.pi
    return adjust_color(
        images,
        brightness=per_image(images, seeds[0], 1 - brightness, 1 + brightness),
        contrast=per_image(images, seeds[1], 1 - contrast, 1 + contrast),
        saturation=per_image(images, seeds[2], 1 - saturation, 1 + saturation),
        hue=per_image(images, seeds[3], -hue * circle, hue * circle) if hue else None,
    )


def adjust_color(images, brightness=None, contrast=None, saturation=None, hue=None):
    """Scales brightness, contrast and saturation of each image by a factor, and turns its hue by an angle.

    As in Pillow's ImageEnhance, a factor mixes the image with black (brightness), with its mean luma
    (contrast) or with its gray version (saturation); 1 changes nothing. All of it together is one 3x3 matrix
    and one constant per image, so the cost does not grow with the number of adjustments. The hue turns in
    the YIQ plane, which keeps the luma.

    Args:
        images: float32 [b, h, w, 3 or 1] in [0, 255].
        brightness, contrast, saturation: float32 [b] factors, or None for 1.
        hue: float32 [b] radians, or None for 0.

    Returns:
        float32, same shape, in [0, 255].

    Raises:
        InputError: The images have neither 1 nor 3 channels.
    """
    _, height, width, channels = images.shape
    if channels not in (1, 3):
        raise InputError(f"images: expected 1 or 3 channels for colour operations, received {channels}.")
    one = tf.ones([tf.shape(images)[0]])
    brightness = one if brightness is None else brightness
    contrast = one if contrast is None else contrast
    saturation = one if saturation is None else saturation
    hue = 0 * one if hue is None else hue

    luma = TO_YIQ[:1].T if channels == 3 else np.ones([1, 1], np.float32)
    mean_luma = tf.matmul(tf.reduce_mean(images, axis=[1, 2]), luma)  # [b, 1]
    pivot = (1 - contrast) * brightness * mean_luma[:, 0]
    matrices = _chroma(saturation, hue) if channels == 3 else tf.ones([1, 1, 1])
    matrices = (brightness * contrast)[:, tf.newaxis, tf.newaxis] * matrices
    pixels = tf.matmul(tf.reshape(images, [-1, height * width, channels]), matrices)
    pixels = tf.reshape(pixels, [-1, height, width, channels])
    return tf.clip_by_value(pixels + column(pivot), 0.0, 255.0)


def _chroma(saturation, hue):
    """Matrices float32 [b, 3, 3] for RGB row vectors that scale and turn the chroma and keep the luma."""
    cos, sin = saturation * tf.cos(hue), saturation * tf.sin(hue)
    zero, one = tf.zeros_like(saturation), tf.ones_like(saturation)
    yiq = tf.stack([one, zero, zero, zero, cos, sin, zero, -sin, cos], axis=1)
    return TO_YIQ.T @ tf.reshape(yiq, [-1, 3, 3]) @ FROM_YIQ.T
