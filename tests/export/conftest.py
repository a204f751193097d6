"""The splits that the tests of tfcifar train on, and exported files."""

import pytest

from export.onnx import quantize_onnx, write_onnx
from export.tflite import write_tflite
from pipelines.synthetic import generate
from tests.export.models import build
from tests.tfcifar.conftest import splits

__all__ = ["splits"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """One small network as .keras, .tflite, .onnx and .onnx in INT8."""
    folder = tmp_path_factory.mktemp("artifacts")
    model = build("small_cnn")
    model.save(folder / "student.keras")
    write_onnx(model, folder / "student.float32.onnx")
    images = generate(16, num_classes=10, size=32, seed=0).images
    quantize_onnx(folder / "student.float32.onnx", folder / "student.int8.onnx", images)
    write_tflite(model, folder / "student.float32.tflite", "float32")
    return folder
