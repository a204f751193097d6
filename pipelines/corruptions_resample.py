"""Pixels between pixels, for corruptions: zooming and enlarging as matrix products, and sizes of lengths."""

import numpy as np

REFERENCE_SIZE = 32  # pixels, of the images that the parameters are for


def length_scale(height: int, width: int) -> float:
    """What one pixel of the reference's images is here; the shorter side counts."""
    return min(height, width) / REFERENCE_SIZE


def interpolation(places: np.ndarray, size: int) -> np.ndarray:
    """Linear interpolation along a line of `size` pixels, at `places` (within 0..size - 1), as a matrix.

    Returns:
        float32 [len(places), size], rows sum to 1.
    """
    distance = np.abs(np.asarray(places, np.float64)[:, None] - np.arange(size))
    return np.maximum(0, 1 - distance).astype(np.float32)


def clipped_zoom(planes: np.ndarray, factor: float) -> np.ndarray:
    """The middle of each plane, enlarged to the whole: scipy.ndimage.zoom of order 1 and a crop.

    Args:
        planes: float32 [..., h, w].
        factor: at least 1.
    """
    height, width = planes.shape[-2:]
    return _clipped_zoom_line(height, factor) @ planes @ _clipped_zoom_line(width, factor).T


def _clipped_zoom_line(size: int, factor: float) -> np.ndarray:
    shown = int(np.ceil(size / factor))
    first = (size - shown) // 2
    enlarged = round(shown * factor)
    places = first + np.linspace(0, shown - 1, enlarged)
    trimmed = (enlarged - size) // 2
    return interpolation(places[trimmed : trimmed + size], size)


def reference_shape(height: int, width: int) -> tuple[int, int]:
    """The size at which textures are made whose grain is given in pixels of the reference's images."""
    scale = length_scale(height, width)
    return round(height / scale), round(width / scale)


def resized(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Planes float32 [..., h, w] at another size, linear; the same values where the size is the same."""
    rows = interpolation(np.linspace(0, planes.shape[-2] - 1, height), planes.shape[-2])
    columns = interpolation(np.linspace(0, planes.shape[-1] - 1, width), planes.shape[-1])
    return rows @ planes @ columns.T
