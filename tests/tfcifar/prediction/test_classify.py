"""Rows of a model whose logits can be said by hand, and what is kept and written on the way to them."""

import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.image_folder import read_image
from tests.tfcifar.serving.fake_models import SHAPE, channel_sums, left_half
from tfcifar.explain.overlay import overlay
from tfcifar.prediction import classify
from tfcifar.prediction.opened import Opened


def opened(run=channel_sums) -> Opened:
    return Opened(run, SHAPE, "fake", ["red", "green", "blue"], explain=left_half)


def save(path: Path, seed=0) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (900, 700, 3)).astype(np.uint8)).save(path)
    return str(path)


def rows(names, overlays=None, model=None) -> list[dict]:
    return list(classify.classify(names, model or opened(), 1, None, overlays, pytest.fail))


@pytest.mark.parametrize("explain", [False, True])
def test_pictures_in_their_own_size_are_gone_before_the_model_works(tmp_path, monkeypatch, explain):
    pictures, alive = [], []

    def read_and_watch(name):
        alive.extend(reference() is not None for reference in pictures)
        picture = read_image(name)
        pictures.append(weakref.ref(picture))
        return picture

    def run(images):
        alive.extend(reference() is not None for reference in pictures)
        return channel_sums(images)

    monkeypatch.setattr(classify, "read_image", read_and_watch)
    names = [save(tmp_path / f"{number}.png", number) for number in range(3)]
    answers = rows(names, tmp_path / "overlays" if explain else None, opened(run))
    assert alive == [False] * 6
    for name, answer in zip(names, answers, strict=True):
        if explain:
            expected = overlay(read_image(name), left_half(np.zeros((1, *SHAPE)), np.zeros(1))[0])
            assert np.array_equal(read_image(answer["explanation"]), expected)
        else:
            assert answer["explanation"] is None


def test_overlays_in_the_folder_of_the_images_spare_the_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [save(Path("photos/cat.png"), 0), save(Path("photos/cat.jpg"), 1), save(tmp_path / "more" / "dog.png", 2)]
    Path("photos/dog.png").symlink_to(names[2])
    before = [Path(name).read_bytes() for name in names]
    found = [row["explanation"] for row in rows(names, tmp_path / "more" / ".." / "photos")]
    assert [Path(name).name for name in found] == ["cat-2.png", "cat-3.png", "dog-2.png"]
    assert [Path(name).read_bytes() for name in names] == before
