"""The model that a run begins with."""

import keras
import numpy as np

from pipelines.splits import Splits
from tfcifar.models import build_model
from tfcifar.models.multi_task import parse_groups, with_group_head
from tfcifar.models.saved import load_model
from tfcifar.models.whitening import adapt_to
from tfcifar.recipe import Recipe
from tfcifar.training.devices import Devices
from tfcifar.training.start import Start


def initial_model(
    recipe: Recipe, splits: Splits, start: Start | None, devices: Devices
) -> tuple[keras.Model, np.ndarray | None]:
    """What `recipe` describes, or what `start` holds, and the groups of its second head, see `parse_groups`.

    Its weights lie on all `devices`; the model itself, which is saved and which predicts, runs on one.
    """
    names: list[str] = []
    groups = None
    if recipe.multi_task.groups:
        names, groups = parse_groups(recipe.multi_task.groups, splits.class_names)
    with devices.scope():
        if start is None:
            model = build_model(recipe.model, splits.image_shape, splits.num_classes, splits.mean, splits.std)
        else:
            model = load_model(start.model)
        if names:
            model = with_group_head(model, len(names))
    if devices.strategy is not None:
        model = keras.Model(model.input, model.output, name=model.name)  # made in the scope, it would run on all
    if start is None:
        adapt_to(model, splits.train.images)
    return model, groups
