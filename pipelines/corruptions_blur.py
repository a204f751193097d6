"""Blur: out of focus, through frosted glass, of a moving or zooming camera, and Gaussian.

Signatures and sources as in `corruptions_noise`. Lengths are those of 32 px images, and grow with the image.
"""

import numpy as np
from scipy import ndimage

from pipelines.corruptions_resample import clipped_zoom, length_scale


def gaussian_blur(images, severity, draws):
    sigma = (0.4, 0.6, 0.7, 0.8, 1.0)[severity - 1]
    return _gaussian(images, sigma * _scale(images))


def defocus_blur(images, severity, draws):
    """Each point becomes a disk with a soft rim."""
    radius, softness = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1))[severity - 1]
    kernel = _disk(radius * _scale(images), softness * _scale(images), max(1, round(_scale(images))))
    return ndimage.correlate(images, kernel[None, :, :, None], mode="mirror")


def _disk(radius: float, softness: float, reach: int) -> np.ndarray:
    """A disk of ones, smoothed by a Gaussian of standard deviation `softness` that is cut off at `reach` pixels."""
    size = int(radius) + reach
    y, x = np.mgrid[-size : size + 1, -size : size + 1]
    disk = (x**2 + y**2 <= radius**2).astype(np.float32)
    bell = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * softness**2))
    for axis in (0, 1):
        disk = ndimage.correlate1d(disk, bell / bell.sum(), axis, mode="constant")
    return disk / disk.sum()


def glass_blur(images, severity, draws):
    """Each pixel takes the place of a near one, between two Gaussian blurs.

    The original swaps pixels in a loop, of which, as array views, only the first half happens: a pixel becomes a copy
    of one to its upper left that has not been touched yet. At 32 px this function does the same, all pixels at once.
    """
    sigma, iterations = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))[severity - 1]
    _, height, width, _ = images.shape
    distance = max(1, round(_scale(images)))
    images = _gaussian(images, sigma * _scale(images))
    inner_rows = np.arange(distance + 1, height - distance + 1)[:, None]
    inner_columns = np.arange(distance + 1, width - distance + 1)[None, :]
    every = np.arange(len(images))[:, None, None]
    for _ in range(iterations):
        offsets = draws.integers(-distance, distance, 2, len(inner_rows), inner_columns.shape[1])
        moved = images.copy()
        rows = np.minimum(inner_rows + offsets[:, 0], height - 1)
        columns = np.minimum(inner_columns + offsets[:, 1], width - 1)
        moved[:, inner_rows, inner_columns] = images[every, rows, columns]
        images = moved
    return _gaussian(images, sigma * _scale(images))


def motion_blur(images, severity, draws):
    """The camera moves in a straight line, up to 45 degrees from the horizontal."""
    radius, sigma = ((6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5))[severity - 1]
    return along_line(images, radius * _scale(images), sigma * _scale(images), draws.uniform(-45, 45))


def along_line(images: np.ndarray, radius: float, sigma: float, degrees: np.ndarray) -> np.ndarray:
    """Each pixel as the mean of those on a line that starts at it, with the weights of half a Gaussian.

    As ImageMagick's MotionBlurImage: 2 * radius + 1 whole-pixel places; beyond the border its pixels repeat.

    Args:
        images: float32 [n, h, w, c].
        radius, sigma: pixels.
        degrees: float [n], direction of the line, clockwise from the right.
    """
    _, height, width, _ = images.shape
    length = 2 * int(np.ceil(radius)) + 1
    weights = np.exp(-(np.arange(length) ** 2) / (2 * sigma**2))
    steps = np.arange(length) * np.exp(1j * np.radians(degrees, dtype=np.float64))[:, None]
    columns, rows = (np.ceil(part - 0.5).astype(int) for part in (steps.real, steps.imag))
    padded = np.pad(images, ((0, 0), (length, length), (length, length), (0, 0)), mode="edge")
    blurred = np.zeros(images.shape, np.float32)
    for i, image in enumerate(padded):
        for row, column, weight in zip(rows[i] + length, columns[i] + length, weights / weights.sum(), strict=True):
            blurred[i] += np.float32(weight) * image[row : row + height, column : column + width]
    return blurred


def zoom_blur(images, severity, draws):
    """The mean of the image and of ever larger copies of it, in steps of 1%."""
    copies = (7, 12, 16, 21, 26)[severity - 1]
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    total = planes + sum(clipped_zoom(planes, 1 + 0.01 * step) for step in range(copies))
    return total.transpose(0, 2, 3, 1) / np.float32(copies + 1)


def _gaussian(images: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest")


def _scale(images: np.ndarray) -> float:
    return length_scale(*images.shape[1:3])
