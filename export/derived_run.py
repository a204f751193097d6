"""Runs that are made of another run, by pruning or for INT8: what may be written where, and resumed."""

import dataclasses

from pipelines.errors import InputError
from tfcifar.recipe import Recipe
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir, read_json


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
