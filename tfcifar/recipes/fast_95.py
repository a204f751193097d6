"""The fast network, wider, in fifteen epochs from scratch.

    python -m tfcifar.train --recipe fast_95 --seed 0 1 2

Trained on train + validation, with everything fixed before.
"""

from tfcifar.recipe import Model, Recipe
from tfcifar.recipes import fast_94


def get_recipe() -> Recipe:
    return fast_94.get_recipe().replace(name="fast_95", model=Model("fast_cnn_wide"), epochs=15)
