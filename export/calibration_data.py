"""Representative images for INT8: which values activations take. Of the training split alone."""

import numpy as np

from pipelines.errors import InputError
from pipelines.splits import Splits

COUNT = 500


def representative_images(splits: Splits, count: int | None = None, seed: int = 0) -> np.ndarray:
    """uint8 [count, h, w, 3], drawn from the training split, the same for the same seed.

    count: None for COUNT, or all where there are fewer.

    Raises:
        InputError: the split has fewer.
    """
    images = splits.train.images
    if count is None:
        count = min(COUNT, len(images))
    if not 1 <= count <= len(images):
        raise InputError(
            f"representative images: expected 1 to {len(images):,} (the training split), received {count}."
        )
    chosen = np.random.RandomState(seed).permutation(len(images))[:count]
    return images[chosen]
