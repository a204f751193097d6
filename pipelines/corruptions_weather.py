"""Weather: snow, frost, fog and bright light.

Signatures and sources as in `corruptions_noise`. Textures are made for 32 px and enlarged with the image.
"""

import numpy as np

from pipelines.corruptions_blur import along_line
from pipelines.corruptions_frost import ice
from pipelines.corruptions_resample import clipped_zoom, length_scale, reference_shape, resized

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def snow(images, severity, draws):
    """Flakes that fall, here and from the opposite side, on a paler image."""
    mean, std, size, threshold, radius, sigma, kept = (
        (0.10, 0.2, 1.00, 0.60, 8, 3, 0.95),
        (0.10, 0.2, 1.00, 0.50, 10, 4, 0.90),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.90),
        (0.25, 0.3, 2.25, 0.60, 12, 6, 0.85),
        (0.30, 0.3, 1.25, 0.65, 14, 12, 0.80),
    )[severity - 1]
    _, height, width, _ = images.shape
    flakes = resized(clipped_zoom(draws.normal(mean, std, *reference_shape(height, width)), size), height, width)
    flakes = np.clip(np.where(flakes < threshold, 0, flakes), 0, 1)[..., None]
    scale = length_scale(height, width)
    falling = along_line(flakes, radius * scale, sigma * scale, draws.uniform(-135, -45))
    pale = np.maximum(images, 1.5 * (images @ LUMA)[..., None] + 0.5)
    return kept * images + (1 - kept) * pale + falling + falling[:, ::-1, ::-1]


def frost(images, severity, draws):
    """Behind ice on a window. The original lays photographs of ice over the images, these are generated: see `ice`."""
    kept, strength = ((1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))[severity - 1]
    return kept * images + strength * ice(images.shape[1:3], draws)


def fog(images, severity, draws):
    """A cloud of plasma, by diamond-square, added; then darkened so that the brightest value stays."""
    strength, decay = ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75))[severity - 1]
    _, height, width, _ = images.shape
    side = 1 << (max(height, width) - 1).bit_length()
    cloud = plasma(draws.uniform(-1, 1, side, side), decay)[:, :height, :width, None]
    brightest = images.max((1, 2, 3), keepdims=True)
    return (images + strength * cloud) * brightest / (brightest + strength)


def plasma(noise: np.ndarray, decay: float) -> np.ndarray:
    """A height map by the diamond-square algorithm (Fournier, Fussell and Carpenter 1982), the same at opposite sides.

    Args:
        noise: float [n, side, side] in -1..1, the random part of each point; side is a power of two.
        decay: by which the amplitude falls with each halving of the distance, twice: it counts squared.

    Returns:
        float32 [n, side, side] from 0 to 1.
    """
    heights = np.zeros(noise.shape, np.float32)
    step, amplitude = noise.shape[1], 100.0
    while step >= 2:
        half = step // 2
        corners = heights[:, ::step, ::step]
        right = corners + np.roll(corners, -1, axis=2)
        heights[:, half::step, half::step] = (right + np.roll(right, -1, axis=1)) / 4
        heights[:, half::step, half::step] += amplitude**2 * noise[:, half::step, half::step]
        middles = heights[:, half::step, half::step]
        across = corners + np.roll(corners, -1, axis=2) + middles + np.roll(middles, 1, axis=1)
        heights[:, ::step, half::step] = across / 4 + amplitude**2 * noise[:, ::step, half::step]
        down = corners + np.roll(corners, -1, axis=1) + middles + np.roll(middles, 1, axis=2)
        heights[:, half::step, ::step] = down / 4 + amplitude**2 * noise[:, half::step, ::step]
        step, amplitude = half, amplitude / decay
    heights -= heights.min((1, 2), keepdims=True)
    return heights / heights.max((1, 2), keepdims=True)


def brightness(images, severity, draws):
    """The value of HSV raised; hue and saturation stay."""
    added = (0.05, 0.10, 0.15, 0.20, 0.30)[severity - 1]
    value = images.max(-1, keepdims=True)
    raised = np.minimum(value + added, 1)
    # Black has no hue: it becomes grey.
    return np.where(value > 0, images * np.divide(raised, value, out=np.ones_like(value), where=value > 0), raised)
