"""What every search begins with: a recipe that can be judged, a folder that is its own."""

import json
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from pipelines.errors import InputError, unknown
from tfcifar import recipes
from tfcifar.models import MODELS
from tfcifar.recipe import Recipe
from tfcifar.run_dir import read_json, write_json
from tfcifar.run_lock import locked


def judged_recipe(option: str, name: str, preset: str | None, overrides: list[str], model: str | None = None) -> Recipe:
    """The recipe `name`, which `option` gave, with another model and overrides.

    Args:
        preset: None: "cpu", but of a file the one that it was made with.

    Raises:
        InputError: no such recipe, model or field, or one that has no validation split to judge by.
    """
    from tfcifar.overrides import override
    from tfcifar.runs import with_model

    recipe = recipes.load(name, preset or ("cpu" if not name.endswith(".json") else None))
    if model:
        if model not in MODELS:
            raise unknown("--model", model, MODELS)
        recipe = with_model(recipe, model)
    recipe = override(recipe, overrides)
    if recipe.data.train_on_validation:
        raise InputError(f"{option}: {recipe.name} trains on the validation split, by which trials are judged.")
    return recipe


def check_other_seeds(seeds: list[int] | None, recipe: Recipe) -> None:
    """Raises InputError where --compare would judge what trials have found by the seed that has chosen it."""
    if recipe.seed in (seeds or []):
        raise InputError(
            f"--compare: expected other seeds than the trials' own, {recipe.seed}, by which they were chosen."
        )


def alone_in(output: Path) -> AbstractContextManager:
    """While the block runs, no other search writes to `output`; the workers of a distributed one share it."""
    tuner_id = os.environ.get("KERASTUNER_TUNER_ID", "chief")
    return locked(output) if "chief" in tuner_id else nullcontext()  # KerasTuner's way to tell them apart


def keep_settings(recipe: Recipe, settings: dict, path: Path) -> None:
    """Remember what is searched around and how, so that a search is not continued as another one."""
    settings = {"recipe": json.loads(recipe.to_json()), **settings}
    before = read_json(path) if path.is_file() else settings
    different = [name for name, value in settings.items() if before.get(name) != value]
    if different:
        raise InputError(
            f"--output: {path.parent} holds another search; different: {', '.join(different)}. "
            "Give the same options, or another folder."
        )
    write_json(path, settings)
