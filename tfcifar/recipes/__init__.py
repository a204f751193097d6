"""Recipes are plain Python files: `get_recipe()`, and a function for each preset in which something differs."""

import importlib
from pathlib import Path
from types import ModuleType

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


def load_grid(name: str, rows: list[str] | None = None) -> dict[str, Recipe]:
    """The ablation grid of the recipe `name`: recipes by the name of their row, the baseline first.

    rows: some of them; None: all.

    Raises:
        InputError: no such recipe or row, or a recipe without a grid.
    """
    if name not in names():
        raise unknown("recipe", name, names())
    module = _module(name)
    if not hasattr(module, "ablation"):
        with_grid = [each for each in names() if hasattr(_module(each), "ablation")]
        raise InputError(f"recipe: expected one with an ablation grid ({', '.join(with_grid)}), received {name}.")
    grid = module.ablation()
    for row in rows or []:
        if row not in grid:
            raise unknown("--rows", row, grid)
    return {row: grid[row] for row in rows or grid}


def load(name: str, preset: str | None = None) -> Recipe:
    """The recipe `name` (of this folder, or the path of a JSON file), as `preset` has it.

    Raises:
        InputError: no such recipe, or no such preset of it.
    """
    if name.endswith(".json"):
        if preset is not None:
            raise InputError(f"--preset: expected none with {name}, a recipe as it stands, received {preset}.")
        return load_json(Path(name))
    if name not in names():
        raise unknown("recipe", name, names())
    module = _module(name)
    recipe = module.get_recipe()
    if preset is None:
        return recipe
    if hasattr(module, preset):
        recipe = getattr(module, preset)(recipe)
    elif preset == "demo":  # what is not made small takes hours
        small = [each for each in names() if hasattr(_module(each), "demo")]
        raise InputError(f"--preset: {name} has cpu and gpu; those with a demo are {', '.join(small)}.")
    return recipe.replace(name=f"{name}-{preset}")


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"tfcifar.recipes.{name}")
