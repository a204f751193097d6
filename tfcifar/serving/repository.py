"""Where models lie: single artefacts, run directories, and repositories laid out as NAME/VERSION/artefact."""

import re
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import InputError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
VERSION = re.compile(r"[1-9][0-9]{0,8}")
SUFFIXES = (".tflite", ".onnx", ".keras")
LAYOUT = f"NAME/VERSION/ with one {', '.join(SUFFIXES)} file, SavedModel or run directory in it"

Key = tuple[str, int]  # name and version of a model


@dataclass(frozen=True)
class Sources:
    """What a server's arguments name: models that stay, and folders in which versions come and go."""

    fixed: dict[Key, Path]
    repositories: tuple[Path, ...]


def read_arguments(arguments: tuple[str, ...]) -> Sources:
    """Args: [NAME=]PATH each; without a name, a file is called by its stem and a folder by its name; version 1.

    Raises:
        InputError: nothing there, a name that cannot stand in a URL, or two models of one name.
    """
    fixed, repositories = {}, []
    for argument in arguments:
        name, path = _split(argument)
        if not path.exists():
            raise InputError(f"{path}: no such file or folder.")
        if not is_artifact(path):
            if name:
                raise InputError(f"{argument}: expected a model after the name, received a folder of models.")
            repositories.append(path.resolve())
            continue
        name = name or (path.stem if path.is_file() else path.resolve().name)
        if not NAME.fullmatch(name):
            raise InputError(f"model name: expected letters, digits, '.', '_' or '-', received {name!r}; "
                             f"call it by another one: NAME={path}.")  # fmt: skip
        if (name, 1) in fixed:
            raise InputError(f"{path}: there are two models named {name}; call one by another name: NAME={path}.")
        fixed[name, 1] = path
    return Sources(fixed, tuple(repositories))


def is_artifact(path: Path) -> bool:
    """Whether `path` is a model: a file, a SavedModel, or a run directory."""
    return path.is_file() or (path / "saved_model.pb").is_file() or (path / "recipe.json").is_file()


def versions_in(root: Path) -> tuple[dict[Key, Path], dict[Path, OSError]]:
    """The version folders of a repository; and what of it cannot be listed, the whole or a model's folder, and why.

    Names that begin with a dot, or are none, are left out.
    """
    found: dict[Key, Path] = {}
    unread: dict[Path, OSError] = {}
    for model in _folders(root, NAME, unread):
        for folder in _folders(model, VERSION, unread):
            found[model.name, int(folder.name)] = folder
    return found, unread


def _folders(parent: Path, names: re.Pattern, unread: dict[Path, OSError]) -> list[Path]:
    try:
        return [path for path in sorted(parent.iterdir()) if names.fullmatch(path.name) and path.is_dir()]
    except OSError as error:
        unread[parent] = error
        return []


def artifact_in(folder: Path, root: Path) -> Path:
    """The one model in a version folder, which may be the folder itself.

    Raises:
        InputError: none, several, or a symbolic link that leads out of `root`.
    """
    found = [folder] if is_artifact(folder) else [path for path in sorted(folder.iterdir()) if _is_candidate(path)]
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(f"{folder}: expected one model, received {names}. Layout: {LAYOUT}.")
    for path in (folder, *folder.rglob("*")):
        if not path.resolve().is_relative_to(root.resolve()):
            raise InputError(f"{path}: expected a file inside of {root}, received a link to {path.resolve()}.")
    return found[0]


def state_of(folder: Path) -> tuple:
    """Sizes and times of the files in a version folder: the same twice means that nobody is writing there."""
    files = [(path, path.lstat()) for path in sorted(folder.rglob("*"))]
    return tuple((str(path), status.st_size, status.st_mtime_ns) for path, status in files)


def _split(argument: str) -> tuple[str | None, Path]:
    name, equals, path = argument.partition("=")
    if equals and NAME.fullmatch(name) and not Path(argument).exists():
        return name, Path(path)
    return None, Path(argument)


def _is_candidate(path: Path) -> bool:
    return not path.name.startswith(".") and (
        path.suffix in SUFFIXES if path.is_file() else path.is_dir() and is_artifact(path)
    )
