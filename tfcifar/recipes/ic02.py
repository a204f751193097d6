"""A student at the cost of MLPerf Tiny's larger one (IC02): at most 512,024 bytes in INT8 and 76.5M MACs.

    python -m tfcifar.train --recipe ic02
    python -m export.compress runs/ic02-cpu-seed0

Its figures are not on record yet. Other teachers: --teacher RUN_OR_ENSEMBLE...

Wide where maps are large, for its size: the limit on parameters is met long before that on MACs. Its images, and what
the teachers say of them, are those of ic01.
"""

from tfcifar.recipe import Model, Recipe
from tfcifar.recipes import ic01


def get_recipe() -> Recipe:
    return ic01.get_recipe().replace(name="ic02", model=Model("fast_cnn_deep", widths=(64, 88, 84)), epochs=120)
