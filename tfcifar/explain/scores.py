"""Numbers for maps: deletion and insertion, and whether a map depends on what the network has learned."""

import keras
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from tfcifar.explain.saliency import probabilities

STEPS = 32  # shares of the pixels at which the probability is measured


def deletion_insertion(
    model: keras.Model, images: np.ndarray, classes: np.ndarray, maps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The area under the class's probability as the most important pixels go first (deletion) or come first.

    A good map has a low deletion and a high insertion score. Deleted pixels take the mean colour of their image;
    insertion starts from the blurred image. Petsiuk et al. 2018, "RISE" (arXiv:1806.07421).

    Args:
        images: [n, h, w, 3], 0..255.
        classes: int [n].
        maps: float [n, h, w], larger is more important.

    Returns:
        deletion and insertion, float32 [n] each, 0..1.
    """
    count, height, width, _ = images.shape
    order = np.argsort(-maps.reshape(count, -1), axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(height * width)[None], axis=1)
    rank = rank.reshape(count, height, width, 1)
    whole = images.astype(np.float32)
    grey = np.broadcast_to(whole.mean((1, 2), keepdims=True), whole.shape)
    blurred = gaussian_filter(whole, sigma=(0, height / 8, width / 8, 0))
    deletion, insertion = [], []
    for step in range(STEPS + 1):
        important = rank < round(step / STEPS * height * width)
        deletion.append(probabilities(model, np.where(important, grey, whole), classes))
        insertion.append(probabilities(model, np.where(important, whole, blurred), classes))
    return tuple(np.trapezoid(np.stack(curve, 1), dx=1 / STEPS, axis=1) for curve in (deletion, insertion))


def rank_correlation(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Spearman's correlation of two sets of maps [n, h, w], image by image; nan where a map is constant."""
    return np.array(
        [
            spearmanr(one.ravel(), other.ravel()).statistic if np.ptp(one) and np.ptp(other) else np.nan
            for one, other in zip(maps, others, strict=True)
        ]
    )


def with_random_weights(model: keras.Model, seed: int = 0) -> keras.Model:
    """The same network, its kernels' values shuffled: a map that stays the same explains no learning.

    Adebayo et al. 2018, "Sanity Checks for Saliency Maps" (arXiv:1810.03292), with the values of each kernel permuted
    in place of a new initialization, so that the scale of the activations stays.
    """
    rng = np.random.default_rng(seed)
    randomized = keras.models.clone_model(model)
    values = [value if value.ndim < 2 else rng.permuted(value.ravel()).reshape(value.shape)
              for value in model.get_weights()]  # fmt: skip
    randomized.set_weights(values)
    return randomized
