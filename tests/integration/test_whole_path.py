"""From the command line to figures, on generated images."""

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import InputError
from tests.integration.commands import SMOKE, error_lines, run
from tfcifar.explain import explain_run
from tfcifar.reporting.results import record
from tfcifar.reporting.run_report import load_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A smoke run, trained and evaluated by one command."""
    run_dir = tmp_path_factory.mktemp("runs") / "smoke"
    completed = run(*SMOKE, "--run-dir", run_dir)
    return run_dir, completed.stdout


def test_one_command_leaves_everything_that_a_run_promises(finished):
    run_dir, stdout = finished
    for name in ("recipe.json", "environment.json", "history.csv", "timing.json", "model.keras", "metrics.json",
                 "per_class.csv", "predictions.npz", "test_openings.jsonl"):  # fmt: skip
        assert (run_dir / name).is_file(), name
    assert {path.name for path in (run_dir / "figures").iterdir()} == {
        "curves.png", "confusion_matrix.png", "reliability.png", "per_class.png", "mistakes.png",
    }  # fmt: skip
    assert list((run_dir / "tensorboard").rglob("events.out.tfevents.*"))
    assert not list(run_dir.rglob("*.tmp*"))
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert f"{metrics['accuracy']:.2%}" in stdout
    assert "waited for data" in stdout
    environment = json.loads((run_dir / "environment.json").read_text())
    assert environment["command"].endswith(" ".join((*SMOKE[1:], "--run-dir", str(run_dir))))
    assert environment["data"]["train"].startswith("sha256:")


def test_metrics_are_those_of_the_recorded_predictions(finished):
    run_dir, _ = finished
    metrics = json.loads((run_dir / "metrics.json").read_text())
    with np.load(run_dir / "predictions.npz") as predictions:
        correct = predictions["test_logits"].argmax(1) == predictions["test_labels"]
        validation = predictions["validation_logits"].argmax(1) == predictions["validation_labels"]
    assert metrics["accuracy"] == correct.mean()
    best = max(float(row["val_accuracy"]) for row in csv.DictReader((run_dir / "history.csv").open()))
    assert validation.mean() == pytest.approx(best, abs=1e-6)  # model.keras is the best epoch, as saved and reloaded


def test_explain_draws_maps_and_scores_methods_on_validation_images(finished):
    run_dir, _ = finished
    opened = (run_dir / "test_openings.jsonl").read_text()
    stdout = run("tfcifar.explain.__main__", run_dir, "--shown", 3, "--scored", 8).stdout
    assert {path.name for path in (run_dir / "explain").iterdir()} >= {"right.png", "scores.csv"}
    rows = {row["method"]: row for row in csv.DictReader((run_dir / "explain" / "scores.csv").open())}
    assert list(rows) == ["grad_cam", "grad_cam++", "smooth_grad", "guided_saliency", "occlusion", "random"]
    for row in rows.values():
        assert 0 <= float(row["deletion"]) <= 1
        assert 0 <= float(row["insertion"]) <= 1
    assert f"{float(rows['occlusion']['insertion']):.3f}" in stdout
    assert (run_dir / "test_openings.jsonl").read_text() == opened


def test_scores_of_explanations_are_kept_method_by_method(finished, monkeypatch):
    run_dir, _ = finished
    scored, real = [], explain_run.deletion_insertion

    def score(*arguments):
        if len(scored) == 1:
            raise KeyboardInterrupt
        scored.append(arguments)
        return real(*arguments)

    command = ("tfcifar.explain.__main__", run_dir, "--shown", 1, "--methods", "grad_cam", "grad_cam++", "--scored")
    monkeypatch.setattr(explain_run, "deletion_insertion", score)
    run(*command, 4, expect=130)
    monkeypatch.setattr(explain_run, "deletion_insertion", lambda *each: scored.append(each) or real(*each))
    run(*command, 4)
    assert len(scored) == 3  # grad_cam before, then grad_cam++ and random
    run(*command, 4)
    assert len(scored) == 3
    run(*command, 5)  # of other images
    assert len(scored) == 6
    found = list(csv.DictReader((run_dir / "explain" / "scores.csv").open()))
    assert [(row["method"], row["images"]) for row in found] == [
        ("grad_cam", "5"),
        ("grad_cam++", "5"),
        ("random", "5"),
    ]


def test_maps_without_evidence_anywhere_have_no_sanity_score(finished, monkeypatch):
    """Constant maps, as of images whose class nothing speaks for, correlate with nothing."""
    run_dir, _ = finished
    constant = explain_run.rank_correlation
    monkeypatch.setattr(explain_run, "rank_correlation", lambda maps, others: constant(0 * maps, 0 * others))
    run("tfcifar.explain.__main__", run_dir, "--shown", 1, "--methods", "grad_cam", "--scored", 3)
    row, _ = csv.DictReader((run_dir / "explain" / "scores.csv").open())
    assert (row["method"], row["sanity"]) == ("grad_cam", "")


def test_explain_names_an_unknown_layer_with_the_nearest(finished):
    run_dir, _ = finished
    stderr = run("tfcifar.explain.__main__", run_dir, "--layer", "stage2_conv9", expect=2).stderr
    assert "layer: no such name: stage2_conv9. Did you mean stage2_conv" in stderr


def test_evaluating_again_does_not_open_the_test_split_again(finished):
    run_dir, _ = finished
    run("tfcifar.evaluate", run_dir)
    assert len((run_dir / "test_openings.jsonl").read_text().splitlines()) == 1


def test_a_run_teaches_another(finished, tmp_path):
    run_dir, _ = finished
    run(*SMOKE, "--run-dir", tmp_path / "student", "--teacher", run_dir, "--no-evaluate", "--set", "epochs=1")
    recipe = json.loads((tmp_path / "student" / "recipe.json").read_text())
    assert recipe["distill"]["teachers"] == [str(run_dir)]
    assert (tmp_path / "student" / "teachers" / "logits-0000.npy").is_file()
    completed = run(*SMOKE, "--run-dir", tmp_path / "other", "--teacher", tmp_path / "nobody", expect=2)
    assert "expected one made by tfcifar.train" in error_lines(completed)[0]
    assert not (tmp_path / "other").exists()


def test_predict_names_classes_of_images_of_any_size(finished, tmp_path):
    run_dir, _ = finished
    Image.new("L", (50, 41), 128).save(tmp_path / "grey.png")
    Image.new("RGBA", (16, 16), (255, 0, 0, 128)).save(tmp_path / "red.png")
    completed = run("tfcifar.predict", run_dir, tmp_path / "grey.png", tmp_path / "red.png", "--top", 10, "--json")
    rows = [json.loads(line) for line in completed.stdout.splitlines()]
    assert [row["image"] for row in rows] == [str(tmp_path / "grey.png"), str(tmp_path / "red.png")]
    for row in rows:
        assert sum(each["probability"] for each in row["classes"]) == pytest.approx(1)
    (tmp_path / "text.png").write_text("not an image")
    assert len(error_lines(run("tfcifar.predict", run_dir, tmp_path / "text.png", expect=2))) == 1


def test_a_taken_run_directory_is_refused_and_a_changed_recipe_is_not_resumed(finished):
    run_dir, _ = finished
    (taken,) = error_lines(run(*SMOKE, "--run-dir", run_dir, expect=2))
    assert "--resume" in taken
    (changed,) = error_lines(run(*SMOKE, "--run-dir", run_dir, "--resume", "--set", "batch_size=50", expect=2))
    assert "different: batch_size. Give the same options or another --run-dir, or move" in changed


def test_a_batch_larger_than_the_data_leaves_no_run_behind(tmp_path):
    (refused,) = error_lines(run(*SMOKE, "--run-dir", tmp_path / "run", "--set", "batch_size=9000", expect=2))
    assert "received 9000; --set batch_size=N chooses another" in refused
    assert not (tmp_path / "run" / "recipe.json").exists()


def test_few_steps_are_noted(tmp_path):
    few = ("--set", "batch_size=2000", "--set", "epochs=1", "--no-evaluate")
    stdout = run(*SMOKE, "--run-dir", tmp_path / "run", *few).stdout
    assert "NOTE: 1 epochs of 2 batches are little to learn from" in stdout


def test_report_puts_runs_next_to_each_other_with_a_paired_test(finished, tmp_path):
    run_dir, _ = finished
    other = tmp_path / "other"
    run(*SMOKE, "--run-dir", other, "--seed", 1, "--set", "epochs=1")
    completed = run("tfcifar.report", run_dir, other, "--output", tmp_path / "report")
    assert re.search(r"\| (not )?significant \|", completed.stdout)
    assert "95% interval (paired bootstrap)" in completed.stdout
    figures = {f"{name}_{figure}.png" for name in ("smoke", "other")
               for figure in ("curves", "confusion_matrix", "per_class")}  # fmt: skip
    written = {path.name for path in (tmp_path / "report").iterdir()}
    assert written == {"report.md", "report.html", "comparison.png", "curves.png"} | figures
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Most confused:" in page
    assert "other against smoke, class by class" in page


def test_report_refuses_a_run_that_is_not_evaluated(tmp_path):
    run(*SMOKE, "--run-dir", tmp_path / "run", "--set", "epochs=1", "--no-evaluate")
    assert not (tmp_path / "run" / "test_openings.jsonl").exists()
    (line,) = error_lines(run("tfcifar.report", tmp_path / "run", expect=2))
    assert "tfcifar.evaluate" in line


def test_recording_a_run_keeps_its_evidence_and_no_image_of_the_data(finished, tmp_path):
    run_dir, _ = finished
    for _ in range(2):  # the second time replaces the first
        record("smoke", [load_run(run_dir)], results=tmp_path)
    entries = {each["metric"]: each for each in json.loads((tmp_path / "summary.json").read_text())}
    assert sorted(entries) == ["pflop", "test_accuracy", "train_seconds"]  # the recipe has no test-time views
    entry, metrics = entries["test_accuracy"], json.loads((run_dir / "metrics.json").read_text())
    assert (entry["value"], entry["n"], entry["std"]) == (pytest.approx(metrics["accuracy"], abs=1e-6), 1, None)
    assert entry["command"].endswith(" ".join((*SMOKE[1:], "--seed 0")))
    evidence = {path.name for path in (tmp_path / "smoke" / "seed0").iterdir()}
    assert "metrics.json" in evidence
    assert "mistakes.png" not in evidence
    with pytest.raises(InputError, match="differ in their seeds"):
        record("smoke", [load_run(run_dir), load_run(run_dir)], results=tmp_path)
