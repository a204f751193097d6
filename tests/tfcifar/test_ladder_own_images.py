"""The commands of a ladder on a folder of one's own images."""

import shlex

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import InputError
from pipelines.sources import is_image_folder
from tests.integration.commands import run
from tfcifar import recipes, train
from tfcifar.ladder.own_images import _options, default_folder, fit_recipes
from tfcifar.ladder.steps import plan
from tfcifar.runs import recipe_from_arguments


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three classes of 30 images, 480 x 360 pixels each: 69 to train on, 9 to validate, 12 to test."""
    folder = tmp_path_factory.mktemp("images") / "mine"
    for colour in ("red", "green", "blue"):
        (folder / "train" / colour).mkdir(parents=True)
        for index in range(30):
            pixels = np.full((360, 480, 3), index, np.uint8)
            Image.fromarray(pixels).save(folder / "train" / colour / f"{index}.png")
    return folder


def trained(preset, folder, **chosen):
    """The recipes that the ladder trains, by level."""
    fitted = fit_recipes(preset, str(folder), None, chosen.get("image_size"))
    steps = plan(preset, folder / "ladder", ["--dataset", str(folder)], fitted)
    arguments = {step.level: shlex.split(step.command)[3:] for step in steps if step.name == "train"}
    return {level: recipe_from_arguments(train.parse(each)) for level, each in arguments.items()}


@pytest.mark.parametrize(("preset", "size"), [("demo", 32), ("cpu", 64), ("gpu", 64)])
def test_few_large_images_are_made_small_and_come_in_small_batches(preset, size, folder):
    found = trained(preset, folder)
    assert sorted(found) == [1, 2, 3, 5]
    assert {recipe.batch_size for recipe in found.values()} == {8}
    assert {recipe.data.image_size for recipe in found.values()} == {size}
    assert not any(recipe.data.train_on_validation for recipe in found.values())


def test_networks_from_scratch_have_400_steps_at_least_and_rates_for_their_batches(folder):
    found = trained("demo", folder)
    assert {recipe.epochs for recipe in found.values()} == {50}  # of 8 batches of 8: 69 images
    assert [found[level].optimizer.learning_rate for level in (1, 2)] == [0.2 * 8 / 128] * 2
    many = _options(recipes.load("level_1", "demo"), 32, 45_000)
    assert many[2:] == ["--set", "batch_size=128", "--set", "epochs=3", "--set", "optimizer.learning_rate=0.2"]


def test_each_data_set_has_a_ladder_of_its_own(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for dataset in (f"{folder}/", "."):
        assert str(default_folder("demo", dataset)) == "runs/ladder-demo-mine"
    assert str(default_folder("cpu", "imagenet_resized/32x32")) == "runs/ladder-cpu-imagenet_resized_32x32"
    assert str(default_folder("cpu", "cifar100")) == "runs/ladder-cpu-cifar100"
    assert str(default_folder("cpu", "cifar10")) == str(default_folder("cpu", None)) == "runs/ladder-cpu"


def test_first_epochs_of_networks_from_scratch_are_on_three_quarters_of_the_size(folder):
    found = trained("cpu", folder, image_size=96)
    assert [found[level].small_images.image_size for level in (1, 2, 3, 5)] == [128, 128, 72, 72]


@pytest.mark.parametrize(
    ("level", "size", "images", "batch"),
    [(1, 224, 1_000_000, 64), (1, 64, 700, 32), (3, 32, 1_000_000, 512), (3, 64, 1_000_000, 128), (3, 64, 459, 16)],
)
def test_batches_are_the_largest_of_20_to_an_epoch_in_the_memory_of_cifar_10(level, size, images, batch):
    assert f"batch_size={batch}" in _options(recipes.load(f"level_{level}", "cpu"), size, images)


def test_a_set_of_another_kind_is_no_folder(tmp_path, folder):
    assert is_image_folder(str(folder))
    assert not is_image_folder("synthetic")
    assert not is_image_folder("nothing_here")
    for name in ("data_batch_1.bin", "test_batch.bin"):  # an official archive, extracted
        (tmp_path / name).touch()
    assert not is_image_folder(str(tmp_path))


def test_what_is_wrong_with_the_images_ends_the_ladder_before_its_first_level(folder, tmp_path):
    command = ("tfcifar.ladder.__main__", "--preset", "cpu", "--output", tmp_path / "ladder", "--dataset")
    stderr = run(*command, folder, "--image-size", 512, expect=2).stderr
    assert stderr == "error: --image-size: expected 24 to 224 pixels, received 512.\n"
    for name in ("cat", "dog"):
        (tmp_path / "few" / "train" / name).mkdir(parents=True)
        for index in range(4):
            Image.new("RGB", (40, 40)).save(tmp_path / "few" / "train" / name / f"{index}.png")
    with pytest.raises(InputError, match="expected at least 8 images to train on, received 4"):
        fit_recipes("cpu", str(tmp_path / "few"), None, None)
    (tmp_path / "few" / "train" / "cat" / "0.png").write_text("no image")
    assert "cat/0.png" in run(*command, tmp_path / "few", expect=2).stderr
    assert not (tmp_path / "ladder").exists()
