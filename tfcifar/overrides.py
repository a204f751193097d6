"""`--set a.b=c`: change one field of a nested frozen dataclass, with type checks and nearest-match errors."""

import dataclasses
import difflib
import types
import typing

from pipelines.errors import InputError

if typing.TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = typing.TypeVar("Config", bound="DataclassInstance")


def override(config: Config, assignments: list[str]) -> Config:
    """Return `config` with every `path=value` of `assignments` applied; the last one of a path counts.

    All are applied at once, so that fields that only fit together can be changed together. Values are read by
    the field's type: int, float, bool (true/false), str, `none` where the field admits None, and comma-separated
    lists for tuples ("64,128,256").

    Raises:
        InputError: no such field, a value of another type, or one that the configuration refuses.
    """
    changes: dict = {}
    for assignment in assignments:
        path, separator, text = assignment.partition("=")
        if not separator:
            raise InputError(f"--set {assignment}: expected FIELD=VALUE, for example optimizer.learning_rate=0.05.")
        _read(config, path.strip().split("."), text.strip(), assignment, changes)
    return _apply(config, changes)


def _apply(config: Config, changes: dict) -> Config:
    return dataclasses.replace(
        config,
        **{
            key: _apply(getattr(config, key), value) if isinstance(value, dict) else value
            for key, value in changes.items()
        },
    )


def _read(config: typing.Any, keys: list[str], text: str, assignment: str, changes: dict, prefix: str = "") -> None:
    """Put the value that `assignment` gives into `changes`, a dict nested like `config`."""
    key, *rest = keys
    fields = {field.name: field for field in dataclasses.fields(config)}
    if key not in fields:
        nearest = difflib.get_close_matches(key, fields, n=1)
        hint = f" Did you mean {'.'.join([prefix + nearest[0], *rest])}?" if nearest else ""
        owner = prefix.rstrip(".") or "the recipe"
        raise InputError(f"--set {assignment}: no such field.{hint} Fields of {owner}: {', '.join(fields)}.")
    value = getattr(config, key)
    if dataclasses.is_dataclass(value):
        if not rest:
            inner = ", ".join(field.name for field in dataclasses.fields(value))
            raise InputError(f"--set {assignment}: {prefix}{key} is a group; set one of its fields: {inner}.")
        _read(value, rest, text, assignment, changes.setdefault(key, {}), f"{prefix}{key}.")
        return
    if rest:
        raise InputError(f"--set {assignment}: {prefix}{key} is a value and has no field {rest[0]}.")
    if "read" in fields[key].metadata:  # a field with a way of its own to be written, for example in a file
        changes[key] = fields[key].metadata["read"](text)
        return
    hint = typing.get_type_hints(type(config))[key]
    try:
        changes[key] = parse(text, hint)
    except ValueError:
        raise InputError(f"--set {assignment}: expected {describe(hint)}, received {text!r}.") from None


def parse(text: str, hint: typing.Any) -> typing.Any:
    """Read `text` as the type `hint`; ValueError where it is none of that type."""
    if _is_union(hint):
        options = typing.get_args(hint)
        if type(None) in options and text.lower() == "none":
            return None
        return parse(text, next(option for option in options if option is not type(None)))
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        return tuple(parse(part.strip(), item) for part in text.split(",") if part.strip())
    if hint is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    return hint(text)


def matches(value: object, hint: typing.Any) -> bool:
    """Whether `value` is of the type `hint`; a whole number serves as a float."""
    if _is_union(hint):
        return any(
            value is None if option is type(None) else matches(value, option) for option in typing.get_args(hint)
        )
    if typing.get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(matches(item, typing.get_args(hint)[0]) for item in value)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


def describe(hint: typing.Any) -> str:
    """A type in a user's words: 'a whole number', 'a number or none', ..."""
    if _is_union(hint):
        inner = [describe(option) for option in typing.get_args(hint) if option is not type(None)]
        return " or ".join(inner) + " or none"
    if typing.get_origin(hint) is tuple:
        return f"a comma-separated list, each item {describe(typing.get_args(hint)[0])}"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[hint]


def _is_union(hint: typing.Any) -> bool:
    return isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
