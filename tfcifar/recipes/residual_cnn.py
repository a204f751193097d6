"""The residual network of level 3 with one-cycle SGD.

    python -m tfcifar.train --recipe residual_cnn

Its accuracy is not on record yet: at about 400 images/s on 2 cores (AMD EPYC, Zen 5) it takes some 42 minutes.
"""

from pipelines.augment_config import Augment
from tfcifar.recipe import Model, Optimizer, Recipe, Schedule


def get_recipe() -> Recipe:
    return Recipe(
        name="residual_cnn",
        model=Model("residual_cnn", dropout=0.1),
        augment=Augment(flip="alternating", crop_padding=4, cutout_size=8, label_smoothing=0.1),
        optimizer=Optimizer("sgd", learning_rate=0.1, momentum=0.9, weight_decay=5e-3),
        schedule=Schedule("one_cycle", warmup_epochs=4),
        epochs=22,
        batch_size=250,
    )
