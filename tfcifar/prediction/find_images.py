"""What stands on the command line -> names of image files."""

import glob
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from pipelines.errors import InputError
from pipelines.image_folder import SUFFIXES

STDIN = "-"


def find_images(arguments: Iterable[str], complain: Callable[[InputError], None]) -> list[str]:
    """Names of files, each once, in the order of the arguments; whether they are images is seen when they are read.

    Args:
        arguments: files; folders, for all images in and below them; patterns such as "photos/*.png", for shells that
            leave them as they are; or "-", for one of these on each line of the standard input.
        complain: called for each argument that stands for nothing.
    """
    names = []
    for argument in arguments:
        if argument == STDIN:
            lines = [line.rstrip("\r\n") for line in sys.stdin]
            names += find_images([line for line in lines if line and line != STDIN], complain)
            continue
        try:
            names += _names(argument)
        except InputError as error:
            complain(error)
    return list(dict.fromkeys(names))


def images_below(folder: Path) -> list[Path]:
    """The image files in `folder` and below, sorted; hidden ones, and those in hidden folders, do not count."""
    return [path for path in sorted(folder.rglob("*")) if _is_image_file(path.relative_to(folder), path)]


def _names(argument: str) -> list[str]:
    path = Path(argument)
    if path.is_dir():
        found = [str(each) for each in images_below(path)]
        if not found:
            raise InputError(f"{argument}: no images ({', '.join(SUFFIXES)}) in it.")
        return found
    if not path.exists() and glob.has_magic(argument):
        found = sorted(name for name in glob.glob(argument, recursive=True) if Path(name).is_file())
        if not found:
            raise InputError(f"{argument}: no file matches.")
        return found
    if not path.exists():
        raise InputError(f"{argument}: no such file.")
    return [argument]


def _is_image_file(inside: Path, path: Path) -> bool:
    hidden = any(part.startswith(".") for part in inside.parts)
    return not hidden and path.suffix.lower() in SUFFIXES and path.is_file()
