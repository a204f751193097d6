"""All files of a trained run: one for each format, in one folder, written from the same model."""

import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np

from export.card import FORMATS
from export.onnx import quantize_onnx, write_onnx
from export.tflite import write_tflite
from pipelines.errors import unknown
from tfcifar.run_dir import RunDir, write_whole


def write_artifacts(
    model: keras.Model, run_dir: RunDir, folder: Path, name: str, forms: list[str], representative: np.ndarray
) -> dict[str, Path]:
    """Write `model` into `folder` as NAME.ENDING for each of `forms`, keys of FORMATS; return their paths by form.

    Args:
        model: of `run_dir`.
        representative: uint8 [n, h, w, 3] of the training split, for the ranges of INT8.

    Raises:
        InputError: an unknown form, or something in the model that a format cannot hold.
    """
    for form in forms:
        if form not in FORMATS:
            raise unknown("--formats", form, FORMATS)
    paths = {form: folder / f"{name}{FORMATS[form]}" for form in forms}
    for form, path in paths.items():
        if form.startswith("tflite_"):
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
