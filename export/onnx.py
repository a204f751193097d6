"""ONNX files that take uint8 images: float32, and INT8 quantized after training.

    write_onnx(model, Path("student.float32.onnx"))
    quantize_onnx(Path("student.float32.onnx"), Path("student.int8.onnx"), representative_images(splits))

Both have one input, `images`: uint8 [n, h, w, 3] with any n, and one output, `logits`: float32 [n, k].
"""

import logging
import tempfile
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
import tf_keras
from onnx import TensorProto, helper, version_converter

from export.bridge_layers import tanh_gelu
from export.fold import fold
from export.parity import agreement, compare, compute_precision, parity_images
from export.runtimes import OnnxRuntime, check_images
from export.tf_keras_bridge import to_tf_keras
from pipelines.errors import InputError
from tfcifar.run_dir import write_whole

TF2ONNX_OPSET = 18  # the newest that tf2onnx 1.17 writes
OPSET = 20  # the first with Gelu
BATCH = 50  # images at a time in calibration
# No layer of the bridge takes a logarithm, so that each one in the converted graph is a GELU.
STAND_IN, STAND_IN_TYPE = tf.math.log, "Log"
MOVING = ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")  # these compute nothing
NOT_FLOAT32 = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


def write_onnx(model: keras.Model, path: Path) -> dict:
    """Write `model` to `path` in float32, whatever precision it was trained in.

    Args:
        model: functional, images [n, h, w, 3] in 0..255 -> logits [n, k]. Its linear parts are drawn together
            (`export.fold`).

    Returns:
        See `export.parity.compare`; on generated images.

    Raises:
        InputError: a layer that has no translation; or logits that differ from the model's by more than rounding, in
            which case nothing is written.
    """
    proto = _convert(to_tf_keras(fold(model), flatten=True))
    proto.graph.name = model.name
    _check(proto, model.input_shape[1:])
    images = parity_images(model.input_shape[1:3])
    found = {}

    def write_checked(temporary: Path) -> None:
        onnx.save(proto, temporary)
        expected = keras.ops.convert_to_numpy(model(images.astype("float32"), training=False))
        received = OnnxRuntime(temporary, threads=1)(images)
        found.update(compare(expected, received, compute_precision(model), "ONNX file"))

    write_whole(path, write_checked)
    return found


def quantize_onnx(float_path: Path, path: Path, images: np.ndarray) -> dict:
    """Write the float32 file `float_path` to `path` with integer kernels: weights int8 per channel, activations uint8.

    Operations that have no integer kernel, such as Gelu, stay in float32 (see `float_operations`).

    Args:
        float_path: from `write_onnx`.
        images: uint8 [n, h, w, 3] of the training split, from which the ranges of activations are taken.

    Returns:
        See `export.parity.agreement`; with the float file, on `images`.

    Raises:
        InputError: no such file, or images of another shape or dtype.
    """
    # Medians of ONNX Runtime 1.31 on one core of an AMD EPYC (Zen 5), ms for one image, float32 -> INT8: fast_cnn
    # 1.29 -> 0.39, residual_cnn 2.83 -> 0.66, but MobileNet 0.25 at 96 px 0.19 -> 0.23: depthwise convolutions gain
    # nothing and each step pays for rounding. int8 activations: as fast without additions, with them three times
    # slower (residual_cnn 2.01); the logits are the same. GELU left as its eight operations: fast_cnn 0.67, and 96%
    # of its predictions unchanged instead of 99.6%, since each of the eight is rounded.
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    reference = OnnxRuntime(float_path, threads=1)
    check_images(images, reference.image_shape)
    if not len(images):
        raise InputError("images: expected some to take the ranges of activations from, received none.")

    class Batches(CalibrationDataReader):
        def __init__(self):
            self.batches = ({reference.input: images[i : i + BATCH]} for i in range(0, len(images), BATCH))

        def get_next(self):
            return next(self.batches, None)

    def write(temporary: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            prepared = Path(scratch) / "prepared.onnx"
            quant_pre_process(float_path, prepared, skip_symbolic_shape=True)  # all sizes but n are known already
            quantize_static(
                prepared,
                temporary,
                Batches(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )

    write_whole(path, write)
    return agreement(reference(images), OnnxRuntime(path, threads=1)(images))


def float_operations(path: Path) -> int:
    """How many operations of an INT8 file ONNX Runtime computes in float32: those that have no integer kernel."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # What it makes of the file on any CPU: the next level is about the memory layout that this one likes.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3  # not that such a file is for this machine
    with tempfile.TemporaryDirectory() as scratch:
        options.optimized_model_filepath = str(Path(scratch) / "optimized.onnx")
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        graph = onnx.load(options.optimized_model_filepath).graph
    floats: set[str] = set()
    count = 0
    for node in graph.node:  # in the order in which they run
        if node.op_type in ("Cast", "DequantizeLinear"):
            floats.update(node.output)
        elif node.op_type != "QuantizeLinear" and floats.intersection(node.input):
            floats.update(node.output)
            count += node.op_type not in MOVING
    return count


def _convert(clone: tf_keras.Model) -> onnx.ModelProto:
    # tf2onnx writes GELU as eight operations, one of which (Pow) stops its search for transposes that cancel out. So
    # it is given one operation that it can look through, whose place Gelu takes afterwards.
    for layer in clone.layers:
        if getattr(layer, "activation", None) is tanh_gelu:
            layer.activation = STAND_IN
    images = tf_keras.Input(clone.input_shape[1:], dtype="uint8", name="images")
    logits = tf_keras.layers.Activation("linear", name="logits")(clone(tf.cast(images, tf.float32), training=False))
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    # Not from_function: it makes inputs of constants that a layer holds, such as Normalization's.
    served = tf_keras.Model(images, logits, name=clone.name)
    signature = [tf.TensorSpec(clone.input_shape, tf.uint8, name="images")]
    proto, _ = tf2onnx.convert.from_keras(served, signature, opset=TF2ONNX_OPSET)
    proto = version_converter.convert_version(proto, OPSET)
    for node in proto.graph.node:
        if node.op_type == STAND_IN_TYPE:
            node.op_type = "Gelu"
            node.attribute.append(helper.make_attribute("approximate", "tanh"))
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    return proto


def _check(proto: onnx.ModelProto, image_shape: tuple[int, int, int]) -> None:
    """Raises InputError unless the file is what the head of this module says, without half or double floats."""
    onnx.checker.check_model(proto, full_check=True)
    received = [_signature(value) for value in (*proto.graph.input, *proto.graph.output)]
    classes = received[-1][2][-1]
    expected = [("images", TensorProto.UINT8, ["n", *image_shape]), ("logits", TensorProto.FLOAT, ["n", classes])]
    if received != expected:
        raise InputError(f"onnx: expected {expected} in and out, received {received}.")
    between = onnx.shape_inference.infer_shapes(proto).graph.value_info
    kinds = {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
    kinds |= {name: kind for name, kind, _ in map(_signature, between)}
    others = [name for name, kind in kinds.items() if kind in NOT_FLOAT32]
    if others:
        raise InputError(f"onnx: expected float32 throughout, found other floats: {', '.join(others[:3])}.")


def _signature(value: onnx.ValueInfoProto) -> tuple:
    tensor = value.type.tensor_type
    return value.name, tensor.elem_type, [each.dim_param or each.dim_value for each in tensor.shape.dim]
