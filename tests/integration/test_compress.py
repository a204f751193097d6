"""From a trained run to its exported files, by the real command."""

import csv
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from export.card import FORMATS, read_card
from export.open_model import open_model
from export.runtimes import open_artifact
from export.zoo_entry import write_zoo_entry
from pipelines.errors import InputError
from tests.integration.commands import SMOKE, error_lines, run
from tfcifar.evaluation.scaling import fit_temperature
from tfcifar.prediction.zoo import zoo_model
from tfcifar.recipe_data import open_splits
from tfcifar.recipe_json import load_json
from tfcifar.robustness.scores import mean_of, read_rows
from tfcifar.run_dir import RunDir, read_json, write_json, write_text

FORMS = ("tflite_float32", "tflite_int8", "onnx_int8", "keras")


@pytest.fixture(scope="module")
def compressed(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "smoke"
    run(*SMOKE, "--run-dir", run_dir)
    stdout = run("export.compress", run_dir, "--images", 20, "--no-benchmark", "--formats", *FORMS).stdout
    return run_dir, stdout


def card_of(run_dir, form: str) -> dict:
    return read_card(run_dir / "export" / f"smoke{FORMATS[form]}")


def test_each_format_has_a_file_and_a_card_that_says_what_it_is(compressed):
    run_dir, stdout = compressed
    for form in FORMS:
        path, card = run_dir / "export" / f"smoke{FORMATS[form]}", card_of(run_dir, form)
        assert card["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert card["bytes"] == path.stat().st_size
        assert card["input"] == {
            "dtype": "uint8",
            "shape": [None, 12, 12, 3],
            "layout": "NHWC",
            "channels": "RGB, 0..255",
        }
        assert path.name in stdout
    assert card_of(run_dir, "onnx_int8")["float_operations"] == 1  # the mean before the head
    assert card_of(run_dir, "tflite_int8")["bytes"] < card_of(run_dir, "tflite_float32")["bytes"]
    assert not [path for path in (run_dir / "export").iterdir() if path.name.startswith(".")]


def test_accuracies_on_the_cards_are_those_of_the_files_themselves(compressed):
    run_dir, _ = compressed
    with np.load(run_dir / "predictions.npz") as predictions:
        labels, expected = predictions["test_labels"], predictions["test_logits"].argmax(-1)
    same, integer = card_of(run_dir, "keras"), card_of(run_dir, "tflite_int8")
    assert same["metrics"]["test"]["accuracy"] == np.mean(expected == labels)
    assert same["flips"]["broken"] == same["flips"]["mended"] == 0
    difference = integer["metrics"]["test"]["accuracy"] - same["metrics"]["test"]["accuracy"]
    flips = integer["flips"]
    assert difference == pytest.approx((flips["mended"] - flips["broken"]) / len(labels))
    assert integer["parity"]["test"]["agreement"] > 0.9


def test_the_temperature_on_the_card_calibrates_the_validation_split(compressed):
    run_dir, _ = compressed
    card = card_of(run_dir, "tflite_int8")
    assert card["calibration"]["fitted_on"] == "validation"
    test = card["metrics"]["test"]
    assert set(test["calibrated"]) == {"nll", "ece"}
    validation = open_splits(load_json(run_dir / "recipe.json").data)[0].validation
    logits = open_artifact(run_dir / "export" / "smoke.int8.tflite")(np.asarray(validation.images))
    temperature = fit_temperature(logits, validation.labels).temperature
    assert card["calibration"]["temperature"] == pytest.approx(temperature)


def test_the_summary_says_where_int8_errs_and_the_opening_is_on_record(compressed):
    run_dir, stdout = compressed
    rows = list(csv.DictReader((run_dir / "export" / "quantization.csv").open()))
    assert rows[-1]["layer"] == "logits"
    assert "| logits |" in stdout
    openings = [json.loads(line) for line in (run_dir / "test_openings.jsonl").read_text().splitlines()]
    assert [each["purpose"] for each in openings] == ["evaluation", "export"]
    page = (run_dir / "export" / "compress.html").read_text()
    assert "<table>" in page
    record = json.loads((run_dir / "export" / "compress.json").read_text())
    assert record["representative_images"] == {"split": "train", "count": 20, "seed": 0}


def test_a_summary_shows_nothing_of_an_earlier_call(compressed, tmp_path):
    export = Path(shutil.copytree(compressed[0], tmp_path / "smoke")) / "export"
    (export / "benchmark").mkdir()
    (export / "benchmark" / "benchmark.md").write_text("Latencies of other files.\n")
    stdout = run("export.compress", export.parent, "--formats", "keras", "--no-test", "--no-benchmark").stdout
    assert "INT8" not in stdout  # none was asked for
    assert "## " not in (export / "compress.md").read_text()
    assert not (export / "quantization.csv").exists()


def test_files_are_judged_on_the_corrupted_images_that_runs_are_judged_on(compressed, tmp_path):
    run_dir = shutil.copytree(compressed[0], tmp_path / "smoke")
    stdout = run(
        "export.compress", run_dir, "--formats", "keras", "tflite_int8", "--corrupted", 10, "--no-benchmark"
    ).stdout
    run("tfcifar.robustness.__main__", run_dir, "--limit", 10)
    rows = [row for row in read_rows(RunDir(run_dir).robustness / "scores.csv") if row["corruption"] != "clean"]
    card = card_of(run_dir, "keras")
    found = card["metrics"]["test"]["corrupted"]
    for figure in ("accuracy", "nll", "ece"):
        assert found[figure] == pytest.approx(mean_of(rows, figure), abs=1e-5)
    assert (found["images"], found["corruptions"], found["severities"]) == (10, 15, 5)
    assert found["calibrated"]["nll"] != found["nll"]
    int8 = card_of(run_dir, "tflite_int8")["metrics"]["test"]["corrupted"]
    assert f"{int8['accuracy']:.2%} |" in stdout
    assert "under 15 corruptions at 5 severities" in stdout


def test_a_file_that_is_not_the_one_of_its_card_is_refused(compressed, tmp_path):
    run_dir, _ = compressed
    for name in ("smoke.int8.tflite", "smoke.int8.tflite.json"):
        (tmp_path / name).write_bytes((run_dir / "export" / name).read_bytes())
    path = tmp_path / "smoke.int8.tflite"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(InputError, match="the file has changed since its card"):
        read_card(path)


def test_an_unknown_format_and_no_run_are_refused(compressed, tmp_path):
    run("export.compress", compressed[0], "--formats", "coreml", expect=2)
    assert "expected one made by tfcifar.train" in run("export.compress", tmp_path, expect=2).stderr


def test_a_run_that_trained_on_the_validation_images_is_not_judged_with_the_test_split_closed(compressed, tmp_path):
    recipe = read_json(compressed[0] / "recipe.json")
    recipe["data"]["train_on_validation"] = True
    write_json(tmp_path / "recipe.json", recipe)
    (tmp_path / "timing.json").touch()
    (line,) = error_lines(run("export.compress", tmp_path, "--no-test", expect=2))
    assert "--no-test: expected a run with validation images of its own" in line
    assert not (tmp_path / "export").exists()


def test_a_published_model_is_a_run_and_a_file_of_the_zoo(compressed, tmp_path):
    run_dir, _ = compressed
    stdout = run("export.publish", run_dir, "small", "--zoo", tmp_path).stdout
    folder = tmp_path / "small"
    file = zoo_model("small", tmp_path)
    assert file == folder / "small.int8.tflite"
    assert str(file) in stdout
    assert file.read_bytes() == (run_dir / "export" / "smoke.int8.tflite").read_bytes()
    assert read_card(file)["file"] == "small.int8.tflite"
    assert read_json(RunDir.existing(folder).metrics) == read_json(RunDir(run_dir).metrics)
    open_model(folder)  # and what commands on run directories need
    text = (folder / "README.md").read_text()
    assert f"{card_of(run_dir, 'tflite_int8')['metrics']['test']['accuracy']:.2%}" in text
    assert not [path for path in folder.iterdir() if str(run_dir) in path.read_text(errors="ignore")]


def test_where_teachers_and_images_lay_is_not_published(compressed, tmp_path):
    run_dir = RunDir(shutil.copytree(compressed[0], tmp_path / "smoke"))
    recipe = load_json(run_dir.recipe)
    distill = dataclasses.replace(recipe.distill, teachers=("/home/ann/runs/large", "runs/ensemble"))
    data = dataclasses.replace(recipe.data, data_dir="/home/ann/photos")
    write_text(run_dir.recipe, recipe.replace(distill=distill, data=data).to_json())
    write_zoo_entry(run_dir, None, "small", tmp_path / "small")
    published = load_json(tmp_path / "small" / "recipe.json")
    assert published.distill.teachers == ("large", "runs/ensemble")
    assert published.data.data_dir == "photos"
    assert "`large`, `ensemble`" in (tmp_path / "small" / "README.md").read_text()


def test_what_may_not_be_published_is_refused(compressed, tmp_path):
    run_dir, _ = compressed
    other = tmp_path / "other"
    run(*SMOKE, "--set", "seed=1", "--set", "epochs=1", "--set", "small_images.epochs=0", "--run-dir", other)
    for asked, said in (
        ((other, "small"), "received none"),
        ((other, "small", "--int8", run_dir / "export" / "smoke.int8.tflite"), "its card names smoke"),
        ((run_dir, "../small"), "NAME: expected"),
    ):
        completed = run("export.publish", *asked, "--zoo", tmp_path / "zoo", expect=2)
        assert said in error_lines(completed)[0]
    assert not list((tmp_path / "zoo").rglob("*.tflite"))
