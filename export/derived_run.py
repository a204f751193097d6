"""Runs that are made of another run, by pruning or for INT8: how they begin, what may be written where, and resumed."""

import dataclasses
from typing import TYPE_CHECKING

from pipelines.errors import InputError
from tfcifar.recipe import Distill, MultiTask, Optimizer, Recipe, Schedule, SmallImages, Transfer
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir, read_json

if TYPE_CHECKING:
    import keras

    from pipelines.splits import Splits


NO_TEACHERS = Distill()


def fine_tuned(
    recipe: Recipe, suffix: str, epochs: int, optimizer: Optimizer, distill: Distill = NO_TEACHERS
) -> Recipe:
    """How a run of `recipe` is trained further: on its data, augmentation and batches, all weights at once.

    The learning rate falls to zero by a half cosine. The model is the classifier alone: a group head has done its work.
    """
    return recipe.replace(
        name=f"{recipe.name}-{suffix}",
        epochs=epochs,
        optimizer=optimizer,
        schedule=Schedule("cosine"),
        transfer=Transfer(),
        small_images=SmallImages(),
        multi_task=MultiTask(),
        distill=distill,
        early_stopping_patience=None,
    )


def open_source(
    source: RunDir, output: RunDir, kind: str, asked: dict, recipe: Recipe, resume: bool
) -> tuple["keras.Model", Recipe, "Splits"]:
    """The model of `source`, `recipe` with its data as they are here, and these; randomness is that of the recipe.

    Raises:
        InputError: see `check_output`; or other data than the source's.
    """
    import keras
    import tensorflow as tf

    from tfcifar.models.saved import load_model
    from tfcifar.recipe_data import open_splits
    from tfcifar.training.trainer import check_same_data

    check_output(output, kind, asked, recipe, resume)
    splits, data = open_splits(recipe.data)
    recipe = recipe.replace(data=data)
    check_same_data(source, splits)
    keras.utils.set_random_seed(recipe.seed)
    if recipe.deterministic:
        tf.config.experimental.enable_op_determinism()
    return load_model(source.model), recipe, splits


def check_output(output: RunDir, kind: str, asked: dict, recipe: Recipe, resume: bool) -> None:
    """Raises InputError where `output` holds a run that is not this one, or one that is not to be resumed.

    Args:
        kind: the entry of environment.json that says how the run was made, "pruned" or "quantized".
        asked: what that entry has to hold.
        recipe: that of the run, but for its data, whose checksums are compared later.
    """
    if output.ensemble.is_file() or (output.recipe.is_file() and not resume):
        raise InputError(f"--output: {output.path} already holds a run; --resume continues it, or name another folder.")
    if not output.recipe.is_file():
        return
    before = read_json(output.environment).get(kind)
    if before is None:
        raise InputError(f"--resume: {output.path} holds a run that is not a {kind} one; name another --output.")
    recipe_before = dataclasses.asdict(load_json(output.recipe))
    different = [name for name, value in asked.items() if value != before.get(name)]
    different += [
        name for name, value in dataclasses.asdict(recipe).items() if name != "data" and value != recipe_before[name]
    ]
    if different:
        raise InputError(
            f"--resume: {output.path} was started otherwise; different: {', '.join(different)}. "
            "Give the same options and run, or another --output."
        )
