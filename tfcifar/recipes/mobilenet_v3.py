"""MobileNetV3-Small as a student, from scratch: a network that every runtime knows.

    python -m tfcifar.train --recipe mobilenet_v3
    python -m export.compress runs/mobilenet_v3-cpu-seed0

Its figures are not on record yet. Other teachers: --teacher RUN_OR_ENSEMBLE...

Images are upscaled to 64 pixels at first and to 96 in the last two fifths of the epochs: at their own size, its five
strides would leave one position of them.
"""

from tfcifar.recipe import Model, Optimizer, Recipe, Schedule, SmallImages
from tfcifar.recipes import level_5


def get_recipe() -> Recipe:
    return level_5.get_recipe().replace(
        name="mobilenet_v3",
        model=Model("mobilenet_v3_small", image_size=96, dropout=0.1),
        small_images=SmallImages(epochs=48, image_size=64),
        optimizer=Optimizer("adamw", learning_rate=3e-3, weight_decay=0.05, clip_norm=5.0, ema_decay=0.998),
        schedule=Schedule("cosine", warmup_epochs=5),
        epochs=80,
        batch_size=250,
    )
