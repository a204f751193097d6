"""Which models are served, and how versions come and go."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import InputError
from tests.tfcifar.serving.fake_models import SHAPE
from tfcifar.prediction.opened import Opened
from tfcifar.serving.errors import RequestError
from tfcifar.serving.metrics import Metrics
from tfcifar.serving.registry import Registry
from tfcifar.serving.repository import read_arguments
from tfcifar.serving.settings import Settings


def add(root, name, version, content=b"", file="model.onnx"):
    folder = root / name / str(version)
    folder.mkdir(parents=True)
    (folder / file).write_bytes(content)
    return folder


@pytest.fixture
def open_registry(fake):
    opened = []

    def open_them(*arguments, loader=fake.load):
        opened.append(Registry(Settings(models=tuple(map(str, arguments))), loader, Metrics()))
        return opened[-1]

    yield open_them
    for registry in opened:
        registry.close()


def served(registry):
    return sorted((model.name, model.version) for model in registry.models.values())


def test_files_folders_and_repositories_are_told_apart(tmp_path, open_registry):
    (tmp_path / "a.tflite").touch()
    (tmp_path / "b.onnx").touch()
    add(tmp_path / "zoo", "c", 2)
    add(tmp_path / "zoo", "c", 10)
    registry = open_registry(tmp_path / "a.tflite", f"renamed={tmp_path / 'b.onnx'}", tmp_path / "zoo")
    assert served(registry) == [("a", 1), ("c", 2), ("c", 10), ("renamed", 1)]
    assert registry.get().name == "a"
    assert registry.get("c").version == 10
    assert registry.get("c", "2").version == 2
    for name, version in (("d", None), ("c", "3"), ("c", "02"), ("../zoo/c", None)):
        with pytest.raises(RequestError) as refused:
            registry.get(name, version)
        assert refused.value.status == 404


@pytest.mark.parametrize("marker", ["recipe.json", "saved_model.pb"])
def test_run_directories_and_saved_models_are_models_of_their_folders_name(tmp_path, marker):
    folder = tmp_path / "level_2-cpu-seed0"
    folder.mkdir()
    (folder / marker).touch()
    assert read_arguments((str(folder),)).fixed == {("level_2-cpu-seed0", 1): folder}


def test_arguments_that_cannot_be_served_are_refused(tmp_path, open_registry):
    for name in ("a.onnx", "a.tflite", "a b.onnx"):
        (tmp_path / name).touch()
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    (tmp_path / "empty").mkdir()
    for arguments, message in (
        ([tmp_path / "nothing.onnx"], "no such file or folder"),
        ([tmp_path / "a.onnx", tmp_path / "a.tflite"], r"two models named a; call one by another name: NAME="),
        ([tmp_path / "a b.onnx"], "model name: expected letters"),
        ([tmp_path / "broken.onnx"], "broken"),
        ([tmp_path / "empty"], "no model in it that can be served"),
        ([f"x={tmp_path / 'empty'}"], "expected a model after the name"),
    ):
        with pytest.raises(InputError, match=message):
            open_registry(*arguments)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda images: np.zeros((len(images), 2), np.float32), "expected 2 class names"),
        (lambda images: np.zeros((1, 3), np.float32), "expected logits float32"),
        (lambda images: np.zeros((len(images), 3)), "expected logits float32"),
        (lambda images: np.full((len(images), 3), np.nan, np.float32), "finite"),
        (lambda images: 1 // 0, "fails on a batch of 32 images: integer division"),
    ],
)
def test_a_model_that_breaks_the_contract_is_refused_at_the_start(tmp_path, open_registry, run, message):
    (tmp_path / "a.onnx").touch()
    with pytest.raises(InputError, match=message):
        open_registry(tmp_path / "a.onnx", loader=lambda path, threads: Opened(run, SHAPE, "fake", ["a", "b", "c"]))


@pytest.mark.parametrize("shape", [(4, 6, 1), (None, None, 3), ("h", "w", 3), (4, 6)])
def test_a_model_without_one_size_of_rgb_images_is_refused(tmp_path, open_registry, fake, shape):
    (tmp_path / "a.onnx").touch()
    with pytest.raises(InputError, match=r"expected a model of images \[height, width, 3\]"):
        open_registry(tmp_path / "a.onnx", loader=lambda path, threads: Opened(fake, shape, "fake"))


def test_a_new_version_is_served_once_nobody_writes_to_it_any_more(tmp_path, open_registry):
    add(tmp_path, "m", 1)
    registry = open_registry(tmp_path)
    folder = add(tmp_path, "m", 2, b"half")
    registry.refresh()
    assert served(registry) == [("m", 1)]
    (folder / "model.onnx").write_bytes(b"whole now")
    registry.refresh()
    assert served(registry) == [("m", 1)]
    registry.refresh()
    assert served(registry) == [("m", 1), ("m", 2)]
    assert registry.get("m").version == 2


def test_a_broken_version_is_passed_over_until_it_changes(tmp_path, open_registry):
    add(tmp_path, "m", 1)
    add(tmp_path, "m", 2, b"broken")
    add(tmp_path, "m", 3, file="model.txt")
    registry = open_registry(tmp_path)
    assert served(registry) == [("m", 1)]
    registry.refresh()  # nothing of what could not be loaded is there to be dropped
    (tmp_path / "m" / "2" / "model.onnx").write_bytes(b"repaired")
    registry.refresh()
    registry.refresh()
    assert served(registry) == [("m", 1), ("m", 2)]


def test_a_version_that_is_gone_is_dropped_but_answers_who_still_holds_it(tmp_path, open_registry):
    add(tmp_path, "m", 1)
    folder = add(tmp_path, "m", 2)
    registry = open_registry(tmp_path)
    held = registry.get("m")
    (folder / "model.onnx").unlink()
    folder.rmdir()
    assert registry.refresh() == [held]
    assert served(registry) == [("m", 1)]
    assert not held.batcher.closed
    held.batcher.close()


def test_models_stay_while_their_folder_cannot_be_read(tmp_path, open_registry):
    add(tmp_path / "zoo", "m", 1)
    registry = open_registry(tmp_path / "zoo")
    (tmp_path / "zoo").rename(tmp_path / "away")
    assert registry.refresh() == []
    assert served(registry) == [("m", 1)]


@pytest.fixture
def forbid(monkeypatch):
    """A function: from now on a folder cannot be listed. Permissions would not stop root."""
    forbidden, iterdir = set(), Path.iterdir

    def refuse(folder):
        if folder in forbidden:
            raise PermissionError(13, "Permission denied", str(folder))
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    return forbidden.add


def test_a_folder_that_cannot_be_read_hides_no_other_one(tmp_path, open_registry, forbid):
    for name in ("a", "b", "c"):
        add(tmp_path, name, 1)
    forbid(tmp_path / "b")
    registry = open_registry(tmp_path)
    assert served(registry) == [("a", 1), ("c", 1)]
    add(tmp_path, "c", 2)
    forbid(tmp_path / "a")
    registry.refresh()
    registry.refresh()
    assert served(registry) == [("a", 1), ("c", 1), ("c", 2)]


def test_the_model_that_answers_where_none_is_named_stays_the_same_while_versions_come_and_go(tmp_path, open_registry):
    for name in ("a", "b"):
        add(tmp_path / "zoo", name, 1)
    registry = open_registry(tmp_path / "zoo")
    add(tmp_path / "zoo", "a", 2)
    registry.refresh()
    registry.refresh()
    shutil.rmtree(tmp_path / "zoo" / "a" / "1")
    registry.refresh()
    assert served(registry) == [("a", 2), ("b", 1)]
    assert registry.get().name == "a"
    assert registry.names() == ["a", "b"]


@pytest.mark.parametrize("beside", ["model.onnx.json", "1/weights.bin"])
def test_nothing_of_a_version_is_read_through_a_link_that_leads_out(tmp_path, open_registry, beside):
    add(tmp_path / "zoo", "m", 1)
    folder = add(tmp_path / "zoo", "m", 2)
    (tmp_path / "secret").touch()
    (folder / beside).parent.mkdir(exist_ok=True)
    (folder / beside).symlink_to(tmp_path / "secret")
    assert served(open_registry(tmp_path / "zoo")) == [("m", 1)]


def test_hidden_odd_and_foreign_folders_are_not_served(tmp_path, open_registry):
    zoo = tmp_path / "zoo"
    add(zoo, "m", 1)
    for name, version in ((".git", 1), ("m", ".2"), ("m", "v3"), ("m", 0), ("m", "01"), ("a b", 1)):
        add(zoo, name, version)
    (tmp_path / "secret.onnx").touch()
    (zoo / "m" / "4").mkdir()
    (zoo / "m" / "4" / "model.onnx").symlink_to(tmp_path / "secret.onnx")
    add(zoo, "m", 5)
    (zoo / "m" / "5" / "second.onnx").touch()
    assert served(open_registry(zoo)) == [("m", 1)]
