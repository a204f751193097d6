"""`python -m tfcifar.fewshot` and its benchmark, as a user runs them."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from export.open_model import open_model
from tests.integration.commands import error_lines, run
from tests.integration.made_up_runs import write_colour_run
from tests.tfcifar.test_run_lock import holder
from tfcifar.fewshot import METHODS

SMALL = ("--preset", "demo", "--set", "image_size=16", "--set", "episodes=4", "--set", "pretrain_steps=10",
         "--set", "iterations=2", "--set", "widths=4,4", "--set", "shots=1,2", "--set", "queries=5",
         "--set", "validation_episodes=2", "--set", "validation_every=2", "--set", "meta_batch=1",
         "--set", "inner_steps=1")  # fmt: skip


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    output = tmp_path_factory.mktemp("fewshot") / "demo"
    return output, run("tfcifar.fewshot.benchmark", *SMALL, "--output", output)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Support and query images of two classes, bluish and reddish, of mixed sizes."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for part, count in (("support", 4), ("query", 6)):
        for name, channel in (("sky", 2), ("rose", 0)):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 90, (10 + number, 12, 3))
                pixels[..., channel] += 120
                Image.fromarray(pixels.astype(np.uint8)).save(folder / part / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    import keras

    path = write_colour_run(tmp_path_factory.mktemp("runs") / "colours")
    model = keras.saving.load_model(path / "model.keras")
    logits = keras.layers.Dense(3, name="logits")(model.output)
    keras.Model(model.input, logits).save(path / "model.keras")
    return path


def test_the_benchmark_judges_every_method_and_says_which_to_take(benchmark):
    output, completed = benchmark
    rows = list(csv.DictReader((output / "fewshot.csv").open()))
    assert [(row["method"], row["shots"]) for row in rows] == [(name, shots) for name in METHODS for shots in "12"]
    assert all(0 <= float(row["accuracy"]) <= 1 and float(row["interval95"]) >= 0 for row in rows)
    assert {row["episodes"] for row in rows} == {"4"}
    assert completed.stdout.count("take **") == 2
    assert "**If you do one thing: take " in completed.stdout
    assert (output / "fewshot.png").is_file()
    assert not list(output.rglob("test_openings.jsonl"))


def test_two_benchmarks_do_not_work_in_one_folder(tmp_path):
    with holder(tmp_path):
        (line,) = error_lines(run("tfcifar.fewshot.benchmark", *SMALL, "--output", tmp_path, expect=2))
    assert "is at work in there" in line


def test_a_finished_benchmark_is_not_done_again_and_not_continued_as_another(benchmark):
    output, completed = benchmark
    again = run("tfcifar.fewshot.benchmark", *SMALL, "--output", output).stdout
    assert again.splitlines()[-20:] == completed.stdout.splitlines()[-20:]
    stderr = run("tfcifar.fewshot.benchmark", *SMALL, "--set", "episodes=5", "--output", output, expect=2).stderr
    assert "was measured otherwise" in stderr


@pytest.mark.parametrize("method", ["prototype", "linear_probe", "fine_tune"])
def test_a_run_learns_new_classes_and_says_how_often_it_is_right(run_dir, photos, method):
    options = ("--run", run_dir, "--support", photos / "support", "--query", photos / "query", "--method", method)
    stdout = run("tfcifar.fewshot.__main__", *options).stdout
    assert "learned 2 classes from 8 images (4 to 4 of each) in" in stdout
    assert "cross-validated on them: 8 of 8 right" in stdout
    assert "probabilities calibrated" in stdout
    assert "12 of 12 right (100.0%, 95% interval" in stdout


def test_what_was_learned_is_kept_for_predict_with_classes_and_calibration(run_dir, photos, tmp_path):
    kept = tmp_path / "flowers.keras"
    support = ("--run", run_dir, "--support", photos / "support")
    completed = run(
        "tfcifar.fewshot.__main__", *support, "--query", photos / "query", "--format", "json", "--output", kept
    )
    first = [json.loads(line) for line in completed.stdout.splitlines()]
    again = run("tfcifar.predict", kept, photos / "query", "--format", "json").stdout
    second = [json.loads(line) for line in again.splitlines()]
    assert [row["image"] for row in first] == [row["image"] for row in second]
    for a, b in zip(first, second, strict=True):
        assert a["calibrated"]
        assert b["calibrated"]
        assert a["answer"] == b["answer"]
        assert a["classes"][0]["probability"] == pytest.approx(b["classes"][0]["probability"], abs=1e-5)
        assert a["classes"][0]["probability"] < 0.99  # eight images prove little
    assert list(open_model(kept).class_names) == ["rose", "sky"]


def test_what_was_meta_trained_learns_too_by_its_own_method_and_one_image_of_each_is_enough(
    benchmark, photos, tmp_path
):
    output, _ = benchmark
    (learner,) = output.glob("*/maml")
    for name in ("sky", "rose"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes((photos / "support" / name / "0.png").read_bytes())
    options = ("--run", learner, "--support", tmp_path, "--query", photos / "query")
    stdout = run("tfcifar.fewshot.__main__", *options).stdout
    assert "with maml" in stdout
    assert "probabilities NOT calibrated" in stdout
    assert "how often it is right is not known" in stdout
    stderr = run("tfcifar.fewshot.__main__", *options, "--method", "anil", expect=2).stderr
    assert "--method: expected maml or prototype, linear_probe, fine_tune" in stderr


def test_bad_input_is_one_line(run_dir, photos, tmp_path):
    (tmp_path / "one" / "only").mkdir(parents=True)
    for arguments, expected in (
        (("--run", tmp_path, "--support", photos / "support"), "run directory: expected one made by tfcifar.train"),
        (
            ("--run", run_dir, "--support", tmp_path / "one"),
            "expected a folder with at least 2 class folders, received 1",
        ),
        (("--run", run_dir, "--support", photos / "support", "--method", "maml"), "--method: expected prototype"),
    ):
        completed = run("tfcifar.fewshot.__main__", *arguments, "--query", photos / "query", expect=2)
        (line,) = error_lines(completed)
        assert expected in line
    stderr = run("tfcifar.fewshot.benchmark", "--data", "synthetic:20", expect=2).stderr
    assert "data: expected DATASET@SPLIT" in stderr
    stderr = run("tfcifar.fewshot.benchmark", "--preset", "demo", "--record", "--output", tmp_path, expect=2).stderr
    assert "--record: expected at least 600 episodes, received 20." in stderr
