"""Recipes from JSON, as `Recipe.to_json` writes them."""

import dataclasses
import json
import typing
from pathlib import Path
from typing import Any

from pipelines.errors import InputError, check, unknown
from tfcifar.overrides import describe, matches
from tfcifar.recipe import Recipe


def from_json(text: str) -> Recipe:
    """Read what `Recipe.to_json` wrote. Raises InputError on unknown or missing fields."""
    try:
        return _build(Recipe, json.loads(text), "recipe")
    except (json.JSONDecodeError, RecursionError) as error:  # the latter of what is nested without end
        raise InputError(f"recipe: expected JSON, received text that is none: {error}.") from None


def load_json(path: Path) -> Recipe:
    if not path.is_file():
        raise InputError(f"recipe: expected a JSON file, found none at {path}.")
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected a recipe in JSON, received what is no text ({error}).") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _build(kind: type, values: dict, where: str) -> Any:
    check(isinstance(values, dict), where, "a group of fields", values)
    hints = typing.get_type_hints(kind)
    fields = {}
    for key, value in values.items():
        if key not in hints:
            raise unknown(where, key, hints)
        if dataclasses.is_dataclass(hints[key]):
            fields[key] = _build(hints[key], value, f"{where}.{key}")
        else:
            fields[key] = tuple(value) if isinstance(value, list) else value
            check(matches(fields[key], hints[key]), f"{where}.{key}", describe(hints[key]), value)
    missing = [
        field.name
        for field in dataclasses.fields(kind)
        if field.name not in fields
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    check(not missing, where, f"the fields {', '.join(missing)}", list(fields))
    return kind(**fields)
