"""TFLite files: what they take and give, how close they stay, what they are made of, where INT8 loses what."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

import export.tflite
from export.calibration_data import representative_images
from export.flatbuffer import ALIGNMENT, read, shrink
from export.fold import fold
from export.quantization_error import quantization_errors
from export.runtimes import open_artifact
from export.tf_keras_bridge import to_tf_keras
from export.tflite import FORMS, check_types, tensor_types, write_tflite
from pipelines.errors import InputError
from tests.export.models import build, images, outputs

# Largest difference as a share of the logits' range: what rounding explains, see export.parity; of eight bits a few
# steps in each of a dozen layers.
TOLERANCE = {"float32": 1e-4, "float16": 0.01, "dynamic": 0.05, "int8": 0.15}


def pictures(model: keras.Model, count: int) -> np.ndarray:
    return images(model, count).astype(np.uint8)


@pytest.mark.parametrize(("name", "form"), [*(("fast_cnn", form) for form in FORMS), ("resnet8", "int8")])
def test_each_form_gives_the_logits_for_any_number_of_byte_images(name, form, tmp_path):
    model = build(name)
    path = tmp_path / "model.tflite"
    write_tflite(model, path, form, pictures(model, 20))
    expected = outputs(model, images(model, 5))
    runtime = open_artifact(path)
    assert runtime.image_shape == (32, 32, 3)
    for count in (1, 5):
        received = runtime(pictures(model, 5)[:count])
        assert received.dtype == np.float32
        assert np.abs(received - expected[:count]).max() <= TOLERANCE[form] * np.ptp(expected)


def test_int8_is_integers_in_every_tensor_and_bytes_come_in_as_they_are(tmp_path):
    model = build("attention_cnn", "mhsa")
    path = tmp_path / "model.tflite"
    write_tflite(model, path, "int8", pictures(model, 4))
    assert set(tensor_types(path.read_bytes()).values()) <= {"INT8", "INT32", "UINT8"}
    (details,) = open_artifact(path).interpreter.get_input_details()
    assert details["dtype"] == np.uint8
    assert details["quantization"] == (1.0, 0)


def test_floats_in_a_file_that_should_have_none_are_named(tmp_path):
    path = tmp_path / "model.tflite"
    write_tflite(build("small_cnn"), path, "float32")
    with pytest.raises(InputError, match=r"expected integers alone, found \d+ tensors of other types: FLOAT32 0/"):
        check_types(path.read_bytes(), integers_only=True)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.UpSampling2D(2, interpolation="bicubic"), "cannot be converted: 'tf.ResizeBicubic' op is neither"),
        (layers.Activation("elu"), "expected integers alone, found 2 tensors of other types: FLOAT32"),
    ],
)
def test_what_has_no_integer_kernel_is_an_error_and_nothing_is_written(layer, message, tmp_path):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(layer(inputs))))
    with pytest.raises(InputError, match=message):
        write_tflite(model, tmp_path / "model.tflite", "int8", pictures(model, 4))
    assert not list(tmp_path.iterdir())


def test_a_file_is_shrunk_to_the_same_network(tmp_path):
    """What the converter itself writes, and the same without repetitions: every bit of the logits, every number."""
    model, examples = build("resnet8"), pictures(build("resnet8"), 20)
    clone = to_tf_keras(fold(model), flatten=True)
    converted = export.tflite._convert(export.tflite._int8_converter(clone, examples))
    small = shrink(converted)
    assert len(small) < 0.95 * len(converted)
    files = [tmp_path / "converted.tflite", tmp_path / "small.tflite"]
    for path, content in zip(files, (converted, small), strict=True):
        path.write_bytes(content)
    np.testing.assert_array_equal(*(open_artifact(path)(examples) for path in files))

    before, after = read(converted), read(small)
    for expected, received in zip(before.subgraphs[0].tensors, after.subgraphs[0].tensors, strict=True):
        np.testing.assert_array_equal(received.quantization.scale, expected.quantization.scale)
        np.testing.assert_array_equal(received.quantization.zeroPoint, expected.quantization.zeroPoint)
        np.testing.assert_array_equal(after.buffers[received.buffer].data, before.buffers[expected.buffer].data)
    names = [tensor.name for tensor in after.subgraphs[0].tensors if tensor.name]
    assert len(set(names)) == len(names)


def test_weights_in_a_shrunk_file_are_aligned_as_the_format_asks(tmp_path):
    path = tmp_path / "model.tflite"
    write_tflite(build("small_cnn"), path, "float32")
    content = path.read_bytes()
    kernels = [buffer.data for buffer in read(content).buffers if buffer.data is not None and len(buffer.data) > 100]
    assert kernels
    assert all(content.index(kernel.tobytes()) % ALIGNMENT == 0 for kernel in kernels)


def test_weights_are_quantized_per_channel(tmp_path):
    """One filter a thousand times the others would cost them all their steps otherwise."""
    model = build("small_cnn")
    first = next(layer for layer in model.layers if isinstance(layer, layers.Conv2D))
    first.kernel.assign(first.kernel * np.where(np.arange(first.filters) == 0, 1000.0, 1.0))
    path = tmp_path / "model.tflite"
    write_tflite(model, path, "int8", pictures(model, 4))
    details = open_artifact(path).interpreter.get_tensor_details()
    scales = [each["quantization_parameters"]["scales"] for each in details if tuple(each["shape"])[1:3] == (3, 3)]
    assert max(len(each) for each in scales) > 1


def test_the_error_of_each_layer_is_measured_and_a_ruined_range_is_found(tmp_path):
    model = build("small_cnn")
    whole, integer = tmp_path / "whole.tflite", tmp_path / "integer.tflite"
    write_tflite(model, whole, "float32")
    write_tflite(model, integer, "int8", pictures(model, 20))
    rows = quantization_errors(whole, integer, pictures(model, 3))
    assert [row["layer"] for row in rows][-1] == "logits"
    assert {row["operation"] for row in rows} >= {"CONV_2D", "FULLY_CONNECTED"}
    assert all(0 < row["relative_error"] < 0.3 for row in rows)
    assert max(row["clipped"] for row in rows) < 0.1
    write_tflite(model, integer, "int8", np.zeros_like(pictures(model, 3)))  # has seen black images alone, and one more
    blind = quantization_errors(whole, integer, pictures(model, 3))
    assert max(row["clipped"] for row in blind) > max(row["clipped"] for row in rows)
    assert blind[-1]["relative_error"] > rows[-1]["relative_error"]


def test_representative_images_are_training_images_the_same_for_a_seed(splits):
    chosen = representative_images(splits, 10, seed=3)
    training = {image.tobytes() for image in splits.train.images}
    assert all(image.tobytes() in training for image in chosen)
    np.testing.assert_array_equal(chosen, representative_images(splits, 10, seed=3))
    with pytest.raises(InputError, match="expected 1 to"):
        representative_images(splits, 10**6)


def test_a_small_training_split_represents_itself(splits):
    few = dataclasses.replace(splits, train=splits.train.take(np.arange(30)))
    assert len(representative_images(few)) == 30
    assert len(representative_images(splits)) == min(500, len(splits.train))
