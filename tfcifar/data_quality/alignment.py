"""Bringing two pictures of one photograph into line: a shift, and a stretch of each side."""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

SHIFT = 2  # pixels in each direction that are tried one by one; from the best of them on it goes in fractions
MARGIN = 2  # pixels at each border that are left out: the other picture may have no counterpart for them
STEPS = 5
LARGEST_SHIFT, LARGEST_STRETCH = 5, 0.2  # pixels, and a share of the side
FINE, COARSE = 0.7, 4.0  # pixels: details are what lies between; light and shadow that vary slowly say little
DAMPING = 0.02  # of Levenberg and Marquardt: where an image has no edges in one direction, nothing moves


def best_shift(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whole pixels down and to the right, int [m, 2], at which details of `second` correlate best with `first`.

    Args:
        first, second: float32 [m, s, s].
    """
    middle, windows = _middle(_details(first)), _windows(_details(second))
    shifts = [(down, right) for down in range(-SHIFT, SHIFT + 1) for right in range(-SHIFT, SHIFT + 1)]
    scores = []
    for down, right in shifts:
        window = windows[:, SHIFT + down, SHIFT + right]
        energy = np.einsum("nhw,nhw->n", window, window)
        scores.append(np.einsum("nhw,nhw->n", middle, window) / np.sqrt(np.maximum(energy, 1e-6)))
    return np.array(shifts)[np.argmax(scores, axis=0)]


def shifted(first: np.ndarray, second: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The middle of `first`, and the part of `second` that is `shift` away: two float32 [m, s - 4, s - 4]."""
    down, right = shift.T + SHIFT
    return _middle(first), _windows(second)[np.arange(len(second)), down, right]


def aligned(first: np.ndarray, second: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `shifted`, from there on in fractions of pixels, with each side of `second` stretched or shrunk to fit.

    Gauss-Newton steps on the squared difference of details: Lucas and Kanade 1981, in the form that Baker and
    Matthews 2004 (doi:10.1023/B:VISI.0000011205.11775.fd) call forwards additive.
    """
    details = [_details(each) for each in (first, second)]
    fixed = _middle(details[0])
    # For each pair: shift down and to the right in pixels, stretch of height and width as a share.
    motion = np.zeros((len(first), 4), np.float32)
    motion[:, :2] = shift
    limits = np.array([LARGEST_SHIFT, LARGEST_SHIFT, LARGEST_STRETCH, LARGEST_STRETCH], np.float32)
    places = _places(first.shape[1])
    for _ in range(STEPS):
        moved = _moved(details[1], motion)
        down, right = np.gradient(moved, axis=(1, 2))
        slopes = np.stack([down, right, down * places[:, None], right * places], axis=-1).reshape(len(first), -1, 4)
        errors = (fixed - moved).reshape(len(first), -1)
        square = np.einsum("nki,nkj->nij", slopes, slopes)
        square[:, range(4), range(4)] += DAMPING * square[:, range(4), range(4)] + 1e-3
        step = np.linalg.solve(square, np.einsum("nki,nk->ni", slopes, errors)[..., None])[..., 0]
        motion = np.clip(motion + step.astype(np.float32), -limits, limits)
    return _middle(first), _moved(second, motion)


def _details(images: np.ndarray) -> np.ndarray:
    """What lies between FINE and COARSE, with standard deviation 1 (0 for an image without any)."""
    details = gaussian_filter(images, (0, FINE, FINE)) - gaussian_filter(images, (0, COARSE, COARSE))
    return details / np.maximum(details.std((1, 2), keepdims=True), 1e-3)


def _middle(images: np.ndarray) -> np.ndarray:
    return images[:, MARGIN:-MARGIN, MARGIN:-MARGIN]


def _windows(images: np.ndarray) -> np.ndarray:
    """Views [m, 2 * SHIFT + 1, 2 * SHIFT + 1, s - 4, s - 4]: the middle at each shift."""
    inner = images.shape[1] - 2 * MARGIN
    return np.lib.stride_tricks.sliding_window_view(images, (inner, inner), axis=(1, 2))


def _places(size: int) -> np.ndarray:
    """Of the middle's pixels, in pixels from the centre."""
    return (np.arange(MARGIN, size - MARGIN) - (size - 1) / 2).astype(np.float32)


def _moved(images: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """The middle of `images` seen through `motion`, float32 [m, s - 4, s - 4], bilinear; the border repeats."""
    places, centre = _places(images.shape[1]), (images.shape[1] - 1) / 2
    rows, columns = (centre + (1 + motion[:, 2 + i, None]) * places + motion[:, i, None] for i in (0, 1))
    shape = (len(images), len(places), len(places))
    numbers = np.arange(len(images), dtype=np.float32)[:, None, None]
    where = np.stack(np.broadcast_arrays(numbers, rows[:, :, None], columns[:, None, :]))
    return map_coordinates(images, where, order=1, mode="nearest").reshape(shape)
