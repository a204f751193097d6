"""One model of the zoo: a run directory cut down to what its users need, with its INT8 file and a model card."""

import dataclasses
import re
import shlex
import shutil
from functools import partial
from pathlib import Path

from export.card import FORMATS, card_path, read_card, write_card
from export.model_card import model_card
from pipelines.errors import InputError
from tfcifar.evaluation.openings import model_digest
from tfcifar.recipe import Recipe
from tfcifar.recipe_json import load_json
from tfcifar.reporting.results import command_without_run
from tfcifar.run_dir import RunDir, read_json, write_json, write_text, write_whole

ENDING = FORMATS["tflite_int8"]
LARGEST = 10_000_000  # bytes of a file in the repository


def write_zoo_entry(run_dir: RunDir, int8: Path | None, name: str, folder: Path) -> dict[str, int]:
    """Write model.keras, recipe.json, environment.json, timing.json, metrics.json, the INT8 file, its card, README.md.

    Args:
        run_dir: of the float model.
        int8: made from it, or fine-tuned from it by export.quantize; None: the only one in the run's export/.
        folder: receives the files.

    Returns:
        Sizes in bytes, by file.

    Raises:
        InputError: no such name, the run is not evaluated, the INT8 file is not verified on the test split or of
            another model, or a file is too large for a repository.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", name):
        raise InputError(f"NAME: expected lower-case letters, digits, '_', '.' and '-', received {name!r}.")
    if not run_dir.metrics.is_file():
        raise InputError(f"{run_dir.path}: expected an evaluated run; run python -m tfcifar.evaluate {run_dir.path}.")
    int8 = int8 or _only_int8_file(run_dir)
    card = read_card(int8)
    _check_card(card, int8, run_dir)
    for file in (run_dir.model, int8):
        if file.stat().st_size > LARGEST:
            raise InputError(f"{file}: expected at most {LARGEST:,} bytes, received {file.stat().st_size:,}.")

    entry, target = RunDir(folder), folder / f"{name}{ENDING}"
    recipe = _recipe_without_folders(load_json(run_dir.recipe))
    environment = _without_folders(read_json(run_dir.environment))
    card = card | {"name": name, "file": target.name, "made_by": _without_folders(card["made_by"])}
    write_whole(entry.model, partial(shutil.copyfile, run_dir.model))
    write_whole(target, partial(shutil.copyfile, int8))
    for source, copy in ((run_dir.metrics, entry.metrics), (run_dir.timing, entry.timing)):
        write_json(copy, read_json(source))
    write_text(entry.recipe, recipe.to_json())
    write_json(entry.environment, environment)
    write_card(target, card)
    metrics = read_json(run_dir.metrics)
    write_text(folder / "README.md", model_card(name, recipe, environment, metrics, card))
    files = (entry.model, target, card_path(target), folder / "README.md")
    return {file.name: file.stat().st_size for file in files}


def _only_int8_file(run_dir: RunDir) -> Path:
    found = sorted(run_dir.exports.glob(f"*{ENDING}"))
    if len(found) != 1:
        there = ", ".join(path.name for path in found) or "none"
        raise InputError(f"--int8: expected one *{ENDING} in {run_dir.exports}, received {there}; name the file.")
    return found[0]


def _check_card(card: dict, int8: Path, run_dir: RunDir) -> None:
    if "test" not in card.get("metrics", {}):
        raise InputError(f"{int8}: expected a file judged on the test split; run export.compress without --no-test.")
    digests = {card["model_sha256"]}
    beside = RunDir(int8.parent.parent).environment
    if beside.is_file():
        digests.add(read_json(beside).get("quantized", {}).get("model_sha256"))
    if model_digest(run_dir) not in digests:
        raise InputError(f"{int8}: expected a file made from {run_dir.path}, its card names {card['run']}.")


def _recipe_without_folders(recipe: Recipe) -> Recipe:
    teachers = tuple(_without_folder(teacher) for teacher in recipe.distill.teachers)
    data_dir = recipe.data.data_dir and _without_folder(recipe.data.data_dir)
    return recipe.replace(
        data=dataclasses.replace(recipe.data, data_dir=data_dir),
        distill=dataclasses.replace(recipe.distill, teachers=teachers),
    )


def _without_folders(made_by: dict) -> dict:
    words = shlex.split(command_without_run(made_by["command"]))
    return made_by | {"command": shlex.join(map(_without_folder, words))}


def _without_folder(word: str) -> str:
    """Where something lay on the machine that a run was made on is nobody's business."""
    return Path(word).name if Path(word).is_absolute() else word
