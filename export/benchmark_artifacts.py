"""What is known of an exported model before it is timed: from its card, from the run that it lies in, or its name."""

from collections import Counter
from importlib.metadata import version
from pathlib import Path

from export.card import FORMATS, card_path, read_card
from export.runtimes import runtime_of
from pipelines.errors import InputError
from tfcifar.environment import describe_command, describe_hardware
from tfcifar.run_dir import RunDir, read_json

PACKAGES = {"litert": "ai-edge-litert", "onnxruntime": "onnxruntime", "keras": "keras"}  # by runtime
METRICS = ("n", "accuracy", "nll", "ece")


def describe(file: str) -> dict:
    """JSON-ready; None for what neither a card tells nor, of its model.keras, a run directory.

    Returns:
        `file`, `name` (of the network), `runtime`, `precision` (None for .keras, which is as it was trained), `bytes`,
        `float_operations` (of an INT8 file, where its card counts them), `parameters`, `macs`, `run` (that it was made
        from), and of the test split `n`, `accuracy`, `nll`, `ece`.

    Raises:
        InputError: no such file, of no known format, not the one that its card is about, or a card without numbers
            where there should be some.
    """
    path = Path(file)
    runtime = runtime_of(path)
    card = read_card(path) if card_path(path).is_file() else _card_of_run(path)
    test = card.get("metrics", {}).get("test", {})
    figures = {key: card.get(key) for key in ("parameters", "macs", "float_operations")} | {
        key: test.get(key) for key in METRICS
    }
    for key in ("name", "format", "run"):
        if not isinstance(card.get(key), str | None):
            raise InputError(f"{file}: expected a text as {key} in the JSON file beside it, received {card[key]!r}.")
    for key, value in figures.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise InputError(f"{file}: expected a number as {key} in the JSON file beside it, received {value!r}.")
    return {
        "file": file,
        "name": card.get("name") or path.name.partition(".")[0],
        "runtime": runtime,
        "precision": _precision(card["format"]) if "format" in card else _precision_in_name(path),
        "bytes": path.stat().st_size,
        "run": card.get("run"),
        **figures,
    }


def _card_of_run(path: Path) -> dict:
    """What a card would say, from the files of a run or of a folder of zoo/; empty for anything but its model.keras."""
    run_dir = RunDir(path.resolve().parent)
    if path.name != run_dir.model.name or not run_dir.recipe.is_file():
        return {}
    found = read_json(run_dir.metrics) if run_dir.metrics.is_file() else {}
    test = found | {"nll": found.get("loss")}
    return {"run": run_dir.name, **found, "name": run_dir.name, "metrics": {"test": test}}


def _precision(form: str) -> str | None:
    """For example "int8" of "tflite_int8"."""
    return form.partition("_")[2] or None


def _precision_in_name(path: Path) -> str | None:
    return next((_precision(form) for form, ending in FORMATS.items() if path.name.endswith(ending)), None)


def name_apart(artifacts: list[dict]) -> list[dict]:
    """`artifacts` with a `label` for their rows: the name, with the folder where two files would share a cell.

    So it is for all files of that name and precision, that each folder's stay in one row.
    """
    crowded = {key[:2] for key, count in Counter(map(_cell, artifacts)).items() if count > 1}
    labelled = [
        each | {"label": _in_folder(each) if _cell(each)[:2] in crowded else each["name"]} for each in artifacts
    ]
    cells = Counter((each["label"], *_cell(each)) for each in labelled)
    return [each | {"label": each["file"]} if cells[each["label"], *_cell(each)] > 1 else each for each in labelled]


def _cell(artifact: dict) -> tuple:
    return artifact["name"], artifact["precision"], artifact["runtime"]


def _in_folder(artifact: dict) -> str:
    return f"{artifact['name']} ({Path(artifact['file']).parent})"


def describe_machine() -> dict:
    """See `tfcifar.environment.describe_environment`, with the runtimes' versions; without starting TensorFlow."""
    environment = describe_command() | {"hardware": describe_hardware([])}
    environment["packages"] |= {name: version(name) for name in PACKAGES.values()}
    return environment
