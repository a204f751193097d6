"""What several test files of this folder train on."""

import numpy as np
import pytest

from pipelines.sources import Examples, Source
from pipelines.splits import Splits, make_splits


@pytest.fixture(scope="session")
def splits() -> Splits:
    """60 images of 8 px in three classes, each brighter in the colour of its class than elsewhere."""
    random = np.random.RandomState(0)
    labels = np.arange(60, dtype=np.int64) % 3
    images = random.randint(0, 100, (60, 8, 8, 3)).astype(np.uint8)
    images[np.arange(60), :, :, labels] += 100
    return make_splits(Source("colours", ("red", "green", "blue"), (8, 8, 3), Examples(images, labels), None, None))
