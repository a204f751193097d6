"""What the tests of several devices train: small recipes that together use all parts of a training step."""

import numpy as np

from pipelines.augment_config import Augment
from pipelines.sources import Examples, Source
from pipelines.splits import Splits, make_splits
from tfcifar.recipe import Model, MultiTask, Optimizer, Recipe, Schedule, SmallImages

# Whatever an image draws, and whom it is mixed with, must not depend on how many devices share the batch.
AUGMENT = Augment(flip="alternating", crop_padding=2, cutout_size=4, mixup_alpha=0.4, label_smoothing=0.1)


def recipe(name: str, model: Model, **changes) -> Recipe:
    tiny = Recipe(name, model, epochs=2, batch_size=16, augment=AUGMENT, mixed_precision="float32")
    return tiny.replace(**changes)


RECIPES = {
    # Whitened patches, small images first, Muon with weight decay, an average over steps.
    "muon": recipe(
        "muon",
        Model("fast_cnn", widths=(4, 4, 4)),
        small_images=SmallImages(1, image_size=16),
        schedule=Schedule("linear"),
        optimizer=Optimizer("muon", learning_rate=0.05, momentum=0.6, weight_decay=0.01, ema_decay=0.9),
    ),
    # A clipped gradient, decoupled weight decay, a second head, a dense layer that is normalized, SWA.
    "clipped": recipe(
        "clipped",
        Model("residual_cnn", widths=(4, 4, 4, 4)),
        optimizer=Optimizer("sgd", learning_rate=0.05, weight_decay=0.01, clip_norm=0.5, swa_epochs=2),
        schedule=Schedule("constant"),
        multi_task=MultiTask(("warm: red", "cold: green blue")),
    ),
}


def make_test_splits() -> Splits:
    """70 images of 20 px in three classes, each brighter in the colour of its class: 63 to train on, 7 to validate."""
    random = np.random.RandomState(0)
    labels = np.arange(70, dtype=np.int64) % 3
    images = random.randint(0, 100, (70, 20, 20, 3)).astype(np.uint8)
    images[np.arange(70), :, :, labels] += 100
    return make_splits(Source("colours", ("red", "green", "blue"), (20, 20, 3), Examples(images, labels), None, None))
