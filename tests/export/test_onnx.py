"""ONNX files: the contract of their input and output, the model's logits, and INT8 that is integers where it counts."""

from collections import Counter

import keras
import numpy as np
import onnx
import pytest

from export import onnx as export_onnx
from export.onnx import quantize_onnx, write_onnx
from export.runtimes import open_artifact
from pipelines.errors import InputError
from pipelines.synthetic import generate
from tests.export.models import build, outputs
from tests.export.triton import read_config, tensors

CASES = [("small_cnn", None), ("fast_cnn", None), ("attention_cnn", "mhsa"), ("mobilenet", None)]
SHAPES = generate(64, num_classes=10, size=32, seed=0).images


@pytest.fixture(scope="module")
def fast_cnn_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("fast_cnn") / "float32.onnx"
    write_onnx(build("fast_cnn"), path)
    return path


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_the_file_takes_uint8_and_gives_the_models_logits_for_any_batch(tmp_path, name, attention):
    model = build(name, attention)
    found = write_onnx(model, tmp_path / "model.onnx")
    assert found["precision"] == "float32"
    assert found["max_difference"] <= 1e-4 * found["logit_range"]
    runtime = open_artifact(tmp_path / "model.onnx")
    for images in (SHAPES[:1], SHAPES[:5]):
        expected = outputs(model, images.astype("float32"))
        received = runtime(images)
        assert received.dtype == np.float32
        np.testing.assert_allclose(received, expected, atol=1e-4 * np.ptp(expected))
    graph = onnx.load(tmp_path / "model.onnx").graph
    assert [value.name for value in (*graph.input, *graph.output)] == ["images", "logits"]
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_the_configuration_for_triton_says_what_the_file_takes_and_gives(fast_cnn_file):
    config = read_config("student")
    assert config.backend == "onnxruntime"
    graph = onnx.load(fast_cnn_file).graph
    kinds = {onnx.TensorProto.UINT8: "TYPE_UINT8", onnx.TensorProto.FLOAT: "TYPE_FP32"}
    found = [(each.name, each.type.tensor_type) for each in (*graph.input, *graph.output)]
    received = [(name, kinds[kind.elem_type], [size.dim_value for size in kind.shape.dim[1:]]) for name, kind in found]
    images, (name, kind, sizes) = tensors(config)
    assert images == received[0]
    assert (name, kind, len(sizes)) == (*received[1][:2], len(received[1][2]))  # this model has other classes
    assert all(kind.shape.dim[0].dim_param for _, kind in found)  # any batch


def test_a_model_of_half_precision_becomes_float32_throughout(tmp_path):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    found = write_onnx(build("small_cnn"), tmp_path / "model.onnx")
    assert found["precision"] == "bfloat16"
    proto = onnx.load(tmp_path / "model.onnx")
    values = onnx.shape_inference.infer_shapes(proto).graph.value_info
    kinds = {value.type.tensor_type.elem_type for value in values} | {
        each.data_type for each in proto.graph.initializer
    }
    assert onnx.TensorProto.FLOAT in kinds
    assert not kinds & {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE}


def test_gelu_is_one_operation_and_images_are_transposed_once(fast_cnn_file):
    counts = Counter(node.op_type for node in onnx.load(fast_cnn_file).graph.node)
    # The second transpose is of the last map, before the maximum of each feature.
    assert counts == {"Cast": 1, "Transpose": 2, "Conv": 7, "Gelu": 7, "MaxPool": 3, "ReduceMax": 1, "MatMul": 1}


def test_a_file_that_comes_out_different_is_not_left_behind(tmp_path, monkeypatch):
    translate = export_onnx.to_tf_keras

    def with_one_weight_lost(model, flatten):
        clone = translate(model, flatten=flatten)
        clone.weights[0].assign(0 * clone.weights[0])
        return clone

    monkeypatch.setattr(export_onnx, "to_tf_keras", with_one_weight_lost)
    with pytest.raises(InputError, match="the ONNX file's logits differ"):
        write_onnx(build("small_cnn"), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "attention"), CASES[:3])
def test_int8_keeps_the_logits_and_the_contract(tmp_path, name, attention):
    write_onnx(build(name, attention), tmp_path / "float32.onnx")
    found = quantize_onnx(tmp_path / "float32.onnx", tmp_path / "int8.onnx", SHAPES)
    assert found["images"] == 64
    assert found["agreement"] > 0.9
    assert found["max_difference"] < 0.03 * found["logit_range"]  # seen: 0.016
    runtime = open_artifact(tmp_path / "int8.onnx")
    both = runtime(SHAPES[:5])
    assert (both.dtype, both.shape) == (np.float32, (5, 5))
    np.testing.assert_array_equal(runtime(SHAPES[:1]), both[:1])
    assert {path.name for path in tmp_path.iterdir()} == {"float32.onnx", "int8.onnx"}


def test_every_convolution_of_an_int8_file_has_int8_weights_per_channel(fast_cnn_file, tmp_path):
    quantize_onnx(fast_cnn_file, tmp_path / "int8.onnx", SHAPES)
    graph = onnx.load(tmp_path / "int8.onnx").graph
    initializers = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 7
    for node in convolutions:
        values, weights = (makers[name] for name in node.input[:2])
        assert (values.op_type, weights.op_type) == ("DequantizeLinear", "DequantizeLinear")
        kernel, scales = (initializers[name] for name in weights.input[:2])
        assert kernel.dtype == np.int8
        assert scales.shape == (kernel.shape[0],)
        assert initializers[values.input[2]].dtype == np.uint8


def test_operations_without_an_integer_kernel_are_counted(fast_cnn_file, tmp_path):
    quantize_onnx(fast_cnn_file, tmp_path / "gelu.onnx", SHAPES)
    assert export_onnx.float_operations(tmp_path / "gelu.onnx") == 8  # the seven Gelus, and ReduceMax behind the last
    write_onnx(build("small_cnn"), tmp_path / "float32.onnx")
    quantize_onnx(tmp_path / "float32.onnx", tmp_path / "relu.onnx", SHAPES)
    assert export_onnx.float_operations(tmp_path / "relu.onnx") == 1  # the mean before the head
    assert export_onnx.float_operations(tmp_path / "float32.onnx") > 0


def test_int8_takes_pixels_as_they_are(fast_cnn_file, tmp_path):
    """Of images with all values the range is 0..255: nothing is lost before the first convolution."""
    quantize_onnx(fast_cnn_file, tmp_path / "int8.onnx", np.resize(np.arange(256, dtype=np.uint8), (4, 32, 32, 3)))
    graph = onnx.load(tmp_path / "int8.onnx").graph
    first = next(node for node in graph.node if node.op_type == "QuantizeLinear")
    scale, zero = (
        onnx.numpy_helper.to_array(each).item() for name in first.input[1:] for each in graph.initializer
        if each.name == name
    )  # fmt: skip
    assert (scale, zero) == (1.0, 0)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 8, 8, 3), np.uint8), r"images: expected uint8 \[n, 32, 32, 3\], received uint8 \[2, 8, 8, 3\]"),
        (np.zeros((2, 32, 32, 3), np.float32), r"received float32"),
        (np.zeros((0, 32, 32, 3), np.uint8), "received none"),
    ],
)
def test_images_that_cannot_calibrate_are_refused(fast_cnn_file, tmp_path, images, message):
    with pytest.raises(InputError, match=message):
        quantize_onnx(fast_cnn_file, tmp_path / "int8.onnx", images)
    assert list(tmp_path.iterdir()) == []
