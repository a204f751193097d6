"""What several test files of this folder train on."""

import numpy as np
import pytest

from pipelines.sources import Examples, Source
from pipelines.splits import Splits, make_splits
from tfcifar.models import MODELS, Entry


@pytest.fixture(scope="session")
def splits() -> Splits:
    """60 images of 8 px in three classes, each brighter in the colour of its class than elsewhere."""
    random = np.random.RandomState(0)
    labels = np.arange(60, dtype=np.int64) % 3
    images = random.randint(0, 100, (60, 8, 8, 3)).astype(np.uint8)
    images[np.arange(60), :, :, labels] += 100
    return make_splits(Source("colours", ("red", "green", "blue"), (8, 8, 3), Examples(images, labels), None, None))


@pytest.fixture(scope="module")
def tiny_backbone():
    entry = Entry("tests.tfcifar.tiny_training:tiny_transfer", "a backbone of four layers", pretrained=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "tiny_transfer", entry)
        yield
