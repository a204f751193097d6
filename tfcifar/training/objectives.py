"""What a run minimizes and reports: arguments of `compile`, for training and for validation."""

import keras

from tfcifar.models.multi_task import CLASSES, GROUPS
from tfcifar.recipe import Recipe
from tfcifar.training.distillation import FEATURES, DistillationLoss, label_accuracy


def training_objective(recipe: Recipe) -> dict:
    """Loss and metrics on the batches that are trained on: those of a student also compare it with its teachers."""
    distill = recipe.distill
    if not distill.teachers:
        return validation_objective(recipe)
    loss = DistillationLoss(distill.temperature, distill.weight)
    if not distill.feature_weight:
        return {"loss": loss, "metrics": [label_accuracy()], **_common()}
    return {
        "loss": {CLASSES: loss, FEATURES: keras.losses.MeanSquaredError()},
        "loss_weights": {CLASSES: 1.0, FEATURES: distill.feature_weight},
        "metrics": {CLASSES: [label_accuracy()]},
        **_common(),
    }


def validation_objective(recipe: Recipe) -> dict:
    """Loss and metrics on labels alone."""
    integer = recipe.labels == "integer"
    loss = keras.losses.SparseCategoricalCrossentropy if integer else keras.losses.CategoricalCrossentropy
    # Not by its name: Keras would make its variables within the first step, which TensorFlow would then trace twice.
    accuracy = keras.metrics.SparseCategoricalAccuracy if integer else keras.metrics.CategoricalAccuracy
    if not recipe.multi_task.groups:
        return {"loss": loss(from_logits=True), "metrics": [accuracy(name="accuracy")], **_common()}
    weights = {CLASSES: 1.0, GROUPS: recipe.multi_task.weight}
    return {
        "loss": {head: loss(from_logits=True) for head in weights},
        "loss_weights": weights,
        "metrics": {head: [accuracy(name="accuracy")] for head in weights},
        **_common(),
    }


def _common() -> dict:
    # No XLA: on a CPU it is 2 to 5 times slower; on a GPU it cannot compile rotation and RandAugment in the step.
    return {"jit_compile": False}
