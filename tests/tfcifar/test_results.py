"""What goes on record."""

import json

import numpy as np
import pytest

from pipelines.errors import InputError
from tfcifar import recipes
from tfcifar.reporting.explanations import record_explanations
from tfcifar.reporting.readme_table import readme_table, update_readme
from tfcifar.reporting.results import FIGURES, command_of_seeds, command_without_run, record
from tfcifar.reporting.run_report import EvaluatedRun
from tfcifar.reporting.zoo_record import record_latencies, record_published
from tfcifar.reporting.zoo_table import zoo_table
from tfcifar.run_dir import RunDir, write_json


@pytest.mark.parametrize(
    "command",
    [
        "python -m tfcifar.train --level 2 --seed 0 1 2 --set epochs=3",
        "python -m tfcifar.train --level 2 --resume --set epochs=3",
        "python -m tfcifar.train --run-dir runs/x --level 2 --set epochs=3 --seed 7",
        "python -m tfcifar.train --level 2 --seeds 0 1 --set epochs=3 --output results/x.md",
        "python -m tfcifar.train --level 2 --record --set epochs=3",
    ],
)
def test_the_command_on_record_loses_what_belongs_to_one_run_and_nothing_else(command):
    assert command_without_run(command) == "python -m tfcifar.train --level 2 --set epochs=3"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python -m tfcifar.train --level 2 --seed 0 --run-dir runs/x", "python -m tfcifar.train --level 2 --seed 0 3"),
        ("python -m export.prune runs/x --output runs/y", "python -m export.prune runs/x --output runs/y"),
    ],
)
def test_seeds_are_said_of_trainings_only(command, expected):
    assert command_of_seeds(command, [0, 3]) == expected


def evaluated_run(folder, seed, accuracy, seconds, pflop=0.36, tta=None) -> EvaluatedRun:
    """A run directory with the files that the record copies; only recipe and metrics mean anything."""
    run_dir = RunDir(folder / f"seed{seed}")
    run_dir.figures.mkdir(parents=True)
    evidence = (run_dir.metrics, run_dir.history, run_dir.per_class, run_dir.environment, run_dir.timing,
                run_dir.test_openings, *(run_dir.figures / name for name in FIGURES))  # fmt: skip
    for file in evidence:
        file.touch()
    run_dir.recipe.write_text(recipes.load("smoke").replace(seed=seed, tta="flip").to_json())
    metrics = {"accuracy": accuracy, "train_seconds": seconds, "pflop": pflop, "tta": tta}
    environment = {"command": "python -m tfcifar.train --recipe smoke --seed 9", "hardware": "a GPU", "commit": "abc"}
    metrics = {name: value for name, value in metrics.items() if value is not None}
    run_dir.metrics.write_text(json.dumps(metrics))
    run_dir.environment.write_text(json.dumps(environment))
    return EvaluatedRun(run_dir, metrics, [], environment, np.array([True]), np.array([0]))


def views(name, accuracy):
    return {"views": name, "accuracy": accuracy}


def test_mean_and_spread_of_all_figures_are_on_record(tmp_path):
    runs = [
        evaluated_run(tmp_path, 0, 0.94, 10.0, tta=views("flip", 0.95)),
        evaluated_run(tmp_path, 1, 0.95, 20.0, tta=views("flip", 0.97)),
        evaluated_run(tmp_path, 2, 0.96, 30.0, tta=views("flip", 0.96)),
    ]
    record("fast", runs, results=tmp_path / "results")
    summary = json.loads((tmp_path / "results" / "summary.json").read_text())
    figures = {each["metric"]: (each["value"], each["std"], each["n"], each["unit"]) for each in summary}
    assert figures == {
        "test_accuracy": (0.95, 0.01, 3, "fraction"),
        "test_accuracy_tta": (0.96, 0.01, 3, "fraction"),
        "train_seconds": (20.0, 10.0, 3, "s"),
        "pflop": (0.36, 0.0, 3, "PFLOP"),
    }
    assert {each["command"] for each in summary} == {"python -m tfcifar.train --recipe smoke --seed 0 1 2"}
    assert {each.get("views") for each in summary} == {"flip", None}


def test_seeds_of_one_recipe_may_go_on_record_in_several_sittings(tmp_path):
    results = tmp_path / "results"
    record("fast", [evaluated_run(tmp_path, 2, 0.94, 10.0)], results=results)
    other = evaluated_run(tmp_path / "later", 0, 0.96, 30.0)
    entry = record("fast", [other], results=results)[0]
    assert (entry["n"], entry["value"]) == (2, pytest.approx(0.95))
    assert entry["command"].endswith("--seed 0 2")
    # The same seed again takes the place of the first; another recipe that of all.
    assert record("fast", [evaluated_run(tmp_path / "again", 2, 0.90, 10.0)], results=results)[0]["value"] == 0.93
    changed = evaluated_run(tmp_path / "changed", 5, 0.80, 10.0)
    changed.run_dir.recipe.write_text(recipes.load("smoke").replace(seed=5, epochs=9).to_json())
    entry = record("fast", [changed], results=results)[0]
    assert (entry["n"], entry["value"]) == (1, 0.8)
    assert [folder.name for folder in (results / "fast").iterdir()] == ["seed5"]


def test_no_path_of_the_machine_goes_on_record(tmp_path):
    run = evaluated_run(tmp_path, 0, 0.94, 10.0)
    environment = {**run.environment, "command": "python -m tfcifar.train --run-dir /home/me/x --seed 0"}
    run.run_dir.environment.write_text(json.dumps(environment))
    record("fast", [run], results=tmp_path / "results")
    recorded = json.loads((tmp_path / "results" / "fast" / "seed0" / "environment.json").read_text())
    assert recorded == environment | {"command": "python -m tfcifar.train --seed 0"}


@pytest.mark.parametrize(("commits", "on_record"), [((None, None), None), ((None, "abc"), "abc")])
def test_runs_outside_a_git_checkout_can_be_recorded(tmp_path, commits, on_record):
    runs = [evaluated_run(tmp_path, seed, 0.94, 10.0) for seed in range(2)]
    for run, commit in zip(runs, commits, strict=True):
        run.run_dir.environment.write_text(json.dumps(run.environment | {"commit": commit}))
    assert {each["commit"] for each in record("fast", runs, results=tmp_path / "results")} == {on_record}


def test_views_that_the_recorded_command_does_not_take_are_not_recorded(tmp_path):
    run = evaluated_run(tmp_path, 0, 0.94, 10.0, tta=views("flip_translate", 0.95))  # the recipe says flip
    metrics = [each["metric"] for each in record("fast", [run], results=tmp_path / "results")]
    assert "test_accuracy_tta" not in metrics


@pytest.mark.parametrize("other", [None, views("flip_translate", 0.97)])
def test_there_is_no_tta_figure_unless_all_runs_have_the_same_views(tmp_path, other):
    runs = [
        evaluated_run(tmp_path, 0, 0.94, 10.0, tta=views("flip", 0.95)),
        evaluated_run(tmp_path, 1, 0.95, 20.0, tta=other),
    ]
    metrics = [each["metric"] for each in record("fast", runs, results=tmp_path / "results")]
    assert metrics == ["test_accuracy", "train_seconds", "pflop"]


def test_other_entries_stay_and_runs_from_before_compute_was_counted_can_be_recorded(tmp_path):
    old = [{"name": "fast", "metric": "bytes", "value": 7}, {"name": "slow", "metric": "test_accuracy", "value": 0.5}]
    (tmp_path / "summary.json").write_text(json.dumps(old))
    record("fast", [evaluated_run(tmp_path, 0, 0.94, 10.0, pflop=None)], results=tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [(each["name"], each["metric"]) for each in summary] == [
        ("fast", "bytes"), ("fast", "test_accuracy"), ("fast", "train_seconds"), ("slow", "test_accuracy"),
    ]  # fmt: skip
    assert all(each in summary for each in old)


def test_the_readme_shows_plain_and_averaged_accuracy_apart():
    common = {"std": 0.0012, "n": 5, "details": "results/fast/", "hardware": "a GPU", "command": "c", "seconds": 9.66}
    summary = [
        {"name": "fast", "metric": "pflop", "value": 0.3, **common},
        {"name": "fast", "metric": "test_accuracy", "value": 0.9312, **common},
        {"name": "fast", "metric": "test_accuracy_tta", "value": 0.9403, "views": "flip_translate", **common},
        {
            "name": "level_3",
            "metric": "test_accuracy",
            "value": 0.95,
            **common,
            "seconds": 2430.0,
            "std": None,
            "n": 1,
            "trained_on": "train + validation",
        },
    ]
    lines = readme_table(summary).splitlines()
    assert lines[3] == (
        "| [fast](results/fast/) | **93.12% ± 0.12** (n=5) | 94.03% ± 0.12 (flip_translate) |  "
        "| 9.7 s, 0.3 PFLOP | `c` |"
    )
    level = "| [level_3](results/fast/) | **95.00%** (n=1) |  | 96.00%, [WRN-28-10]"  # the levels come first
    assert lines[2].startswith(level)
    assert lines[2].endswith("| 40 min, on train + validation | `c` |")
    assert lines[-1].startswith("On a GPU. ")
    assert "six views" in lines[-1]
    assert "multi_crop" not in lines[-1]
    summary[2]["views"] = "multi_crop"
    assert lines[-1] in readme_table(summary)  # those of the paper, and behind them what else is used
    assert "`multi_crop`: mean logits of ten views" in readme_table(summary)


def test_an_ensemble_in_the_readme_has_its_views_and_no_long_list_of_runs():
    entry = {"name": "level_4", "metric": "test_accuracy", "value": 0.97, "std": None, "n": 1, "unit": "fraction"}
    command = "python -m tfcifar.ensemble runs/a runs/b runs/c --views flip --output runs/ensemble"
    more = {"seconds": 60, "hardware": "2 cores", "commit": "a", "details": "results/level_4/", "command": command}
    row = readme_table([entry | more | {"views": "flip"}]).splitlines()[2]
    assert "**97.00%** (n=1, flip)" in row
    assert "`python -m tfcifar.ensemble RUN_DIR... --views flip --output runs/ensemble`" in row


def test_scores_of_explanations_go_on_record_with_their_table(tmp_path):
    row = {"run": "a", "images": 200, "deletion": 0.2, "insertion": 0.7, "sanity": 0.1}
    rows = [row | {"method": "grad_cam"}, row | {"method": "random", "sanity": ""}]
    record_explanations(rows, 61.4, tmp_path)
    (entry,) = json.loads((tmp_path / "summary.json").read_text())
    assert [entry[key] for key in ("name", "metric", "value", "n", "seconds")] == ["explanations", "rows", 2, 200, 61]
    assert "grad_cam" in (tmp_path / "explanations" / "explanations.md").read_text()
    assert (tmp_path / "explanations" / "scores.csv").read_text().count("\n") == 3


def test_models_of_the_zoo_have_a_row_each_the_best_first(tmp_path):
    for name, accuracy in (("ic01", 0.901), ("student", 0.9512)):
        measured = {"test": {"accuracy": accuracy, "accuracy_ci95": [accuracy - 0.004, accuracy + 0.003]}}
        card = {"name": name, "metrics": measured, "bytes": 98_000, "macs": 12_480_000}
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / f"{name}.int8.tflite.json", card)
        write_json(RunDir(tmp_path / name).metrics, {"accuracy": accuracy + 0.001})
    student, tiny = zoo_table([], tmp_path).splitlines()[2:]
    row = "| [student](zoo/student/README.md) | **95.12%** (94.72 to 95.42) | 95.22% | 98,000 | 12.5M |"
    assert student == f"{row}  |  |"
    assert "**90.10%**" in tiny
    assert "87.0%" in tiny
    latency = {"name": "student_int8", "metric": "latency_ms_p50", "value": 0.381}
    student, tiny, *_, note = zoo_table([latency], tmp_path).splitlines()[2:]
    assert student == f"{row} 0.381 |  |"
    assert "one thread of LiteRT" in note


def test_what_is_published_goes_on_record_and_its_latency_with_a_benchmark(tmp_path):
    folder, results = tmp_path / "zoo" / "ic02", tmp_path / "results"
    made_by = {"command": "python -m export.compress runs/wide", "commit": "abc"}
    card = {"metrics": {"test": {"accuracy": 0.9419}}, "bytes": 490_736, "macs": 67_595_880, "made_by": made_by}
    folder.mkdir(parents=True)
    write_json(folder / "ic02.int8.tflite.json", card)
    write_json(RunDir(folder).metrics, {"accuracy": 0.9424, "train_seconds": 60.0})
    write_json(RunDir(folder).environment, {"hardware": "2 cores"})
    record_published(folder, results)

    file = str(folder / "ic02.int8.tflite")
    float_file = str(RunDir(folder).model)  # measured beside it, and slower
    times = [(file, 1, 1, 0.2104), (file, 2, 1, 0.15), (file, 1, 32, 5.0), ("runs/x.tflite", 1, 1, 9.0),
             (float_file, 1, 1, 1.7)]  # fmt: skip
    keys = ("file", "threads", "batch", "p50_ms")
    benchmark = {
        "measurements": [dict(zip(keys, each, strict=True)) for each in times],
        "environment": {"hardware": "2 cores", "commit": "def"},
        "seconds": 61.2,
    }
    record_latencies(benchmark, "python -m export.benchmark", tmp_path / "zoo", results)
    summary = json.loads((results / "summary.json").read_text())
    assert {(each["name"], each["details"]) for each in summary} == {("tiny_ic02_int8", "zoo/ic02/")}
    assert {each["metric"]: (each["value"], each["unit"], each["commit"]) for each in summary} == {
        "test_accuracy": (0.9419, "fraction", "abc"),
        "float_accuracy": (0.9424, "fraction", "abc"),
        "bytes": (490_736, "bytes", "abc"),
        "macs": (67_595_880, "MACs", "abc"),
        "latency_ms_p50": (0.21, "ms", "def"),
    }
    assert len(readme_table(summary).splitlines()) == 4  # the zoo has its own table
    record_published(folder, results)  # another file, perhaps: nothing is known of its latency
    assert "latency_ms_p50" not in {each["metric"] for each in json.loads((results / "summary.json").read_text())}


def test_a_page_without_its_marks_is_refused(tmp_path):
    write_json(tmp_path / "summary.json", [])
    readme = tmp_path / "README.md"
    readme.write_text("<!-- results: begin -->\n<!-- results: end -->\n")
    with pytest.raises(InputError, match="'<!-- zoo: begin -->' and '<!-- zoo: end -->'"):
        update_readme(readme, tmp_path, tmp_path)
    assert readme.read_text() == "<!-- results: begin -->\n<!-- results: end -->\n"
