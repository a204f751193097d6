"""Images that show the same photograph, whatever was done to its brightness, contrast, tint, frame or compression.

After Barz and Denzler 2020, "Do we train on test data? Purging CIFAR of near-duplicates" (arXiv:1902.00423), who look
for the nearest neighbours in the features of a network and judge the pairs by eye. Here pixels judge them.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from tqdm import tqdm

from pipelines.disk_images import Images
from tfcifar.data_quality.alignment import aligned, best_shift, shifted
from tfcifar.data_quality.nearest import nearest, unit_length

SIZE = 32  # pixels a side at which images are compared, whatever they have; all constants below are for it
# Of the pairs between CIFAR-10's test and training images, the next three together lose one in fifty, at half the time.
NEIGHBOURS = 10  # candidates for each image by each of the two descriptions
LEAST_COARSE = 0.6  # correlation of 8x8 pixels below which a candidate is given up
PROMISING = 0.45  # similarity after a shift of whole pixels below which two images are not aligned any further
BLUR = 0.7  # pixels; JPEG's and resampling's differences lie below it
WINDOW = 2.5  # pixels, standard deviation of the window in which structures are compared
STABILIZER = 0.03  # of the images' own variance: what varies less is hardly structure
NOISE = 0.3  # grey levels squared: variance of less is rounding
CHUNK = 1000  # pairs at a time


@dataclass(frozen=True)
class Described:
    """What images are compared by.

    features: float32 [n, d], unit length: of a trained network.
    coarse: float32 [n, 192], unit length: 8x8 pixels without the mean of each channel.
    grey: float32 [n, SIZE, SIZE], 0..255, slightly blurred.
    """

    features: np.ndarray
    coarse: np.ndarray
    grey: np.ndarray


@dataclass(frozen=True)
class Pairs:
    """first, second: int64 [m], indices of images; similarity: float32 [m], up to 1, the most similar pair first."""

    first: np.ndarray
    second: np.ndarray
    similarity: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def describe(images: Images, features: np.ndarray) -> Described:
    """Prepare images (uint8 [n, h, w, 3]) with their features (float [n, d]) for `find_pairs`."""
    coarse = np.empty((len(images), 8, 8, 3), np.float32)
    grey = np.empty((len(images), SIZE, SIZE), np.float32)
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        small = _resized(images[part])
        coarse[part] = small.reshape(-1, 8, SIZE // 8, 8, SIZE // 8, 3).mean((2, 4))
        grey[part] = gaussian_filter(small.mean(-1), (0, BLUR, BLUR))
    coarse -= coarse.mean((1, 2), keepdims=True)
    return Described(unit_length(features), unit_length(coarse.reshape(len(coarse), -1)), grey)


def find_pairs(images: Described, others: Described | None, threshold: float, what: str = "of images") -> Pairs:
    """Near-duplicates among `images`, or of `images` among `others`.

    Candidates are the nearest neighbours by the network's features and by coarse pixels: each finds pairs that the
    other misses. A network that has learned two labels for one photograph keeps the two apart, and these are the
    pairs that matter most. `similarity_of` decides.

    Args:
        others: None: each pair within `images` once, its smaller index first.
        threshold: -1..1, the least similarity.
        what: names the search in progress bars.
    """
    within = others is None
    if others is None:
        others = images
    candidates = []
    for name in ("features", "coarse"):
        queries, keys = getattr(images, name), getattr(others, name)
        found = nearest(queries, keys, NEIGHBOURS, within, f"{what} by {name}")
        candidates.append((np.repeat(np.arange(len(found)), found.shape[1]), found.ravel()))
    first, second = (np.concatenate(each) for each in zip(*candidates, strict=True))
    if within:
        first, second = np.minimum(first, second), np.maximum(first, second)
    first, second = np.divmod(np.unique(first * len(others.grey) + second), len(others.grey))
    chunks = [slice(start, start + CHUNK) for start in range(0, len(first), CHUNK)]
    alike = [np.einsum("nd,nd->n", images.coarse[first[c]], others.coarse[second[c]]) for c in chunks]
    near = np.concatenate([*alike, np.empty(0)]) >= LEAST_COARSE
    first, second = first[near], second[near]
    similarity = np.zeros(len(first), np.float32)
    for start in tqdm(range(0, len(first), CHUNK), desc=f"pixels {what}", unit=f"{CHUNK} pairs", disable=None):
        part = slice(start, start + CHUNK)
        similarity[part] = similarity_of(images.grey[first[part]], others.grey[second[part]])
    order = np.argsort(-similarity, kind="stable")
    order = order[similarity[order] >= threshold]
    return Pairs(first[order], second[order], similarity[order])


def similarity_of(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How well the structures of two images agree once they are in line, float32 [m]: 0.9 to 1 if they are the same.

    Args:
        first, second: float32 [m, SIZE, SIZE], grey levels 0..255.
    """
    shift = best_shift(first, second)
    similarity = structural_similarity(*shifted(first, second, shift))
    near = similarity >= PROMISING
    if near.any():
        in_line = structural_similarity(*aligned(first[near], second[near], shift[near]))
        similarity[near] = np.maximum(similarity[near], in_line)
    return similarity


def structural_similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How well the structures of two images agree where there are any.

    The structure term of SSIM (Wang et al. 2004, doi:10.1109/TIP.2003.819861), which is the correlation of pixels in
    a window and so knows no brightness and contrast. It is averaged by contrast, and its stabilizer stands in the
    denominator alone, so that two images do not become alike by their skies; it follows the images' own contrast, so
    that fog is judged like sunshine. An image with itself has 0.9 to 1, one without any structure has 0.

    Args:
        first, second: float32 [m, h, w], grey levels 0..255.

    Returns:
        float32 [m], -1..1.
    """
    mean_1, mean_2 = _windowed(first), _windowed(second)
    variance_1 = np.maximum(_windowed(first * first) - mean_1**2, 0)
    variance_2 = np.maximum(_windowed(second * second) - mean_2**2, 0)
    covariance = _windowed(first * second) - mean_1 * mean_2
    usual = np.sqrt(variance_1.mean((1, 2), keepdims=True) * variance_2.mean((1, 2), keepdims=True))
    structure = covariance / (np.sqrt(variance_1 * variance_2) + STABILIZER * usual + NOISE)
    contrast = np.sqrt(np.maximum(variance_1, variance_2))
    total = contrast.sum((1, 2))
    return np.divide((structure * contrast).sum((1, 2)), total, out=np.zeros_like(total), where=total > 0)


def _windowed(maps: np.ndarray) -> np.ndarray:
    return gaussian_filter(maps, (0, WINDOW, WINDOW), truncate=2)


def _resized(images: np.ndarray) -> np.ndarray:
    """uint8 [n, h, w, 3] -> float32 [n, SIZE, SIZE, 3], 0..255."""
    if images.shape[1:3] == (SIZE, SIZE):
        return images.astype(np.float32)
    import tensorflow as tf

    return tf.image.resize(images, (SIZE, SIZE), antialias=True).numpy()
