"""A student at the cost of MLPerf Tiny's image classification (IC01): at most 98,496 bytes in INT8 and 12.5M MACs.

    python -m tfcifar.train --recipe ic01
    python -m export.compress runs/ic01-cpu-seed0

Its figures are not on record yet. Other teachers: --teacher RUN_OR_ENSEMBLE...

Without teachers and after twelve epochs the fast network had a validation accuracy of 0.8828 (n=1), its deeper sibling
of equal size 0.8808. Whether images should be mixed for a network of this size is open: after thirty epochs it had
0.8932 with them and 0.8896 with whole ones alone, after 200 and 160 epochs 0.9010 and 0.9024 (n=1; the teacher of the
runs on whole images was level 2 alone).
"""

from tfcifar.recipe import Model, Recipe, SmallImages
from tfcifar.recipes import level_5


def get_recipe() -> Recipe:
    return level_5.get_recipe().replace(
        name="ic01",
        model=Model("fast_cnn", widths=(24, 48, 46)),
        small_images=SmallImages(epochs=60, image_size=24),
        epochs=200,
    )
