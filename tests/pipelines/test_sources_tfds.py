"""The real CIFAR-10 where it is at hand (TFDS_DATA_DIR), and tiny TFDS data sets written here."""

import os
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import InputError
from pipelines.sources import open_source

tfds = pytest.importorskip("tensorflow_datasets")

DATA_DIR = os.environ.get("TFDS_DATA_DIR")
needs_cifar10 = pytest.mark.skipif(
    not (DATA_DIR and Path(DATA_DIR, "cifar10").is_dir()),
    reason="TFDS_DATA_DIR is unset or holds no cifar10: the real data is not at hand",
)


def write_dataset(data_dir, images=None, labels=(0, 1, 1), splits=("train", "test")):
    """A prepared TFDS data set named toy, with the same examples in every split."""
    if images is None:
        images = [np.full((4, 4, 3), 10 * (i + 1), np.uint8) for i in range(len(labels))]
    shapes = {image.shape for image in images}
    shape = shapes.pop() if len(shapes) == 1 else (None, None, images[0].shape[-1])
    features = {"image": tfds.features.Image(shape=shape), "label": tfds.features.ClassLabel(names=["cat", "dog"])}

    class Toy(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), supervised_keys=("image", "label")
            )

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples() for split in splits}

        def _generate_examples(self):
            for key, (image, label) in enumerate(zip(images, labels, strict=True)):
                yield key, {"image": image, "label": label}

    Toy(data_dir=data_dir).download_and_prepare()


@needs_cifar10
def test_real_cifar10_test_labels_begin_as_published():
    from pipelines.tfds_source import _builder, _dataset

    first = _dataset(_builder("cifar10", Path(DATA_DIR)), "test").take(5)
    assert [int(label) for _, label in first] == [7, 0, 6, 9, 5]  # docs: shared/DATA.md


def test_fixed_size_images_arrive_as_stored(tmp_path):
    write_dataset(tmp_path)
    source = open_source("toy", data_dir=str(tmp_path))
    assert source.class_names == ("cat", "dog")
    assert source.image_shape == (4, 4, 3)
    pairs = dict(zip(source.train.images[:, 0, 0, 0].tolist(), source.train.labels.tolist(), strict=True))
    assert pairs == {10: 0, 20: 1, 30: 1}
    assert len(source.load_test()) == 3
    assert source.validation is None


def test_data_dir_comes_from_the_environment(tmp_path, monkeypatch):
    write_dataset(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert len(open_source("toy").train) == 3


def test_validation_without_test_is_an_official_validation_part(tmp_path):
    write_dataset(tmp_path, splits=("train", "validation"))
    source = open_source("toy", data_dir=str(tmp_path))
    assert len(source.validation) == 3
    assert source.load_test is None


def test_mixed_sizes_and_grey_images_become_rgb_of_one_size(tmp_path):
    images = [np.full((40, 60, 1), 9, np.uint8), np.full((50, 44, 1), 9, np.uint8), np.full((70, 42, 1), 9, np.uint8)]
    write_dataset(tmp_path, images=images)
    source = open_source("toy", data_dir=str(tmp_path))
    assert source.train.images.shape == (3, 42, 42, 3)  # the median of the shorter sides 40, 44, 42
    assert (source.train.images == 9).all()


def test_image_size_is_respected(tmp_path):
    write_dataset(tmp_path)
    assert open_source("toy", data_dir=str(tmp_path), image_size=6).train.images.shape == (3, 6, 6, 3)


def test_test_files_are_not_opened_before_load_test_and_damage_names_the_file(tmp_path):
    write_dataset(tmp_path)
    (file,) = (tmp_path / "toy").rglob("*test.tfrecord*")
    os.truncate(file, file.stat().st_size - 5)
    source = open_source("toy", data_dir=str(tmp_path))
    with pytest.raises(InputError, match=rf"{file.name}: damaged or incomplete \(truncated record"):
        source.load_test()


def test_unknown_name_offers_the_nearest(tmp_path):
    with pytest.raises(
        InputError, match=r"no such name or folder: cifar1O\. Did you mean cifar10.*synthetic, a path"
    ) as error:
        open_source("cifar1O", data_dir=str(tmp_path))
    assert len(str(error.value)) < 300  # not TFDS's hundreds of names


@pytest.mark.parametrize("name", ["nofolder", "my/folder"])
def test_a_folder_that_is_not_there_is_named_without_a_far_fetched_data_set(name, tmp_path):
    with pytest.raises(InputError, match=rf"no such name or folder: {name}\. Other choices: synthetic"):
        open_source(name, data_dir=str(tmp_path))


def test_missing_path_is_named():
    with pytest.raises(InputError, match=r"no such file or folder: \./nowhere"):
        open_source("./nowhere")


def test_set_without_class_labels_is_refused_before_any_download(tmp_path):
    with pytest.raises(InputError, match="imdb_reviews: expected an image classification set"):
        open_source("imdb_reviews", data_dir=str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_failed_download_says_in_one_line_how_to_supply_the_data(tmp_path, monkeypatch, capsys):
    def refuse(self, **kwargs):
        print("Downloading and preparing dataset ...")
        raise ConnectionError("HTTPSConnectionPool: Failed to resolve 'www.cs.toronto.edu' ([Errno -2])")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", refuse)
    with pytest.raises(InputError, match=r"no network: cannot resolve www\.cs\.toronto\.edu") as error:
        open_source("cifar10", data_dir=str(tmp_path))
    message = str(error.value)
    assert "\n" not in message
    for hint in (str(tmp_path), "TFDS_DATA_DIR", "official archive"):
        assert hint in message
    assert "--data-dir" not in message  # not every command has it
    assert capsys.readouterr().out == ""
