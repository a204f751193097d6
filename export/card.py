"""The card of an exported model, a JSON file beside it: what it is, how to call it, how good it is, what made it."""

import gzip
import hashlib
from pathlib import Path

from pipelines.errors import InputError
from tfcifar.environment import describe_command
from tfcifar.run_dir import RunDir, read_json, write_json

FORMATS = {
    "tflite_float32": ".float32.tflite",
    "tflite_float16": ".float16.tflite",
    "tflite_dynamic": ".dynamic.tflite",
    "tflite_int8": ".int8.tflite",
    "onnx_float32": ".float32.onnx",
    "onnx_int8": ".int8.onnx",
    "keras": ".keras",
}
WRITE_ANEW = "python -m export.compress writes both file and card"


def card_path(artifact: Path) -> Path:
    """For example student.int8.tflite.json of student.int8.tflite."""
    return artifact.with_name(f"{artifact.name}.json")


def describe_artifact(
    artifact: Path, name: str, form: str, run_dir: RunDir, image_shape: tuple[int, int, int], macs: int
) -> dict:
    """What is known of an exported model before it is judged.

    Args:
        artifact: the model's file.
        name: for people, for example "student".
        form: a key of FORMATS.
        run_dir: of the model that it was made from.
        macs: multiply-accumulates of one image.

    Returns:
        JSON-ready: `name`, `format`, `file`, `bytes`, `gzip_bytes`, `sha256`, `run`, `model_sha256` (of the source),
        `macs`, `input`, `output`, `class_names`, and `made_by` (see `describe_command`).
    """
    from tfcifar.evaluation.openings import model_digest

    content = artifact.read_bytes()
    names = read_json(run_dir.environment)["data"]["class_names"]
    return {
        "name": name,
        "format": form,
        "file": artifact.name,
        "bytes": len(content),
        "gzip_bytes": len(gzip.compress(content, mtime=0)),
        "sha256": hashlib.sha256(content).hexdigest(),
        "run": run_dir.name,
        "model_sha256": model_digest(run_dir),
        "macs": macs,
        "input": {"dtype": "uint8", "shape": [None, *image_shape], "layout": "NHWC", "channels": "RGB, 0..255"},
        "output": {"meaning": "logits", "shape": [None, len(names)]},
        "class_names": names,
        "made_by": describe_command(),
    }


def write_card(artifact: Path, card: dict) -> None:
    write_json(card_path(artifact), card)


def read_card(artifact: Path) -> dict:
    """The card of `artifact`.

    Raises:
        InputError: there is none, it is no card, or it is of another file.
    """
    path = card_path(artifact)
    if not path.is_file():
        raise InputError(f"{artifact}: expected its card {path.name} beside it. {WRITE_ANEW}.")
    card = read_json(path)
    metrics = card.get("metrics", {}) if isinstance(card, dict) else None
    if not isinstance(metrics, dict) or not all(isinstance(each, dict) for each in metrics.values()):
        raise InputError(f"{path}: expected a card, with metrics by split; it has been altered. {WRITE_ANEW}.")
    if not isinstance(card.get("sha256"), str):
        raise InputError(f"{path}: expected a card with the sha256 of {artifact.name}, received none. {WRITE_ANEW}.")
    if card["sha256"] != hashlib.sha256(artifact.read_bytes()).hexdigest():
        raise InputError(f"{artifact}: the file has changed since its card {path.name} was written.")
    return card
