"""The same commands on other data: 100 classes, a folder of one's own, no data at all."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.integration.commands import SMOKE, WHOLE_SMOKE, error_lines, run


def test_a_hundred_classes_train_evaluate_and_draw(tmp_path):
    run(*SMOKE, "--dataset", "synthetic:100", "--run-dir", tmp_path / "run", "--set", "epochs=1")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert len(metrics["per_class"]) == 100
    assert "top5_accuracy" in metrics


@pytest.fixture
def folder(tmp_path):
    """Three classes of plain colours, 30 images each, of mixed sizes and kinds."""
    random = np.random.RandomState(0)
    for label, colour in enumerate(("red", "green", "blue")):
        (tmp_path / "data" / "train" / colour).mkdir(parents=True)
        for index in range(30):
            height, width = random.randint(24, 60, 2)
            pixels = random.randint(0, 120, (height, width, 3)).astype(np.uint8)
            pixels[..., label] += 100
            suffix = "png" if index % 2 else "jpg"
            Image.fromarray(pixels).save(tmp_path / "data" / "train" / colour / f"{index}.{suffix}")
    return tmp_path / "data"


def test_an_image_folder_of_mixed_sizes_goes_the_whole_way(folder, tmp_path):
    options = ("--dataset", folder, "--set", "batch_size=10", "--set", "epochs=12")
    run(*WHOLE_SMOKE, *options, "--run-dir", tmp_path / "run")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert [row["name"] for row in metrics["per_class"]] == ["blue", "green", "red"]
    assert metrics["n"] == 12  # no test/ folder: a fixed 15%, rounded per class
    assert metrics["accuracy"] > 0.5  # three colours; chance is a third
    completed = run("tfcifar.predict", tmp_path / "run", folder / "train" / "red" / "1.png", "--json")
    assert {each["name"] for each in json.loads(completed.stdout)["classes"]} == {"red", "green", "blue"}


def test_an_image_folder_on_the_disk_goes_the_whole_way(folder, tmp_path):
    """That its batches are those of one in memory: tests/pipelines/test_disk_images.py."""
    options = ("--dataset", folder, "--set", "batch_size=10", "--set", "epochs=1", "--set", "data.cache=disk")
    run(*SMOKE, *options, "--run-dir", tmp_path / "run", TFCIFAR_CACHE=str(tmp_path / "cache"))
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["n"] == 12
    assert len(list((tmp_path / "cache").glob("*.uint8"))) == 1  # the test split is a part of the same images


def test_level_2_runs_on_an_image_folder(folder, tmp_path):
    sizes = ("--set", "model.image_size=64", "--set", "small_images.image_size=32", "--set", "small_images.epochs=1")
    small = (*sizes, "--set", "batch_size=16", "--set", "epochs=2")
    backbone = ("--model", "mobilenet", "--weights", "none", "--set", "model.alpha=0.25")  # few layers
    level_2 = ("tfcifar.train", "--level", 2, "--preset", "cpu", *backbone, *small)
    run(*level_2, "--dataset", folder, "--run-dir", tmp_path / "run")
    assert (tmp_path / "run" / "metrics.json").is_file()


def test_the_demo_says_that_it_falls_back_where_there_is_no_data_and_every_other_command_fails(tmp_path):
    nowhere = {"TFDS_DATA_DIR": str(tmp_path / "empty"), "no_proxy": "", "https_proxy": "http://127.0.0.1:9",
               "http_proxy": "http://127.0.0.1:9"}  # fmt: skip
    demo = ("tfcifar.train", "--level", 2, "--preset", "demo", "--set", "epochs=2", "--set", "model.widths=4,4",
            "--set", "data.image_size=12", "--run-dir")  # fmt: skip
    completed = run(*demo, tmp_path / "run", **nowhere)
    assert "NOTE: running on the synthetic source instead of cifar10." in completed.stdout
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["data"]["dataset"] == "synthetic"
    assert (tmp_path / "run" / "metrics.json").is_file()

    completed = run(
        "tfcifar.train", "--level", 2, "--preset", "cpu", "--run-dir", tmp_path / "other", expect=2, **nowhere
    )
    (line,) = error_lines(completed)
    assert "cifar10" in line
    assert not (tmp_path / "other").exists()

    (tmp_path / "empty" / "cifar-10-python.tar.gz").write_text("damaged")
    (line,) = error_lines(run(*demo, tmp_path / "other", expect=2, **nowhere))
    assert "cifar-10-python.tar.gz" in line
    assert not (tmp_path / "other").exists()
