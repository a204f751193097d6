"""Level 5: a student of two million parameters, for INT8, taught by the ensemble of level 4.

    python -m tfcifar.ensemble RUN_DIR... --output runs/ensemble      # of runs that hold their validation images out
    python -m tfcifar.train --level 5 --preset cpu --resume
    python -m export.compress runs/level_5-cpu-seed0

The ensemble is made without --views: one with views is refused as a teacher. Other teachers: --teacher
RUN_OR_ENSEMBLE... Taught by a run of level 2 (95.83%) and one of level 3 that holds the validation images out (95.40%),
its test accuracy is 95.26% (n=1: results/level_5), after 100 min on two cores; in INT8 it is 95.03% quantized after
training and 95.13% fine-tuned for it (export.quantize), which is zoo/student.

The student is the network of level 3 with a fifth of its parameters, in more epochs and with the validation images
held out. Each image has eight augmented versions, on which the teachers are asked once; the epochs see each
fifteen times.
"""

import dataclasses

from tfcifar.recipe import Data, Distill, Model, Recipe, SmallImages
from tfcifar.recipes import level_2, level_3


def get_recipe() -> Recipe:
    return level_3.get_recipe().replace(
        name="level_5",
        data=Data(),
        model=Model("fast_cnn_deep", widths=(96, 176, 208)),
        distill=Distill(("runs/ensemble",), temperature=2.0, weight=0.9, views=8),
        small_images=SmallImages(epochs=36, image_size=24),
        epochs=120,
    )


def demo(recipe: Recipe) -> Recipe:
    """A narrow student of what `make demo` leaves, in eight epochs."""
    return recipe.replace(
        data=Data(fallback="synthetic"),
        model=Model("small_cnn", widths=(16, 32, 64)),
        distill=dataclasses.replace(recipe.distill, teachers=("runs/demo",), views=2),
        optimizer=level_2.demo(level_2.get_recipe()).optimizer,
        small_images=SmallImages(),
        epochs=8,
        batch_size=128,
    )
