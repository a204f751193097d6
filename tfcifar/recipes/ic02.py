"""A student at the cost of MLPerf Tiny's larger one (IC02): at most 512,024 bytes in INT8 and 76.5M MACs.

    python -m tfcifar.train --recipe ic02
    python -m export.compress runs/ic02-cpu-seed0

Taught by a run of level 2 (95.83%) and one of level 3 that holds the validation images out (95.40%), its test accuracy
is 94.24% (n=1), after 190 min on one core; in INT8, after four epochs of export.quantize, 94.19% in 490,736 bytes,
which is zoo/ic02. Other teachers: --teacher RUN_OR_ENSEMBLE...

Its size is limited more than its MACs: pooling comes late. After twenty epochs its validation accuracy was 0.938, that
of `fast_cnn_deep` with as many parameters and four fifths of the MACs 0.930 (n=1).
"""

from tfcifar.recipe import Data, Model, Recipe, SmallImages
from tfcifar.recipes import level_5


def get_recipe() -> Recipe:
    return level_5.get_recipe().replace(
        name="ic02",
        data=Data(validation_fraction=0.02),
        model=Model("fast_cnn_late", widths=(64, 88, 84)),
        small_images=SmallImages(epochs=45, image_size=24),
        epochs=150,
    )
