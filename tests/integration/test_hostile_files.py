"""Files made to do harm: each ends in one clear line, soon, without running or filling anything."""

import io
import json
import pickle
import struct
import time
import zipfile
import zlib
from functools import partial
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from export.runtimes import open_artifact
from pipelines.errors import InputError
from pipelines.image_folder import open_image_folder, read_image, read_size
from tests.integration.commands import error_lines, run
from tests.tiny_models import write_int8_tflite
from tfcifar.arrays import read_arrays
from tfcifar.models.saved import load_model
from tfcifar.models.transfer import mobilenet_v2

SECONDS = 10  # a machine that is busy with other things included; each takes a fraction of one


def assert_refused(message: str, call, *arguments) -> None:
    started = time.perf_counter()
    with pytest.raises(InputError, match=message) as refused:
        call(*arguments)
    assert "\n" not in str(refused.value)
    assert time.perf_counter() - started < SECONDS


@pytest.fixture(scope="module")
def members(tmp_path_factory) -> dict[str, bytes]:
    """Of a good .keras file."""
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    x = keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    path = tmp_path_factory.mktemp("good") / "good.keras"
    keras.Model(inputs, x).save(path)
    assert load_model(path).output_shape == (None, 3)
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def write_keras(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def with_weights(members: dict, change) -> dict:
    """`members` after `change` of the HDF5 file and the name of its largest array."""
    content, names = io.BytesIO(members["model.weights.h5"]), []
    with h5py.File(content, "r+") as file:
        file.visititems(lambda name, item: names.append((item.size, name)) if isinstance(item, h5py.Dataset) else None)
        change(file, max(names)[1])
    return members | {"model.weights.h5": content.getvalue()}


def never_written(file, name):
    del file[name]
    file.create_dataset(name, (3, 3, 300_000, 300_000), "float32", chunks=(3, 3, 64, 64), compression="gzip")


def test_an_hdf5_file_of_three_terabytes(members, tmp_path):
    path = write_keras(tmp_path / "bomb.keras", with_weights(members, never_written))
    assert path.stat().st_size < 100_000
    assert_refused(r"expected weights as they are, received .*300000.*, which is not in the file", load_model, path)


def test_an_hdf5_file_that_points_to_another(members, tmp_path):
    def link(file, name):
        del file[name]
        file[name] = h5py.ExternalLink("/etc/passwd", "x")

    path = write_keras(tmp_path / "link.keras", with_weights(members, link))
    assert_refused("cannot be loaded as a .keras model", load_model, path)


@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        ("config.json", lambda good: good.replace(b'"filters": 4', b'"filters": 2000000000'), "filters 2,000,000,000"),
        ("config.json", lambda good: good.replace(b"[null, 8, 8, 3]", b"[null, 90000, 90000, 3]"), "90,000"),
        ("config.json", lambda good: b"[" * 200_000, "nested without end"),
        ("config.json", lambda good: good + b" " * (60 << 20), r"config.json of \d\d,\d{3},\d{3} bytes"),
        ("../../../tmp/evil", lambda good: b"x", r"received ../../../tmp/evil"),
        ("assets/code.py", lambda good: b"x", r"received assets/code.py"),
    ],
    ids=["a layer of 200 GB", "images of 24 GB", "nested JSON", "zip bomb", "zip slip", "more than a model"],
)
def test_a_keras_file_that_asks_for_too_much(members, tmp_path, member, content, message):
    changed = content(members.get(member))
    assert changed != members.get(member)
    assert_refused(message, load_model, write_keras(tmp_path / "bomb.keras", members | {member: changed}))


def test_a_keras_file_with_small_numbers_whose_product_is_huge(members, tmp_path):
    config = members["config.json"].replace(b'"filters": 4', b'"filters": 4096')
    config = config.replace(b'"kernel_size": [3, 3]', b'"kernel_size": [4096, 4096]')
    config = config.replace(b'"padding": "valid"', b'"padding": "same"')
    assert config.count(b"4096") == 3
    path = write_keras(tmp_path / "bomb.keras", members | {"config.json": config})
    make_variable = keras.Variable.__init__
    assert_refused(r"expected weights like the 127 numbers in the file, received more than 1,", load_model, path)
    assert keras.Variable.__init__ is make_variable


def test_a_keras_file_with_metrics_of_gigabytes(members, tmp_path):
    inputs = keras.Input((8, 8, 3))
    inner = keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))
    inner.compile("adam", "mse", metrics=[keras.metrics.MeanIoU(5, name="iou")])
    keras.Model(inputs, inner(inputs)).save(tmp_path / "inner.keras")
    assert load_model(tmp_path / "inner.keras").count_params() == 112
    with zipfile.ZipFile(tmp_path / "inner.keras") as file:
        members = {name: file.read(name) for name in file.namelist()}
    config = members["config.json"].replace(b'"num_classes": 5', b'"num_classes": 4096')
    assert config != members["config.json"]
    path = write_keras(tmp_path / "bomb.keras", members | {"config.json": config})
    assert_refused("expected weights like the 114 numbers in the file", load_model, path)


def test_a_keras_file_with_an_endless_state(tmp_path):
    inputs = keras.Input(batch_shape=(1, 2, 8, 8, 3))
    model = keras.Model(inputs, keras.layers.ConvLSTM2D(4, 3, stateful=True)(inputs))
    model.save(tmp_path / "state.keras")
    assert_refused("expected no layer that keeps a state", load_model, tmp_path / "state.keras")


@pytest.mark.parametrize("name", ["bomb.weights.h5", "bomb.h5", "bomb.keras"])
def test_pretrained_weights_that_are_not_in_their_file(members, tmp_path, name):
    path, members = tmp_path / name, with_weights(members, never_written)
    path.write_bytes(members["model.weights.h5"])
    if path.suffix == ".keras":
        write_keras(path, members)
    build = partial(mobilenet_v2, (32, 32, 3), 3, weights=str(path), image_size=32, dropout=0.0)
    assert_refused(r"bomb.* expected weights as they are, received .*300000.*, which is not in the file", build)


def test_a_tflite_file_of_terabytes(tmp_path):
    path = write_int8_tflite(tmp_path / "bomb.tflite", (32, 32, 3), 3)
    shape = struct.pack("<4i", 1, 32, 32, 3)
    content = path.read_bytes()
    assert shape in content
    path.write_bytes(content.replace(shape, struct.pack("<4i", 1, 1_000_000, 1_000_000, 3)))
    assert_refused(r"expected tensors of at most 4,294,967,296 bytes in all, received \d,\d{3},", open_artifact, path)


@pytest.mark.parametrize("name", ["model.keras", "model.tflite", "model.onnx"])
def test_a_pickle_in_the_place_of_a_model(tmp_path, name):
    marker = tmp_path / "was_here"
    (tmp_path / name).write_bytes(pickle.dumps(Hostile(marker)))
    assert_refused("cannot be loaded", open_artifact, tmp_path / name)
    assert not marker.exists()


def test_a_pickle_in_the_place_of_arrays(tmp_path):
    marker = tmp_path / "was_here"
    (tmp_path / "predictions.npz").write_bytes(pickle.dumps(Hostile(marker)))
    assert_refused("incomplete or altered", read_arrays, tmp_path / "predictions.npz")
    np.savez(tmp_path / "objects.npz", header=np.array([Hostile(marker)], dtype=object))
    assert_refused("incomplete or altered", read_arrays, tmp_path / "objects.npz")
    assert not marker.exists()


class Hostile:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def write_file(path):
    tf.io.write_file(path, "x")


def print_to_file(path):
    tf.print("x", output_stream=f"file://{path}")


def save_checkpoint(path):
    tf.raw_ops.SaveV2(prefix=path, tensor_names=["x"], shape_and_slices=[""], tensors=[tf.ones(3)])


def read_lines(path):
    for line in tf.data.TextLineDataset(path):
        tf.debugging.assert_equal(line, "x")


@pytest.mark.parametrize(
    ("act", "operation"),
    [(write_file, "WriteFile"), (print_to_file, "PrintV2"), (save_checkpoint, "SaveV2"), (read_lines, r"\w*Dataset")],
)
def test_a_saved_model_that_reaches_into_files(tmp_path, act, operation):
    marker = tmp_path / "was_here"

    class Hostile(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.uint8)])
        def serve(self, images):
            act(str(marker))
            return {"logits": tf.reduce_mean(tf.cast(images, tf.float32), (1, 2))}

    module = Hostile()
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": module.serve})
    assert_refused(f"that only computes, received one with {operation}", open_artifact, tmp_path / "model")
    assert list(tmp_path.glob("was_here*")) == []


def png_of(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that says it has so many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("read", [read_image, read_size])
def test_an_image_of_ten_gigapixels(tmp_path, read):
    (tmp_path / "bomb.png").write_bytes(png_of(100_000, 100_000))
    assert_refused("cannot be read as an image", read, tmp_path / "bomb.png")


def test_an_image_of_ten_gigapixels_in_a_folder_or_from_a_caller(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "data" / "train" / name).mkdir(parents=True)
        (tmp_path / "data" / "train" / name / "1.png").write_bytes(png_of(100_000, 100_000))
    assert_refused(r"cat/1.png: cannot be read as an image", open_image_folder, tmp_path / "data")


def test_a_recipe_is_data_and_not_code(tmp_path):
    marker = tmp_path / "was_here"
    text = json.dumps({"name": f"__import__('pathlib').Path({str(marker)!r}).touch()", "model": 1})
    (tmp_path / "recipe.json").write_text(text)
    (line,) = error_lines(run("tfcifar.train", "--recipe", tmp_path / "recipe.json", expect=2))
    assert "recipe.model: expected a group of fields" in line
    assert not marker.exists()
