"""The residual network with the classic three-stage schedule: 3e-4, 1e-4, 5e-5 over 20 + 10 + 5 epochs.

    python -m tfcifar.train --recipe residual_three_stage

Its accuracy on CIFAR-10 is not on record yet: at about 400 images/s on 2 cores (AMD EPYC, Zen 5) it would take over
an hour.
"""

from pipelines.augment_config import Augment
from tfcifar.recipe import Model, Optimizer, Recipe, Schedule


def get_recipe() -> Recipe:
    return Recipe(
        name="residual_three_stage",
        model=Model("residual_cnn", dropout=0.3),
        augment=Augment(flip="random", rotation_degrees=15, shift_fraction=0.1),
        optimizer=Optimizer("adam", learning_rate=3e-4),
        schedule=Schedule("stages", stage_learning_rates=(3e-4, 1e-4, 5e-5), stage_epochs=(20, 10, 5)),
        epochs=35,
        batch_size=128,
    )
