"""Run an exported model whatever its format: uint8 images in, float32 logits out. No TensorFlow for TFLite and ONNX."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from export.saved_model_guard import check_operations
from pipelines.errors import InputError, first_line

MOST_BYTES = 4 << 30  # of all tensors of a .tflite file added up, though they share memory while it runs
RUNTIMES = {".tflite": "litert", ".onnx": "onnxruntime", ".keras": "keras"}


class Runtime(Protocol):
    """A loaded model. Calling it with uint8 images [n, h, w, 3] gives float32 logits [n, num_classes]."""

    name: str  # one of RUNTIMES' values, or "tensorflow"
    image_shape: tuple[int, int, int]

    def __call__(self, images: np.ndarray) -> np.ndarray: ...


def open_artifact(path: Path, threads: int = 1) -> Runtime:
    """The model in `path`: a file, by the ending of its name, or the folder of a SavedModel.

    Args:
        threads: that one prediction may use. TensorFlow has one thread pool for the process, and ignores it.

    Raises:
        InputError: no such file, of no known format, or not to be loaded.
    """
    path = Path(path)
    if (path / "saved_model.pb").is_file():
        return SavedModel(path)
    openers: dict[str, Callable[[Path, int], Runtime]] = {
        "litert": LiteRT,
        "onnxruntime": OnnxRuntime,
        "keras": KerasModel,
    }
    return openers[runtime_of(path)](path, threads)


def runtime_of(path: Path) -> str:
    """One of RUNTIMES' values. Raises InputError: no such file, or of no known format."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder.")
    if path.is_dir():
        raise InputError(f"{path}: no run in it (no recipe.json), and no SavedModel.")
    if path.suffix not in RUNTIMES:
        raise InputError(f"{path}: expected a model ending in {', '.join(RUNTIMES)}, received '{path.suffix}'.")
    return RUNTIMES[path.suffix]


def _image_shape(path: Path, shape: Sequence) -> tuple[int, int, int]:
    """(height, width, 3), of the shape of a model's input. Raises InputError for what is not made for such images."""
    if len(shape) == 4 and shape[3] == 3 and all(isinstance(size, int | np.integer) and size > 0 for size in shape[1:]):
        return int(shape[1]), int(shape[2]), 3
    received = f"[{', '.join(map(str, shape))}]"
    raise InputError(f"{path}: expected a model for images, uint8 [n, height, width, 3], received one for {received}.")


def check_images(images: np.ndarray, image_shape: tuple[int, int, int]) -> None:
    if images.dtype != np.uint8 or images.shape[1:] != image_shape:
        expected = f"uint8 [n, {', '.join(map(str, image_shape))}]"
        raise InputError(f"images: expected {expected}, received {images.dtype} {list(images.shape)}.")


@dataclass(frozen=True)
class _Output:
    """How a TFLite model's output numbers stand for logits; scale 0: as they are."""

    scale: float
    zero_point: int

    def logits(self, values: np.ndarray) -> np.ndarray:
        if self.scale == 0:
            return values.astype(np.float32)
        return (values.astype(np.float32) - self.zero_point) * np.float32(self.scale)


class LiteRT:
    """A .tflite file on LiteRT's CPU kernels (XNNPACK where it has them)."""

    name = "litert"

    def __init__(self, path: Path, threads: int):
        from ai_edge_litert.interpreter import Interpreter

        try:
            self.interpreter = Interpreter(model_path=str(path), num_threads=threads)
            _check_memory(path, self.interpreter.get_tensor_details())
            self.interpreter.allocate_tensors()
        except InputError:
            raise
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{path}: cannot be loaded as a TFLite model: {first_line(error)}") from error
        inputs, outputs = self.interpreter.get_input_details(), self.interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0]["dtype"] != np.uint8:
            raise InputError(f"{path}: expected a model with one uint8 input and one output, received another.")
        self.input, self.output = inputs[0]["index"], outputs[0]["index"]
        self.image_shape = _image_shape(path, inputs[0]["shape"])
        self.batch_size: int | None = int(inputs[0]["shape"][0])
        self.to_logits = _Output(*outputs[0]["quantization"])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        check_images(images, self.image_shape)
        if len(images) != self.batch_size:
            self.batch_size = None  # until it has worked: not every model can be resized
            self.interpreter.resize_tensor_input(self.input, images.shape)
            self.interpreter.allocate_tensors()
            self.batch_size = len(images)
        self.interpreter.set_tensor(self.input, images)
        self.interpreter.invoke()
        return self.to_logits.logits(self.interpreter.get_tensor(self.output))


def _check_memory(path: Path, tensors: list[dict]) -> None:
    """Raises InputError before the interpreter makes room for tensors that no model for small images has."""
    asked = sum(math.prod(map(int, each["shape"])) * np.dtype(each["dtype"]).itemsize for each in tensors)
    if asked > MOST_BYTES:
        raise InputError(f"{path}: expected tensors of at most {MOST_BYTES:,} bytes in all, received {asked:,}.")


class OnnxRuntime:
    """An .onnx file on ONNX Runtime's CPU provider."""

    name = "onnxruntime"

    def __init__(self, path: Path, threads: int):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no base class but this
            raise InputError(f"{path}: cannot be loaded as an ONNX model: {first_line(error)}") from error
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type != "tensor(uint8)":
            raise InputError(f"{path}: expected a model with one uint8 input and one output, received another.")
        self.input = inputs[0].name
        self.image_shape = _image_shape(path, inputs[0].shape)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        check_images(images, self.image_shape)
        return self.session.run(None, {self.input: images})[0]


class KerasModel:
    """A model.keras, in a compiled graph. `precision` is the coarsest one that it computes in, as it was trained."""

    name = "keras"

    def __init__(self, path: Path, threads: int):
        import tensorflow as tf

        from export.parity import compute_precision
        from tfcifar.models.saved import load_model

        self.model = model = load_model(path)
        self.precision = compute_precision(model)
        self.image_shape = _image_shape(path, model.input_shape)
        anything = tf.TensorSpec([None, *self.image_shape], tf.uint8)  # one graph for batches of every size
        self.graph = tf.function(lambda images: model(images, training=False), input_signature=[anything])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        check_images(images, self.image_shape)
        return self.graph(images).numpy()


class SavedModel:
    """A folder written by export.saved_model, or another whose `serving_default` has the same contract."""

    name = "tensorflow"

    def __init__(self, path: Path):
        import tensorflow as tf

        check_operations(path)
        try:
            self.loaded = tf.saved_model.load(str(path))  # kept: its variables live as long as it does
            self.signature = self.loaded.signatures["serving_default"]
        except (OSError, KeyError, ValueError) as error:
            raise InputError(f"{path}: cannot be loaded as a SavedModel: {first_line(error)}") from error
        inputs, outputs = self.signature.structured_input_signature[1], self.signature.structured_outputs
        if len(inputs) != 1 or len(outputs) != 1 or next(iter(inputs.values())).dtype != tf.uint8:
            raise InputError(f"{path}: expected a model with one uint8 input and one output, received another.")
        (self.input,), (self.output,) = inputs, outputs
        shape = inputs[self.input].shape
        self.image_shape = _image_shape(path, [] if shape.rank is None else shape.as_list())

    def __call__(self, images: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        check_images(images, self.image_shape)
        return self.signature(**{self.input: tf.constant(images)})[self.output].numpy()
