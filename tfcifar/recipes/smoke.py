"""Seconds, on generated images: walks everything that a real run walks.

python -m tfcifar.train --recipe smoke
"""

from pipelines.augment_config import Augment
from tfcifar.recipe import Data, Model, Optimizer, Recipe, Schedule


def get_recipe() -> Recipe:
    return Recipe(
        name="smoke",
        data=Data("synthetic"),
        model=Model("small_cnn", dropout=0.1, widths=(8, 16)),
        augment=Augment(flip="random", crop_padding=2, label_smoothing=0.1),
        optimizer=Optimizer("sgd", learning_rate=0.1, weight_decay=5e-4, ema_decay=0.9),
        schedule=Schedule("cosine", warmup_epochs=0.5),
        epochs=2,
        batch_size=100,
    )
