"""Models of a few hundred bytes that do not have to be trained."""

import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_onnx(path: Path, image_shape=(32, 32, 3), num_classes=10, seed=0) -> Path:
    """Scaled pixels times random weights, as an ONNX file that takes uint8 images."""
    size = int(np.prod(image_shape))
    weights = np.random.default_rng(seed).normal(0, 1, (size, num_classes)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights"], ["logits"], alpha=1 / 255),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", *image_shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", num_classes])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def write_int8_tflite(path: Path, image_shape=(32, 32, 3), num_classes=10, seed=0) -> Path:
    """A convolution, a mean and a dense layer, quantized to INT8, that takes uint8 images."""
    import tensorflow as tf

    random = np.random.default_rng(seed)
    kernel = tf.constant(random.normal(0, 0.2, (3, 3, 3, 16)), tf.float32)
    dense = tf.constant(random.normal(0, 1, (16, num_classes)), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, *image_shape], tf.float32)])
    def network(images):
        features = tf.nn.relu(tf.nn.conv2d(images / 255, kernel, strides=2, padding="SAME"))
        return tf.reduce_mean(features, (1, 2)) @ dense

    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [random.integers(0, 256, (1, *image_shape)).astype(np.float32)] for _ in range(20)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(action="ignore"):  # of statistics that representative images give
        path.write_bytes(converter.convert())
    return path
