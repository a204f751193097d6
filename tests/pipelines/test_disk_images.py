"""Images on the disk are the same as in memory, take no memory there, and are made again where the file is damaged."""

import os
import platform
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from PIL import Image

import pipelines.disk_images
import pipelines.splits
from pipelines.augment_config import Augment
from pipelines.datasets import make_eval_dataset, make_image_dataset, make_train_dataset
from pipelines.disk_images import cache_folder
from pipelines.errors import InputError
from pipelines.sources import open_source
from pipelines.splits import make_splits, open_test_split

SIDE = 32


def write_folder(root, per_class: int, parts=("train", "validation", "test")):
    random = np.random.RandomState(0)
    for part in parts:
        for label, name in enumerate(("cat", "dog")):
            (root / part / name).mkdir(parents=True)
            for index in range(per_class):
                pixels = random.randint(0, 156, (SIDE, SIDE, 3)) + 100 * label
                Image.fromarray(pixels.astype(np.uint8)).save(root / part / name / f"{index:05d}.bmp")
    return root


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TFCIFAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def both(tmp_path):
    """The same folder, in memory and on the disk."""
    root = str(write_folder(tmp_path / "data", 12))
    return [open_source(root, cache=cache) for cache in ("memory", "disk")]


@pytest.mark.parametrize("options", [{}, {"train_on_validation": True}, {"folds": 3, "fold": 1}])
def test_splits_have_the_same_images_checksums_and_statistics(both, options):
    memory, disk = (make_splits(source, **options) for source in both)
    assert disk.checksums == memory.checksums
    assert (disk.mean, disk.std) == (memory.mean, memory.std)
    for part in ("train", "validation"):
        np.testing.assert_array_equal(getattr(disk, part).images[:], getattr(memory, part).images)
        np.testing.assert_array_equal(getattr(disk, part).labels, getattr(memory, part).labels)
    assert open_test_split(both[1])[1] == open_test_split(both[0])[1]


def test_batches_are_the_same(both):
    memory, disk = (make_splits(source) for source in both)
    augment = Augment(flip="random", crop_padding=2)
    for make in (
        lambda splits: make_train_dataset(splits.train, 2, augment, 8, 0, 0, 2),
        lambda splits: make_train_dataset(splits.train, 2, augment, 8, 0, 0, 1, augment_on_device=True),
        lambda splits: make_eval_dataset(splits.validation, 2, 7, integer_labels=True),
        lambda splits: ((images,) for images in make_image_dataset(splits.validation.images, 7)),
    ):
        expected, found = list(make(memory)), list(make(disk))
        assert len(expected) == len(found) > 1
        for one, other in zip(expected, found, strict=True):
            for a, b in zip(one, other, strict=True):
                np.testing.assert_array_equal(a, b)


def test_images_are_decoded_once_and_again_where_a_file_of_the_folder_changes(tmp_path, cache):
    root = write_folder(tmp_path / "data", 4, ("train",))
    first = open_source(str(root), cache="disk").train.images[:]
    files = {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert sorted(name.partition(".")[2] for name in files) == ["json", "uint8"]
    open_source(str(root), cache="disk")
    assert {path.name: path.stat().st_mtime_ns for path in cache.iterdir()} == files
    Image.new("RGB", (SIDE, SIDE), "red").save(root / "train" / "cat" / "00000.bmp")
    os.utime(root / "train" / "cat" / "00000.bmp", (0, 0))
    changed = open_source(str(root), cache="disk").train.images[:]
    assert (changed[0] == [255, 0, 0]).all()
    np.testing.assert_array_equal(changed[1:], first[1:])


def turn_a_bit(path):
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def spoil_the_record(path):
    path.with_suffix(".json").write_text("{")


@pytest.mark.parametrize("damage", [turn_a_bit, cut, spoil_the_record])
def test_a_damaged_file_is_told_and_made_again(tmp_path, cache, capsys, damage):
    root = str(write_folder(tmp_path / "data", 4, ("train",)))
    expected = open_source(root, cache="disk").train.images[:]
    damage(next(cache.glob("*.uint8")))
    np.testing.assert_array_equal(open_source(root, cache="disk").train.images[:], expected)
    assert "incomplete or altered, and is made again" in capsys.readouterr().err


def test_what_a_killed_process_has_left_goes_and_a_full_disk_is_one_line(tmp_path, cache):
    root = str(write_folder(tmp_path / "data", 4, ("train",)))
    open_source(root, cache="disk")
    whole = next(cache.glob("*.uint8"))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    half = [f".{whole.stem}.{host}-{ended.pid}.tmp" for host in (platform.node(), "another-host")]
    for name in half:
        (cache / name).write_bytes(b"half")
    whole.unlink()
    (cache / f".{whole.stem}.{platform.node()}-{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"uint8: cannot be written \(No space left on device\)"):
        open_source(root, cache="disk")
    assert sorted(path.name for path in cache.iterdir()) == [half[1], f"{whole.stem}.json"]  # that host may be at it
    assert len(open_source(root, cache="disk").train) == 8


def peak_of_an_epoch(root, cache: str) -> int:
    """Bytes of NumPy and Python at most, from the folder through the splits to every batch of an epoch."""
    tracemalloc.start()
    train = make_splits(open_source(str(root), cache=cache)).train
    for start in range(0, len(train), 16):
        train.images[np.arange(start, min(start + 16, len(train)))]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_ten_times_as_many_images_take_no_more_memory(tmp_path, monkeypatch):
    """But for labels and the names of files. In memory they take theirs: else this would measure nothing."""
    monkeypatch.setattr(pipelines.splits, "CHUNK", 1 << 17)
    small, large = write_folder(tmp_path / "small", 40, ("train",)), write_folder(tmp_path / "large", 400, ("train",))
    for cache in ("memory", "disk"):
        peak_of_an_epoch(small, cache)  # what is imported for the first time is not of the images
    image_bytes = 2 * (400 - 40) * SIDE * SIDE * 3
    extra = {cache: peak_of_an_epoch(large, cache) - peak_of_an_epoch(small, cache) for cache in ("disk", "memory")}
    assert extra["memory"] > image_bytes
    assert extra["disk"] < image_bytes / 4


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("TFCIFAR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "tfcifar"


def test_only_image_folders_are_kept_on_the_disk():
    with pytest.raises(InputError, match=r"data.cache: expected memory for synthetic, received disk"):
        open_source("synthetic", cache="disk")
