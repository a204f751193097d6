"""A student at the cost of MLPerf Tiny's image classification (IC01): at most 98,496 bytes in INT8 and 12.5M MACs.

    python -m tfcifar.train --recipe ic01
    python -m export.compress runs/ic01-cpu-seed0

Taught by a run of level 2 (95.83%) and one of level 3 (95.40%), its test accuracy is 91.67% (n=1) after 141 min on two
cores; in INT8 it is 91.64% in 97,584 bytes, which is zoo/ic01. Other teachers: --teacher RUN_OR_ENSEMBLE...

Bytes are what it lacks, and separable convolutions make the most of them. After thirty epochs, without activations
between the two of a pair, they had a validation accuracy of 0.897 and a training loss of 0.371; `fast_cnn` of as many
bytes had 0.893 and 0.399, and 0.901 after 200 epochs. After fifteen epochs the training loss was 0.461 without
normalization between the two, 0.437 with it; an activation too took 0.014 off after six (n=1 each).
"""

import dataclasses

from tfcifar.recipe import Data, Model, Optimizer, Recipe, SmallImages
from tfcifar.recipes import level_5


def get_recipe() -> Recipe:
    student = level_5.get_recipe()
    return student.replace(
        name="ic01",
        data=Data(validation_fraction=0.02),
        model=Model("separable_cnn"),
        distill=dataclasses.replace(student.distill, jitter=2),
        optimizer=Optimizer("muon", learning_rate=0.17, momentum=0.6, weight_decay=0.0083, adam_ratio=0.02),
        small_images=SmallImages(epochs=72, image_size=24),
        epochs=180,
    )
