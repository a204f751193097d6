"""MobileNetV3-Small as a student, from scratch: a network that every runtime knows.

    python -m tfcifar.train --recipe mobilenet_v3
    python -m export.compress runs/mobilenet_v3-cpu-seed0

Taught by a run of level 2 (95.83%) and one of level 3 (95.40%), its test accuracy is 93.25% (n=1) after 185 min on two
cores, and in INT8 92.49%, which is zoo/mobilenet_v3. Training takes 11 GB of memory. Other teachers: --teacher
RUN_OR_ENSEMBLE...

Images are upscaled to 64 pixels at first and to 128 in the last three tenths of the epochs: at their own size, its
five strides would leave one position of them. 80 epochs without `jitter`, with dropout and 45,000 images had a test
accuracy of 0.923.

After ten epochs at 64 pixels its validation accuracy was 0.817 with Muon (0.812 at twice the rate), batches of 1000
and levels 2 and 3 as teachers; 0.780 with AdamW, batches of 250 and level 3 alone (n=1 each). The latter for 80 epochs,
32 of them at 96 pixels, ended at 0.903.
"""

import dataclasses

from tfcifar.recipe import Data, Model, Optimizer, Recipe, SmallImages
from tfcifar.recipes import level_5


def get_recipe() -> Recipe:
    student = level_5.get_recipe()
    return student.replace(
        name="mobilenet_v3",
        data=Data(validation_fraction=0.02),
        model=Model("mobilenet_v3_small", image_size=128),
        distill=dataclasses.replace(student.distill, jitter=2),
        small_images=SmallImages(epochs=70, image_size=64),
        optimizer=Optimizer("muon", learning_rate=0.1, momentum=0.6, adam_ratio=0.03),
        epochs=100,
    )
