"""A student at the cost of MLPerf Tiny's larger one (IC02): at most 512,024 bytes in INT8 and 76.5M MACs.

    python -m tfcifar.train --recipe ic02
    python -m export.compress runs/ic02-cpu-seed0

Its figures are not on record yet. Other teachers: --teacher RUN_OR_ENSEMBLE...

Wide where maps are large, for its size: the limit on parameters is met long before that on MACs.
"""

from tfcifar.recipe import Model, Recipe, SmallImages
from tfcifar.recipes import level_5


def get_recipe() -> Recipe:
    return level_5.get_recipe().replace(
        name="ic02",
        model=Model("fast_cnn_late", widths=(64, 88, 84)),
        small_images=SmallImages(epochs=45, image_size=24),
        epochs=150,
    )
