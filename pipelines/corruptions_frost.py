"""Ice on a window pane, generated.

The original cuts its frost out of six photographs; this project ships none, and makes its own. Figures for frost, and
means that count them, therefore compare runs with each other, not with what is published for CIFAR-10-C.
"""

from functools import lru_cache

import numpy as np
from scipy import ndimage

from pipelines.corruptions_random import Draws
from pipelines.corruptions_resample import reference_shape, resized

PANES = 5  # as many as the original draws from
PANE_SIZE = 256  # pixels a side, of which an image shows 32
CRYSTALS = 160  # a pane, each with needles in a direction of its own
DIRECTIONS = 8
DARK, LIGHT = np.array([0.20, 0.29, 0.40], np.float32), np.array([0.90, 0.96, 1.00], np.float32)  # blue to white


def ice(size: tuple[int, int], draws: Draws) -> np.ndarray:
    """A random piece of a random pane for each image of `draws`: float32 [n, *size, 3] in 0..1."""
    height, width = reference_shape(*size)
    which, top, left = (draws.integers(0, high) for high in (PANES, PANE_SIZE, PANE_SIZE))
    rows = (top[:, None, None] + np.arange(height)[:, None]) % PANE_SIZE  # a pane continues at its opposite side
    columns = (left[:, None, None] + np.arange(width)) % PANE_SIZE
    pieces = resized(panes()[which[:, None, None], rows, columns], *size)[..., None]
    return DARK + pieces * (LIGHT - DARK)


@lru_cache(maxsize=1)
def panes() -> np.ndarray:
    """How much ice, float32 [PANES, PANE_SIZE, PANE_SIZE] in 0..1; opposite sides fit together."""
    return np.stack([_pane(np.random.RandomState(number)) for number in range(PANES)])


def _pane(random: np.random.RandomState) -> np.ndarray:
    """Crystals of needles, brighter along their rims, thick in some regions and thin in others."""
    angles = np.arange(DIRECTIONS) * np.pi / DIRECTIONS
    needles = np.stack([_ridges(_noise(random, 5.0, 0.7, angle)) for angle in angles])
    seeds = random.randint(0, PANE_SIZE, (CRYSTALS, 2))
    direction, rim = _crystals(seeds, random.randint(0, DIRECTIONS, CRYSTALS))
    texture = np.take_along_axis(needles, direction[None], axis=0)[0] + 0.6 * rim
    thickness = _noise(random, 14.0, 14.0, 0.0) + 0.6 * _noise(random, 4.0, 4.0, 0.0)
    return (1 / (1 + np.exp(-(0.9 * _standardized(texture) + thickness)))).astype(np.float32)


def _noise(random: np.random.RandomState, long: float, short: float, angle: float) -> np.ndarray:
    """Smooth noise of mean 0 and deviation 1, that repeats; lengths of its grain in pixels."""
    y, x = np.meshgrid(*(2 * np.pi * np.fft.fftfreq(PANE_SIZE),) * 2, indexing="ij")
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    bell = np.exp(-((long * along) ** 2 + (short * across) ** 2) / 2)
    return _standardized(np.fft.ifft2(np.fft.fft2(random.normal(size=(PANE_SIZE, PANE_SIZE))) * bell).real)


def _ridges(noise: np.ndarray) -> np.ndarray:
    """Thin bright lines where `noise` crosses 0."""
    return np.exp(-((noise / 0.5) ** 2))


def _crystals(seeds: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The direction of the crystal at each pixel, and how near its rim is (1 on it): the cells nearest to `seeds`."""
    points = np.ones((3 * PANE_SIZE,) * 2, bool)
    cell = np.zeros(points.shape, int)
    for shift in np.ndindex(3, 3):  # nine copies side by side, of which the middle one repeats
        rows, columns = (seeds + np.array(shift) * PANE_SIZE).T
        points[rows, columns] = False
        cell[rows, columns] = np.arange(len(seeds))
    nearest = ndimage.distance_transform_edt(points, return_distances=False, return_indices=True)
    cells = cell[tuple(nearest)]
    border = (ndimage.maximum_filter(cells, 3) != cells) | (ndimage.minimum_filter(cells, 3) != cells)
    distance = ndimage.distance_transform_edt(~border)
    middle = slice(PANE_SIZE, 2 * PANE_SIZE)
    return directions[cells[middle, middle]], np.exp(-distance[middle, middle])


def _standardized(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()
