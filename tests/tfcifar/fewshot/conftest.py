"""Classes that a glance tells apart, and an untrained network."""

import keras
import numpy as np
import pytest

from pipelines.sources import Examples, Source
from tfcifar.fewshot.class_split import ClassPart
from tfcifar.models.conv4 import conv4

SIZE = 16


def colours(num_classes: int, each: int, seed: int = 0) -> Examples:
    """Noise around a colour of the class."""
    random = np.random.RandomState(seed)
    labels = np.arange(num_classes * each, dtype=np.int64) % num_classes
    tints = np.random.RandomState(7).randint(40, 200, (num_classes, 3))
    images = tints[labels][:, None, None] + random.randint(-40, 41, (len(labels), SIZE, SIZE, 3))
    return Examples(images.clip(0, 255).astype(np.uint8), labels)


@pytest.fixture(scope="session")
def source() -> Source:
    names = tuple(f"colour{index}" for index in range(8))
    return Source("colours", names, (SIZE, SIZE, 3), colours(8, 24), None, lambda: pytest.fail("test split opened"))


@pytest.fixture(scope="session")
def part() -> ClassPart:
    return ClassPart(("a", "b", "c", "d"), colours(4, 12))


@pytest.fixture(scope="session")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return conv4((SIZE, SIZE, 3), 4, (0.5,) * 3, (0.25,) * 3, widths=(8,))
