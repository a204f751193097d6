"""The report of a ladder, from runs that were made up."""

import json
import shutil
from collections import defaultdict

import numpy as np
import pytest
from scipy.special import softmax

from tests.integration.made_up_runs import write_run
from tfcifar.ensemble.ensemble_runs import ensemble_runs
from tfcifar.evaluation.calibrate_run import calibrate_run
from tfcifar.evaluation.openings import model_digest
from tfcifar.ladder.steps import plan
from tfcifar.reporting.ladder_report import FIGURES, record_ladder, write_ladder
from tfcifar.reporting.ladder_systems import RUNS
from tfcifar.robustness.predictions import Predictions, file_of
from tfcifar.robustness.scores import score_rows
from tfcifar.run_dir import RunDir, write_csv

FLIPS = {"difference": -0.0125, "interval95": [-0.03, 0.002], "p_value": 0.25, "verdict": "not significant"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs whose accuracies differ, files of 1 to 4 MB and 1 to 4 ms, and an INT8 file of 0.5 MB and 0.25 ms."""
    folder = tmp_path_factory.mktemp("runs") / "ladder-demo"
    for level, noise in ((1, 2.0), (2, 1.2), (3, 1.0), (5, 1.1)):
        write_run(folder / f"level_{level}", (noise, noise), level)
    ensemble_runs([folder / f"level_{level}" for level in (1, 2, 3)], folder / "ensemble", "soft", "none", None)
    for name in RUNS:
        calibrate_run(folder / name)
    card = {
        "file": "level_5.int8.tflite",
        "metrics": {
            "test": {
                "accuracy": 0.8,
                "accuracy_ci95": [0.75, 0.85],
                "nll": 0.5,
                "ece": 0.03,
                "calibrated": {"nll": 0.45, "ece": 0.02},
                "corrupted": {"accuracy": 0.61},
            }
        },
        "flips": FLIPS,
    }
    (folder / "level_5" / "export").mkdir()
    (folder / "level_5" / "export" / "level_5.int8.tflite.json").write_text(json.dumps(card))
    sizes = {"level_1": 1, "level_2": 2, "level_3": 3, "level_5": 4}
    files = {f"{name}.float32.tflite": size for name, size in sizes.items()} | {"level_5.int8.tflite": 0.5}
    benchmark = {
        "environment": {"hardware": "4 cores"},
        "threads": [1, 2],
        "batch": [1],
        "artifacts": [{"file": file, "bytes": int(1e6 * size)} for file, size in files.items()],
        "measurements": [
            {"file": file, "threads": threads, "batch": 1, "p50_ms": size / threads / (2 if size == 0.5 else 1)}
            for file, size in files.items()
            for threads in (1, 2)
        ],
    }
    (folder / "benchmark").mkdir()
    (folder / "benchmark" / "benchmark.json").write_text(json.dumps(benchmark))
    (folder / "ladder.json").write_text(json.dumps({"split": None, "finished": {"a": 60.0, "b": 30.0}}))
    return folder


@pytest.fixture(scope="module")
def report(folder):
    commands = {f"{step.level} {step.name}": step.command for step in plan("demo", folder, [])}
    return write_ladder(folder, commands)


def row(report, start):
    """The cells of the row that begins with `start`."""
    (line,) = [line for line in report.splitlines() if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_an_ensemble_costs_what_its_members_cost(report):
    cost = report.split("## ")[2]
    assert row(cost, "level_2")[-2:] == ["2", "2"]
    assert row(cost, "ensemble")[-2:] == ["6", "6"]
    assert row(cost, "level_5 INT8")[-2:] == ["0.5", "0.25"]


def test_an_ensemble_on_corrupted_images_is_the_vote_of_its_members(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    labels = np.arange(30) % 3
    said = np.random.default_rng(0).normal(0, 1, (3, 2, 30, 3)) + 2 * np.eye(3)[labels]
    plan = {"fog": [1, 5]}
    for level, logits in zip((1, 2, 3), said, strict=True):
        run_dir = RunDir(tmp_path / f"level_{level}")
        held = Predictions(run_dir, "test", model_digest(run_dir))
        held.belong_to(np.arange(30), labels, "checksum", 30)
        for severity, each in zip(plan["fog"], logits, strict=True):
            held.add("fog", severity, each.astype(np.float32))
        held.save()
        write_csv(file_of(run_dir, "test", "scores.csv"), score_rows(held, plan, None))
    quality = write_ladder(tmp_path, defaultdict(str)).split("## ")[1]
    assert row(quality, "level_2")[-1] == f"{(said[1].argmax(-1) == labels).mean():.2%}"
    soft = softmax(said, axis=-1).mean(axis=0).argmax(-1)
    assert row(quality, "ensemble")[-1] == f"{(soft == labels).mean():.2%}"
    assert row(quality, "level_5")[-1] == ""


def test_the_int8_file_has_the_figures_of_its_card(report):
    cells = row(report.split("## ")[1], "level_5 INT8")
    assert cells[2:6] == ["**80.00%**", "75.00% to 85.00%", "0.5000", "0.0300"]
    assert cells[6:] == ["0.450", "0.020", "61.00%"]


def test_what_was_not_measured_is_left_open(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    benchmark = json.loads((folder / "benchmark" / "benchmark.json").read_text())
    benchmark["measurements"] = [each for each in benchmark["measurements"] if "level_1" not in each["file"]]
    (tmp_path / "benchmark" / "benchmark.json").write_text(json.dumps(benchmark))
    report = write_ladder(tmp_path, defaultdict(str))
    assert row(report.split("## ")[2], "level_1")[-2:] == ["1", ""]
    assert row(report.split("## ")[2], "ensemble")[-2:] == ["6", ""]
    assert (tmp_path / "accuracy_latency.png").is_file()


def test_each_step_is_compared_with_what_it_came_from_a_student_with_its_teachers_and_the_ensemble(report, folder):
    bought = report.split("## What each step bought")[1]
    accuracy = {name: json.loads((folder / name / "metrics.json").read_text())["accuracy"] for name in RUNS}
    for other, times in (("level_2", "x 2"), ("level_3", "x 1.3"), ("ensemble", "x 0.67")):
        student = row(bought, f"level_5 against {other}")
        assert student[1] == f"{100 * (accuracy['level_5'] - accuracy[other]):+.2f} points"
        assert student[-2:] == [times, times]
    quantized = row(bought, "level_5 INT8 against level_5")
    assert quantized[1:5] == ["-1.25 points", "-3.00 to +0.20", "0.25", "not significant"]
    assert quantized[-2:] == ["x 0.12", "x 0.062"]


def test_every_table_names_the_commands_behind_it(report):
    tables = report.split("## ")[1:]
    assert [each.splitlines()[0] for each in tables] == ["Quality", "Cost", "What each step bought"]
    for table in tables:
        assert "    python -m " in table
    assert "python -m tfcifar.train --level 1 --preset demo" in tables[0]


def test_the_page_stands_alone_and_the_record_holds_it_whole(report, folder, tmp_path):
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(FIGURES)
    record_ladder(folder, "python -m tfcifar.ladder --preset demo", "fedcba9", tmp_path)
    assert {path.name for path in (tmp_path / "ladder-demo").iterdir()} == {
        "report.md", "report.html", "report.json", *FIGURES,
    }  # fmt: skip
    entries = json.loads((tmp_path / "summary.json").read_text())
    assert {each["metric"]: each["value"] for each in entries}["accuracy of level_5 INT8"] == 0.8
    assert {each["seconds"] for each in entries} == {90}
    assert {(each["hardware"], each["commit"]) for each in entries} == {("4 cores", "fedcba9")}


def test_the_hardware_of_a_figure_is_that_of_its_own_step(report):
    start, _, cost, _ = report.split("## ")
    assert "core" not in start
    assert "Latency on 4 cores, training on 2 cores." in cost
