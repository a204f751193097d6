"""The fast network, in eight epochs from scratch.

python -m tfcifar.train --recipe fast_94 --seed 0 1 2 3 4
"""

from pipelines.augment_config import Augment
from tfcifar.recipe import Data, Model, Optimizer, Recipe, Schedule


def get_recipe() -> Recipe:
    return Recipe(
        name="fast_94",
        data=Data(train_on_validation=True),
        model=Model("fast_cnn"),
        augment=Augment(flip="alternating", crop_padding=2, label_smoothing=0.2),
        optimizer=Optimizer("muon", learning_rate=0.24, momentum=0.6, weight_decay=0.0167),
        schedule=Schedule("linear"),
        epochs=8,
        batch_size=2000,
        tta="flip_translate",
    )
