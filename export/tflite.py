"""TensorFlow Lite files that take uint8 images: float32, float16, dynamic range, and integers alone.

    write_tflite(model, path, "int8", representative_images)

The model is folded (`export.fold`) and rebuilt in tf_keras (`export.tf_keras_bridge`), whose graphs the converter knows
best. Nothing falls back: an operation that the format has no kernel for is an error, and so is, in INT8, any tensor of
floating-point numbers.
"""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.lite.python import schema_py_generated as schema

from export.flatbuffer import read, shrink
from export.fold import fold
from export.quantization_aware import quantization_aware
from export.tf_keras_bridge import to_tf_keras
from pipelines.errors import InputError, unknown
from tfcifar.run_dir import write_whole

FORMS = ("float32", "float16", "dynamic", "int8")
INTEGERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "BOOL")


def write_tflite(model: keras.Model, path: Path, form: str, representative: np.ndarray | None = None) -> None:
    """Write `model` to `path`: images uint8 [1, h, w, 3] -> logits [1, k], float32, or int8 with scale in "int8".

    Args:
        model: functional, images 0..255 -> logits.
        form: "float32"; "float16", which halves the file; "dynamic", int8 weights and float activations; "int8",
            integers throughout, weights per channel.
        representative: uint8 [n, h, w, 3] of the training split, by which "int8" rounds: see `quantization_aware`.

    Raises:
        InputError: no such form, or something in the model has no kernel in it.
        ValueError: "int8" without representative images.
    """
    if form not in FORMS:
        raise unknown("form", form, FORMS)
    if form == "int8":
        if representative is None:
            raise ValueError("representative: expected images of the training split for int8. Received: None")
        content = convert_to_int8(quantization_aware(model, representative), representative)
    else:
        content = _convert(_float_converter(to_tf_keras(fold(model), flatten=True), form))
        check_types(content, integers_only=False)
        content = shrink(content)
    write_whole(path, lambda temporary: temporary.write_bytes(content))


def convert_to_int8(clone: tf_keras.Model, representative: np.ndarray) -> bytes:
    """A float or quantization-aware tf_keras model as a .tflite file of integers alone."""
    _convert(_float_converter(clone, "float32"))  # what has no kernel is an error here, and would end the process there
    content = _convert(_int8_converter(clone, representative))
    check_types(content, integers_only=True)
    return shrink(content)


def _int8_converter(clone: tf_keras.Model, representative: np.ndarray) -> tf.lite.TFLiteConverter:
    converter = _converter(clone, tf.float32)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image] for image in _one_by_one(representative))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.int8
    return converter


def _one_by_one(representative: np.ndarray) -> Iterator[np.ndarray]:
    """float32 [1, h, w, 3] each; the first has all values from 0 to 255: black images alone have no range."""
    whole_range = np.resize(np.arange(256, dtype=np.uint8), representative.shape[1:])
    for image in (whole_range, *representative):
        yield image[np.newaxis].astype(np.float32)


def _convert(converter: tf.lite.TFLiteConverter) -> bytes:
    """Raises InputError where an operation has no kernel in the format."""
    try:
        return converter.convert()
    except Exception as error:  # ConverterError is one of several, which share no base class
        lines = str(error).splitlines()
        reason = next((line.partition("error: ")[2] for line in lines if "error: " in line), lines[0])
        raise InputError(f"tflite: the model cannot be converted: {reason}") from error


def _float_converter(clone: tf_keras.Model, form: str) -> tf.lite.TFLiteConverter:
    converter = _converter(clone, tf.uint8)
    if form != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if form == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter


def _converter(clone: tf_keras.Model, dtype: tf.DType) -> tf.lite.TFLiteConverter:
    signature = tf.TensorSpec((1, *clone.input_shape[1:]), dtype, name="images")

    @tf.function(input_signature=[signature])
    def serve(images):
        return {"logits": clone(tf.cast(images, tf.float32), training=False)}

    # Not the model itself: to save it on the way, TensorFlow would trace every layer of it again, several times.
    holder = tf.Module()
    holder.held = clone.variables
    return tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()], holder)


def tensor_types(content: bytes) -> dict[str, str]:
    """The type of every tensor in a .tflite file, such as "INT8", by "graph/index name"."""
    types = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    graphs = read(content).subgraphs
    return {
        f"{number}/{index} {(tensor.name or b'').decode()}": types[tensor.type]
        for number, graph in enumerate(graphs)
        for index, tensor in enumerate(graph.tensors)
    }


def check_types(content: bytes, integers_only: bool) -> None:
    """Raises InputError where a .tflite file needs other than the built-in kernels, or floats with `integers_only`."""
    custom = [code.customCode.decode() for code in read(content).operatorCodes if code.customCode]
    if custom:
        raise InputError(f"tflite: expected built-in operations alone, found {', '.join(custom)}.")
    floats = {name: kind for name, kind in tensor_types(content).items() if kind not in INTEGERS}
    if integers_only and floats:
        first = "; ".join(f"{kind} {name}" for name, kind in list(floats.items())[:3])
        raise InputError(f"tflite: expected integers alone, found {len(floats)} tensors of other types: {first}.")
