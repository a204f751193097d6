"""Random numbers for corruptions: a stream for each image, which its id alone decides."""

import zlib

import numpy as np


class Draws:
    """One stream of random numbers for each image of a batch.

    RandomState, because NumPy promises that its streams never change; those of Generator may.

    Args:
        corruption, severity, seed: another one of any of them gives other numbers.
        ids: int [n], which example of its data set each image is; at least 0.
    """

    def __init__(self, corruption: str, severity: int, seed: int, ids: np.ndarray):
        key = (seed, zlib.crc32(corruption.encode()), severity)
        self._streams = [np.random.RandomState([*key, int(each)]) for each in ids]

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        """Uniform in [low, high), float32 [n, *shape]."""
        return np.stack([stream.uniform(low, high, shape).astype(np.float32) for stream in self._streams])

    def normal(self, mean: float, std: float, *shape: int) -> np.ndarray:
        """Normally distributed, float32 [n, *shape]."""
        return np.stack([stream.normal(mean, std, shape).astype(np.float32) for stream in self._streams])

    def integers(self, low: int, high: int, *shape: int) -> np.ndarray:
        """Whole numbers from `low` to `high` - 1, int64 [n, *shape]."""
        return np.stack([stream.randint(low, high, shape) for stream in self._streams])

    def poisson(self, rates: np.ndarray) -> np.ndarray:
        """Poisson distributed around `rates` [n, ...], float32 of the same shape."""
        return np.stack(
            [stream.poisson(each).astype(np.float32) for stream, each in zip(self._streams, rates, strict=True)]
        )
