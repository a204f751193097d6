"""Exact nearest neighbours by blocked matrix products."""

import numpy as np
from tqdm import tqdm

BLOCK = 500  # queries at a time: with 50,000 keys their similarities take 100 MB


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Each of the vectors [n, d] divided by its length, float32; one of zeros stays as it is."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros(vectors.shape, np.float32), where=length > 0)


def nearest(
    queries: np.ndarray, keys: np.ndarray, count: int, same: bool = False, what: str = "of vectors"
) -> np.ndarray:
    """The `count` keys most similar to each query, in no particular order.

    Args:
        queries, keys: float32 [q, d] and [n, d] of unit length; similar means a large product, that is a small
            Euclidean distance.
        count: fewer where there are no more keys.
        same: queries and keys are the same vectors; none is its own neighbour.
        what: names the search in the progress bar.

    Returns:
        Indices of keys, int64 [q, min(count, n or n - 1)].
    """
    count = min(count, len(keys) - same)
    found = np.empty((len(queries), count), np.int64)
    if count == 0:
        return found
    for start in tqdm(range(0, len(queries), BLOCK), desc=f"neighbours {what}", unit="block", disable=None):
        similarity = queries[start : start + BLOCK] @ keys.T
        if same:
            rows = np.arange(len(similarity))
            similarity[rows, start + rows] = -np.inf
        last = len(keys) - count
        found[start : start + BLOCK] = np.argpartition(similarity, last, axis=1)[:, last:]
    return found
