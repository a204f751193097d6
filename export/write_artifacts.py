"""All files of a trained run: one for each format, in one folder, written from the same model.

A run of export.quantize has its INT8 file already, fine-tuned for it: it is taken as it is.
"""

import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np

from export.card import FORMATS
from export.onnx import quantize_onnx, write_onnx
from export.tflite import write_tflite
from pipelines.errors import InputError, unknown
from tfcifar.run_dir import RunDir, read_json, write_whole


def write_artifacts(
    model: keras.Model, run_dir: RunDir, folder: Path, name: str, forms: list[str], representative: np.ndarray
) -> dict[str, Path]:
    """Write `model` into `folder` as NAME.ENDING for each of `forms`, keys of FORMATS; return their paths by form.

    Args:
        model: of `run_dir`.
        representative: uint8 [n, h, w, 3] of the training split, by which INT8 rounds.

    Raises:
        InputError: an unknown form, something in the model that a format cannot hold, or a run of export.quantize
            without its file.
    """
    for form in forms:
        if form not in FORMATS:
            raise unknown("--formats", form, FORMATS)
    paths = {form: folder / f"{name}{FORMATS[form]}" for form in forms}
    for form, path in paths.items():
        if form == "tflite_int8" and is_quantization_aware(run_dir):
            _take(run_dir.exports / f"{run_dir.name}{FORMATS[form]}", path)
        elif form.startswith("tflite_"):
            write_tflite(model, path, form.removeprefix("tflite_"), representative)
        elif form == "keras":
            write_whole(path, lambda temporary: shutil.copyfile(run_dir.model, temporary))
        elif form == "onnx_float32":
            write_onnx(model, path)
    if "onnx_int8" in paths and "onnx_float32" in paths:
        quantize_onnx(paths["onnx_float32"], paths["onnx_int8"], representative)
    elif "onnx_int8" in paths:
        with tempfile.TemporaryDirectory() as elsewhere:
            whole = Path(elsewhere) / "float32.onnx"
            write_onnx(model, whole)
            quantize_onnx(whole, paths["onnx_int8"], representative)
    return paths


def is_quantization_aware(run_dir: RunDir) -> bool:
    """Whether export.quantize has made this run."""
    return "quantized" in read_json(run_dir.environment)


def _take(own: Path, path: Path) -> None:
    if not own.is_file():
        raise InputError(f"expected {own}, which export.quantize writes; run it again with --resume.")
    if own != path:
        write_whole(path, lambda temporary: shutil.copyfile(own, temporary))
