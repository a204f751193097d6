"""Test-time views from the recipe to metrics.json and the record; which of them open the test split."""

import csv
import json
import shutil

import numpy as np
import pytest

from pipelines.errors import InputError
from tests.integration.commands import SMOKE, error_lines, run
from tfcifar.evaluation import tta_comparison
from tfcifar.evaluation.evaluate_run import evaluate_run
from tfcifar.evaluation.tta import VIEWS
from tfcifar.recipe_data import open_splits
from tfcifar.recipe_json import load_json
from tfcifar.reporting.results import record
from tfcifar.reporting.run_report import load_run
from tfcifar.run_dir import RunDir


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A smoke run whose recipe asks for the view "flip", and what its command printed."""
    run_dir = tmp_path_factory.mktemp("runs") / "flip"
    return run_dir, run(*SMOKE, "--set", "epochs=1", "--set", "tta=flip", "--run-dir", run_dir).stdout


@pytest.fixture
def run_dir(trained, tmp_path):
    """A copy of it that a test may change."""
    return RunDir(shutil.copytree(trained[0], tmp_path / "flip"))


def openings(run_dir) -> list[str]:
    return [json.loads(line)["views"] for line in run_dir.test_openings.read_text().splitlines()]


def predictions(run_dir) -> dict:
    with np.load(run_dir.predictions) as file:
        return dict(file)


def test_both_figures_are_those_of_the_recorded_logits(trained, run_dir):
    metrics, saved = json.loads(run_dir.metrics.read_text()), predictions(run_dir)
    assert openings(run_dir) == ["flip"]
    assert metrics["tta"]["views"] == str(saved["tta"]) == "flip"
    assert metrics["accuracy"] == (saved["test_logits"].argmax(1) == saved["test_labels"]).mean()
    logits, labels = saved["test_logits_tta"].astype(np.float64), saved["test_labels"]
    assert metrics["tta"]["accuracy"] == (logits.argmax(1) == labels).mean()
    log_sum = np.log(np.exp(logits).sum(axis=1))
    assert metrics["tta"]["nll"] == pytest.approx((log_sum - logits[np.arange(len(labels)), labels]).mean())
    validation = saved["validation_logits_tta"].argmax(1) == saved["validation_labels"]
    assert metrics["tta"]["validation_accuracy"] == validation.mean()
    (line,) = [line for line in trained[1].splitlines() if "with TTA" in line]
    assert f"{metrics['tta']['accuracy']:.2%}" in line
    assert f"{metrics['accuracy']:.2%}" in next(line for line in trained[1].splitlines() if "test accuracy" in line)


def test_other_views_open_the_test_split_again_and_leave_the_plain_figures_alone(run_dir):
    before, plain = predictions(run_dir), json.loads(run_dir.metrics.read_text())
    assert "flip_translate" in run("tfcifar.evaluate", run_dir.path, "--tta", "flip_translate").stdout
    assert openings(run_dir) == ["flip", "flip_translate"]
    after, metrics = predictions(run_dir), json.loads(run_dir.metrics.read_text())
    assert all(np.array_equal(before[name], after[name]) for name in ("test_logits", "validation_logits"))
    assert not np.array_equal(before["test_logits_tta"], after["test_logits_tta"])
    assert {**metrics, "tta": None} == {**plain, "tta": None}


def test_the_same_views_and_none_at_all_open_nothing(run_dir):
    assert evaluate_run(run_dir)["tta"]["views"] == "flip"
    assert "tta" not in evaluate_run(run_dir, "none")
    assert evaluate_run(run_dir, "flip")["tta"]["views"] == "flip"
    assert openings(run_dir) == ["flip"]


def test_a_run_from_before_there_were_views_is_read_as_one_without(run_dir):
    recipe = json.loads(run_dir.recipe.read_text())
    del recipe["tta"]
    run_dir.recipe.write_text(json.dumps(recipe))
    old = {name: value for name, value in predictions(run_dir).items() if "tta" not in name}
    np.savez(run_dir.predictions, **old)
    assert "tta" not in evaluate_run(run_dir)
    assert openings(run_dir) == ["flip"]
    assert evaluate_run(run_dir, "flip")["tta"]["views"] == "flip"
    assert openings(run_dir) == ["flip", "flip"]


def test_views_are_compared_on_validation_while_the_test_split_stays_closed(run_dir, monkeypatch):
    some = {name: VIEWS[name] for name in ("none", "flip", "multi_crop")}  # those with many translations take long
    monkeypatch.setattr(tta_comparison, "VIEWS", some)
    stdout = run("tfcifar.evaluate", run_dir.path, "--compare-tta").stdout
    assert openings(run_dir) == ["flip"]
    with run_dir.tta.open() as file:
        rows = {row["views"]: row for row in csv.DictReader(file)}
    assert {name: int(row["passes"]) for name, row in rows.items()} == {"none": 1, "flip": 2, "multi_crop": 10}
    saved = predictions(run_dir)
    for views, suffix in (("none", ""), ("flip", "_tta")):
        right = saved[f"validation_logits{suffix}"].argmax(1) == saved["validation_labels"]
        assert float(rows[views]["accuracy"]) == right.mean()
    assert rows["none"]["p_value"] == ""
    assert float(rows["flip"]["difference"]) == pytest.approx(
        float(rows["flip"]["accuracy"]) - float(rows["none"]["accuracy"])
    )
    assert f"{float(rows['multi_crop']['accuracy']):.2%}" in stdout


def test_views_of_a_run_that_saw_the_validation_images_are_not_compared_by_them(run_dir):
    recipe = json.loads(run_dir.recipe.read_text())
    recipe["data"]["train_on_validation"] = True
    run_dir.recipe.write_text(json.dumps(recipe))
    splits, _ = open_splits(load_json(run_dir.recipe).data)
    environment = json.loads(run_dir.environment.read_text())
    run_dir.environment.write_text(json.dumps(environment | {"data": environment["data"] | splits.checksums}))
    (line,) = error_lines(run("tfcifar.evaluate", run_dir.path, "--compare-tta", expect=2))
    assert "was trained on the validation images" in line


def test_unknown_views_are_answered_with_the_nearest(run_dir):
    with pytest.raises(InputError, match="Did you mean flip_translate"):
        evaluate_run(run_dir, "flip_translat")


def test_compute_counts_the_images_trained_on(run_dir):
    macs = 12 * 12 * 9 * (3 * 8 + 8 * 8) + 6 * 6 * 9 * (8 * 16 + 16 * 16) + 16 * 10
    metrics = json.loads(run_dir.metrics.read_text())
    assert metrics["macs"] == macs
    assert metrics["pflop"] == pytest.approx(6 * macs * 4_500 / 1e15)  # one epoch of 45 batches of 100


def test_the_record_drops_a_tta_figure_that_the_runs_no_longer_have(run_dir, tmp_path):
    entries = record("smoke", [load_run(run_dir.path)], results=tmp_path / "results")
    assert [each["metric"] for each in entries] == ["test_accuracy", "test_accuracy_tta", "train_seconds", "pflop"]
    plain = RunDir(shutil.copytree(run_dir.path, tmp_path / "plain"))
    metrics = json.loads(plain.metrics.read_text())
    del metrics["tta"]
    plain.metrics.write_text(json.dumps(metrics))
    record("smoke", [load_run(plain.path)], results=tmp_path / "results")
    summary = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert [each["metric"] for each in summary] == ["pflop", "test_accuracy", "train_seconds"]
