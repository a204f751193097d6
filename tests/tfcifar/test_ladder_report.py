"""The report of a ladder, from runs that were made up."""

import json
import shutil

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
                "corrupted": {"images": 60, "corruptions": 15, "severities": 5, "accuracy": 0.61},
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


WHOLE = "python -m tfcifar.ladder --preset demo"


def write(folder):
    return write_ladder(folder, {f"{step.level} {step.name}": step.command for step in plan("demo", folder, [])}, WHOLE)


@pytest.fixture(scope="module")
def report(folder):
    return write(folder)


def row(report, start):
    """The cells of the row that begins with `start`."""
    (line,) = [line for line in report.splitlines() if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_an_ensemble_costs_what_its_members_cost(report):
    cost = report.split("## ")[2]
    assert row(cost, "level_2")[-3:-1] == ["2", "2"]
    assert row(cost, "ensemble")[-3:-1] == ["6", "6"]
    assert row(cost, "level_5 INT8")[-3:-1] == ["0.5", "0.25"]


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
    quality = write(tmp_path).split("## ")[1]
    assert row(quality, "level_2")[-2] == f"{(said[1].argmax(-1) == labels).mean():.2%}"
    soft = softmax(said, axis=-1).mean(axis=0).argmax(-1)
    assert row(quality, "ensemble")[-2] == f"{(soft == labels).mean():.2%}"
    assert row(quality, "level_5")[-2] == ""
    assert (
        "level_1, level_2, level_3, ensemble on 30 of the test images, under 1 corruptions at 2 severities" in quality
    )
    assert "level_5 INT8 on 60 of the test images, under 15 corruptions at 5 severities" in quality


def test_the_int8_file_has_the_figures_of_its_card(report):
    cells = row(report.split("## ")[1], "level_5 INT8")
    assert cells[2:6] == ["**80.00%**", "75.00% to 85.00%", "0.5000", "0.0300"]
    assert cells[6:9] == ["0.450", "0.020", "61.00%"]


def test_what_was_not_measured_is_left_open(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    benchmark = json.loads((folder / "benchmark" / "benchmark.json").read_text())
    benchmark["measurements"] = [each for each in benchmark["measurements"] if "level_1" not in each["file"]]
    (tmp_path / "benchmark" / "benchmark.json").write_text(json.dumps(benchmark))
    report = write(tmp_path)
    assert row(report.split("## ")[2], "level_1")[-3:-1] == ["1", ""]
    assert row(report.split("## ")[2], "ensemble")[-3:-1] == ["6", ""]
    assert (tmp_path / "accuracy_latency.png").is_file()


def test_each_step_is_compared_with_what_it_came_from_a_student_with_its_teachers_and_the_ensemble(report, folder):
    bought = report.split("## What each step bought")[1]
    accuracy = {name: json.loads((folder / name / "metrics.json").read_text())["accuracy"] for name in RUNS}
    for other, times in (("level_2", "x 2"), ("level_3", "x 1.3"), ("ensemble", "x 0.67")):
        student = row(bought, f"level_5 against {other}")
        assert student[1] == f"{100 * (accuracy['level_5'] - accuracy[other]):+.2f} points"
        assert student[-3:-1] == [times, times]
    quantized = row(bought, "level_5 INT8 against level_5")
    assert quantized[1:5] == ["-1.25 points", "-3.00 to +0.20", "0.25", "not significant"]
    assert quantized[-4:-1] == ["x 1", "x 0.12", "x 0.062"]
    nll = json.loads((folder / "level_5" / "metrics.json").read_text())["loss"]
    assert quantized[5] == f"{0.5 - nll:+.4f}"


def test_a_student_has_cost_what_its_teachers_have_cost_too(folder, tmp_path):
    """Each of the runs has trained for 10 seconds."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    recipe = json.loads((folder / "level_5" / "recipe.json").read_text())
    recipe["distill"]["teachers"] = ["elsewhere/level_2", "elsewhere/level_3"]
    (tmp_path / "level_5" / "recipe.json").write_text(json.dumps(recipe))
    cost = write(tmp_path).split("## ")[2]
    assert [row(cost, name)[1] for name in ("level_1", "level_5", "level_5 INT8")] == ["10.0 s", "30.0 s", "30.0 s"]
    assert "its teachers in it, level_2 and level_3" in cost
    assert "its own is 10.0 s" in cost
    systems = json.loads((tmp_path / "report.json").read_text())["systems"]
    assert {each["name"]: each["minutes"] for each in systems}["level_5"] == pytest.approx(0.5)  # which is plotted


def test_every_row_names_the_commands_that_measure_it_again(report, folder):
    start, *tables, listed = report.split("## ")
    assert f"All of it again: `{WHOLE}`." in start
    assert [each.splitlines()[0] for each in tables] == ["Quality", "Cost", "What each step bought"]
    commands = dict(line.split(". ", 1) for line in listed.splitlines() if line.startswith(tuple("123456789")))
    assert commands["1"].startswith("`python -m tfcifar.train --level 1 --preset demo")
    for table, name, modules in (
        (tables[0], "ensemble", ["ensemble", "calibrate", "robustness"]),
        (tables[0], "level_5 INT8", ["compress"]),
        (tables[1], "level_2", ["train", "compress", "benchmark"]),
        (tables[2], "level_3 against level_2", ["train", "train"]),
    ):
        numbers = row(table, name)[-1].split(", ")
        assert [commands[each].split()[2].split(".")[-1] for each in numbers] == modules
    chart = (folder / "report.md").read_text().split("accuracy_latency.png)")[1].splitlines()[2]
    assert chart.startswith(f"Drawn from `report.json`, which `{WHOLE}` writes: `accuracy` and `ms`")


def test_the_page_stands_alone_and_the_record_holds_it_whole(report, folder, tmp_path):
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(FIGURES)
    record_ladder(folder, "python -m tfcifar.ladder --preset demo", "fedcba9", tmp_path)
    assert {path.name for path in (tmp_path / "ladder-demo").iterdir()} == {
        "report.md", "report.html", "report.json", *FIGURES,
    }  # fmt: skip
    for file in ("report.md", "report.html"):
        assert "In the same folder" in (folder / file).read_text()
        assert "In the same folder" not in (tmp_path / "ladder-demo" / file).read_text()
    assert (tmp_path / "ladder-demo" / "report.html").read_text().count("data:image/png;base64,") == len(FIGURES)
    entries = json.loads((tmp_path / "summary.json").read_text())
    assert {each["metric"]: each["value"] for each in entries}["accuracy of level_5 INT8"] == 0.8
    assert {each["seconds"] for each in entries} == {90}
    assert {(each["hardware"], each["commit"]) for each in entries} == {("4 cores", "fedcba9")}


def test_the_hardware_of_a_figure_is_that_of_its_own_step(report):
    start, _, cost, *_ = report.split("## ")
    assert "core" not in start
    assert "Latency on 4 cores, training on 2 cores." in cost
