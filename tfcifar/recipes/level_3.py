"""Level 3: an own architecture from scratch. The deep fast network, residual, with CutMix, on 45,000 images.

    python -m tfcifar.train --level 3 --preset cpu --resume

Its figures are not on record yet.

Network, rates and augmentation are those of fast_96, with more epochs in place of its 5,000 images: the validation
split stays out of training, for the comparisons, calibration and ensembles that build on this level.
"""

import dataclasses

from tfcifar.models import MODELS
from tfcifar.recipe import Data, Model, MultiTask, Recipe, SmallImages
from tfcifar.recipes import fast_96, residual_cnn

GROUPS = ("animal: bird cat deer dog frog horse", "vehicle: airplane automobile ship truck")


def get_recipe() -> Recipe:
    return fast_96.get_recipe().replace(
        name="level_3",
        data=Data(),
        small_images=SmallImages(epochs=20, image_size=24),
        epochs=60,
        tta="none",
    )


def cpu(recipe: Recipe) -> Recipe:
    """The recipe as it stands."""
    return recipe


def ablation() -> dict[str, Recipe]:
    """The residual network alone, with each kind of attention and with a second head: half as wide, eight epochs."""
    plain = residual_cnn.get_recipe().replace(
        name="ablation", model=Model("residual_cnn", dropout=0.1, widths=(32, 64, 128, 256)), epochs=8
    )
    attended = dataclasses.replace(plain.model, name="attention_cnn")
    return {
        "residual": plain,
        **{
            f"+ {kind}": plain.replace(model=dataclasses.replace(attended, attention=kind))
            for kind in MODELS["attention_cnn"].attention
        },
        "+ animal or vehicle": plain.replace(multi_task=MultiTask(GROUPS)),
    }
