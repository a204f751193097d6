"""model.keras: what comes back from it, and what is refused of a file from elsewhere."""

import zipfile

import keras
import pytest
from keras import layers

from pipelines.errors import InputError
from tfcifar.models import build_model
from tfcifar.models.saved import load_model
from tfcifar.recipe import Model


def small_cnn() -> keras.Model:
    return build_model(Model("small_cnn", widths=(4,)), (8, 8, 3), 3, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


def test_an_error_without_a_text_is_said_by_its_name(tmp_path, monkeypatch):
    small_cnn().save(tmp_path / "large.keras")

    def no_room(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(keras.saving, "load_model", no_room)
    with pytest.raises(InputError, match=r"large.keras: cannot be loaded as a .keras model: MemoryError"):
        load_model(tmp_path / "large.keras")


def test_a_model_that_carries_code_is_refused_and_runs_none(tmp_path):
    marker = tmp_path / "was_here"
    touch = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    inputs = keras.Input((4,))
    hostile = keras.Model(inputs, layers.Lambda(eval(f"lambda x: ({touch}, x)[1]"), output_shape=(4,))(inputs))
    hostile.save(tmp_path / "hostile.keras")
    marker.unlink(missing_ok=True)
    with pytest.raises(InputError, match=r"hostile.keras: cannot be loaded"):
        load_model(tmp_path / "hostile.keras")
    assert not marker.exists()


def truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flip_a_byte_of_the_weights(data: bytes) -> bytes:
    place = data.index(b"\x89HDF") + 3000
    return data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]


def no_zip(data: bytes) -> bytes:
    return b"not a model"


@pytest.mark.parametrize("damage", [truncate, flip_a_byte_of_the_weights, no_zip])
def test_a_damaged_model_file_is_named(tmp_path, damage):
    path = tmp_path / "model.keras"
    small_cnn().save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"model.keras: cannot be loaded"):
        load_model(path)


def test_a_missing_model_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere.keras: cannot be loaded"):
        load_model(tmp_path / "nowhere.keras")


def test_a_saved_model_holds_no_pickle(tmp_path):
    small_cnn().save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        assert sorted(file.namelist()) == ["config.json", "metadata.json", "model.weights.h5"]
