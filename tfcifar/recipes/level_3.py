"""Level 3: an own architecture from scratch: the deep fast network, residual, with CutMix.

    python -m tfcifar.train --level 3 --preset cpu --resume

Test accuracy 0.9582 (95% interval of one run 0.9541 to 0.9619, n=1), 4.8 PFLOP, 118 min on 2 cores (AMD EPYC, Zen 5)
with other jobs beside it, 2026-11. It is fast_96 without test-time views. With the validation split held out, for
comparisons, calibration and ensembles:

    python -m tfcifar.train --level 3 --preset cpu --set data.train_on_validation=false --set epochs=60 \\
        --set small_images.epochs=20

Validation accuracy 0.9592, test accuracy 0.9515 (95% interval 0.9471 to 0.9555, n=1), 6.1 PFLOP, 194 min on 2 cores
(AMD EPYC, Zen 5) with other jobs beside it, 2026-11: longer training does not make up for a tenth of the images.
"""

import dataclasses

from tfcifar.models import MODELS
from tfcifar.recipe import Data, Model, MultiTask, Recipe, SmallImages
from tfcifar.recipes import fast_96, residual_cnn

GROUPS = ("animal: bird cat deer dog frog horse", "vehicle: airplane automobile ship truck")


def get_recipe() -> Recipe:
    return fast_96.get_recipe().replace(name="level_3", tta="none")


def demo(recipe: Recipe) -> Recipe:
    """The fast network, narrow and in four epochs."""
    return recipe.replace(
        data=Data(fallback="synthetic"),
        model=Model("fast_cnn", widths=(32, 64, 64)),
        augment=dataclasses.replace(recipe.augment, cutmix_alpha=0.0),
        small_images=SmallImages(),
        epochs=4,
        batch_size=500,
    )


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
