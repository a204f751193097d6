"""Evaluated runs to an ensemble, its calibration and its place in a report, by the real commands."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax

from pipelines.errors import InputError
from tests.integration.commands import PROJECT, error_lines, run
from tests.integration.made_up_runs import NOISE, SIZES, write_run
from tfcifar.ensemble.saved import load_ensemble
from tfcifar.evaluation.calibrate_run import load_calibration
from tfcifar.evaluation.scaling import fit_temperature
from tfcifar.reporting.results import record
from tfcifar.reporting.run_report import load_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [write_run(folder / name, noise, seed) for seed, (name, noise) in enumerate(NOISE.items())]


@pytest.fixture(scope="module")
def made(runs):
    """An ensemble of all votes, and what its command printed."""
    output = runs[0].parent / "ensemble"
    return output, run("tfcifar.ensemble.__main__", *runs, "--output", output).stdout


def test_tensorflow_starts_without_its_greeting(runs, tmp_path):
    command = [sys.executable, "-m", "tfcifar.ensemble", *runs, "--vote", "hard", "--output", tmp_path / "ensemble"]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    completed = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert completed.stderr == ""


def rows_of(path: Path) -> dict:
    with path.open() as file:
        return {(row["split"], row["name"]): row for row in csv.DictReader(file)}


def test_all_votes_are_in_one_table_against_the_member_that_was_best_on_validation(made):
    output, stdout = made
    rows = rows_of(output / "votes.csv")
    names = ["best member: sharp", "the same, calibrated", "hard", "soft", "weighted", "stacked"]
    assert [name for split, name in rows if split == "test"] == names
    assert rows["test", "best member: sharp"]["p_value"] == ""
    assert float(rows["test", "the same, calibrated"]["difference"]) == 0
    assert float(rows["test", "weighted"]["p_value"]) <= 1
    assert f"{float(rows['test', 'stacked']['accuracy']):.2%}" in stdout
    losses = {name: float(rows["validation", name]["nll"]) for name in names[2:]}
    assert json.loads((output / "ensemble.json").read_text())["vote"] == min(losses, key=losses.get)


def test_the_ensemble_folder_holds_what_a_run_holds_and_can_be_applied_again(made, runs):
    output, _ = made
    metrics = json.loads((output / "metrics.json").read_text())
    ensemble = load_ensemble(output)
    own = {path.name: path for path in runs}
    logits = {split: [] for split in SIZES}
    for name in ensemble.members:
        with np.load(own[name] / "predictions.npz") as file:
            for split in SIZES:
                logits[split].append(file[f"{split}_logits"])
    with np.load(output / "predictions.npz") as file:
        saved = dict(file)
    np.testing.assert_allclose(saved["test_logits"], ensemble.combine(np.stack(logits["test"])), atol=1e-5)
    assert metrics["accuracy"] == (saved["test_logits"].argmax(1) == saved["test_labels"]).mean()
    # Validation is judged on predictions of what was fitted without them, not on those of the ensemble itself.
    assert metrics["validation_accuracy"] == (saved["validation_logits"].argmax(1) == saved["validation_labels"]).mean()
    in_sample = ensemble.combine(np.stack(logits["validation"]))
    assert not np.allclose(saved["validation_logits"], in_sample, atol=1e-4)
    count = len(ensemble.members)
    costs = [metrics[name] for name in ("parameters", "macs", "train_seconds", "pflop")]
    assert costs == [1000 * count, 50 * count, 10.0 * count, 0.25 * count]
    assert {path.name for path in (output / "figures").iterdir()} == {
        "confusion_matrix.png", "contributions.png", "diversity.png", "per_class.png", "reliability.png",
    }  # fmt: skip


def test_one_vote_with_selection_leaves_out_who_adds_nothing(runs, tmp_path):
    run("tfcifar.ensemble.__main__", *runs, "--vote", "soft", "--select", 6, "--output", tmp_path / "soft")
    content = json.loads((tmp_path / "soft" / "ensemble.json").read_text())
    with (tmp_path / "soft" / "selection.csv").open() as file:
        picks = [row["member"] for row in csv.DictReader(file)]
    assert len(picks) == 6
    counts = {member["name"]: member["count"] for member in content["members"]}
    assert counts == {name: picks[: sum(counts.values())].count(name) for name in counts}
    assert sum(counts.values()) <= 6


def test_another_ensemble_in_the_same_folder_leaves_nothing_of_the_first(runs, tmp_path):
    run("tfcifar.ensemble.__main__", *runs, "--vote", "soft", "--output", tmp_path)
    run("tfcifar.calibrate", tmp_path)
    run("tfcifar.ensemble.__main__", *runs[:2], "--vote", "hard", "--output", tmp_path)
    assert not (tmp_path / "calibration.json").exists()
    assert json.loads((tmp_path / "metrics.json").read_text())["model"] == "hard vote of 2"


def test_a_report_sets_an_ensemble_beside_a_run(made, runs, tmp_path):
    output, _ = made
    stdout = run("tfcifar.report", runs[0], output, "--output", tmp_path / "report").stdout
    (line,) = [line for line in stdout.splitlines() if line.startswith("| ensemble |") and "vote of" in line]
    assert "not used" in line
    page = (tmp_path / "report" / "report.md").read_text()
    assert "curves.png" not in page  # neither was trained by epochs here
    assert "![confusion matrix of ensemble](ensemble_confusion_matrix.png)" in page
    with pytest.raises(InputError, match="expected training runs"):
        record("ensemble", [load_run(output)], results=tmp_path / "results")


def test_calibration_is_fitted_on_validation_and_found_again_unless_the_model_has_changed(made, runs):
    output, _ = made
    stdout = run("tfcifar.calibrate", runs[2], output).stdout
    with np.load(runs[2] / "predictions.npz") as file:
        validation, test = (file[f"{split}_logits"] for split in SIZES)
        labels = file["validation_labels"]
    content = json.loads((runs[2] / "calibration.json").read_text())
    expected = fit_temperature(validation, labels).temperature
    assert expected > 2  # noise of 4 on logits of 4: far too sure
    assert content["methods"]["temperature"]["temperature"] == pytest.approx(expected)
    assert content["kept"] == "temperature"  # labels and noise are alike in all classes
    np.testing.assert_allclose(load_calibration(runs[2]).apply(test), log_softmax(test / expected, axis=1), atol=1e-6)
    rows = {(row["split"], row["method"]): row for row in content["rows"]}
    assert rows["test", "temperature"]["ece"] < rows["test", "none"]["ece"]
    assert rows["test", "temperature"]["accuracy"] == rows["test", "none"]["accuracy"]
    assert "temperature scaling *" in stdout
    assert (output / "figures" / "calibration.png").is_file()
    assert load_calibration(output, "vector").method == "vector"
    (runs[2] / "model.keras").write_bytes(b"another")
    with pytest.raises(InputError, match=r"another model than lies there now; run python -m tfcifar\.calibrate"):
        load_calibration(runs[2])
    with pytest.raises(InputError, match="is not calibrated yet"):
        load_calibration(runs[0])


def test_what_cannot_be_combined_is_refused_before_anything_is_written(runs, tmp_path):
    one = run("tfcifar.ensemble.__main__", runs[0], "--output", tmp_path / "one", expect=2)
    assert error_lines(one) == ["error: ensemble: expected at least 2 runs, received 1."]
    over = run("tfcifar.ensemble.__main__", *runs, "--output", runs[1], expect=2)
    assert "holds a run, whose predictions would be lost" in error_lines(over)[0]
    assert not (tmp_path / "one").exists()
    assert not (runs[1] / "ensemble.json").exists()
