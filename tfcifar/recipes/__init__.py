"""Recipes are plain Python files: `get_recipe()`, and a function for each preset that says what differs there."""

import importlib
from pathlib import Path

from pipelines.errors import InputError, unknown
from tfcifar.recipe import Recipe
from tfcifar.recipe_json import load_json

PRESETS = ("demo", "cpu", "gpu")


def names() -> list[str]:
    """All recipes in this folder."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")


def levels() -> list[int]:
    """The levels that have a recipe."""
    return sorted(int(name.removeprefix("level_")) for name in names() if name.startswith("level_"))


def load(name: str, preset: str | None = None) -> Recipe:
    """The recipe `name` (of this folder, or the path of a JSON file), as `preset` has it.

    Raises:
        InputError: no such recipe, or no such preset of it.
    """
    if name.endswith(".json"):
        return load_json(Path(name))
    if name not in names():
        raise unknown("recipe", name, names())
    module = importlib.import_module(f"tfcifar.recipes.{name}")
    recipe = module.get_recipe()
    offered = [each for each in PRESETS if hasattr(module, each)]
    if preset is None:
        return recipe
    if not offered:
        return recipe.replace(name=f"{name}-{preset}")
    if preset not in offered:
        raise InputError(f"--preset: {name} has the presets {', '.join(offered)}; received {preset}.")
    return getattr(module, preset)(recipe).replace(name=f"{name}-{preset}")
