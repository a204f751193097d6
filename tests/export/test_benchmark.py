"""What the benchmark of exported models says; one tiny run of the command from file to report."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from export import benchmark, benchmark_measure
from export.benchmark_artifacts import describe
from export.benchmark_figures import FIGURES
from export.benchmark_report import record_latency
from export.op_profile import profile
from export.runtimes import open_artifact
from pipelines.errors import InputError
from tests.integration.commands import PROJECT, error_lines, run
from tfcifar.run_dir import RunDir, write_json


def write_card(artifact, form, accuracy, ece, **more):
    card = {
        **more,
        "name": "student",
        "format": form,
        "sha256": hashlib.sha256(artifact.read_bytes()).hexdigest(),
        "run": "run-seed0",
        "parameters": 1500,
        "macs": 2_000_000,
        "metrics": {"test": {"n": 100, "accuracy": accuracy, "nll": 0.5, "ece": ece}},
    }
    artifact.with_name(f"{artifact.name}.json").write_text(json.dumps(card))


def test_the_command_writes_report_and_figures(folder, tmp_path):
    files = [folder / name for name in ("student.float32.tflite", "student.float32.onnx", "student.int8.onnx")]
    write_card(files[0], "tflite_float32", accuracy=0.9, ece=0.02)
    write_card(files[2], "onnx_int8", accuracy=0.89, ece=0.03, float_operations=10)
    output = tmp_path / "out"
    completed = run("export.benchmark", *files, "--threads", 1, "--batch", 1, 2, "--rounds", 2, "--seconds", 0.01,
                    "--per-op", "--output", output)  # fmt: skip
    assert {path.name for path in output.iterdir()} == {"benchmark.json", "benchmark.md", "benchmark.html", *FIGURES}
    results = json.loads((output / "benchmark.json").read_text())
    assert [each["accuracy"] for each in results["artifacts"]] == [0.9, None, 0.89]
    assert len(results["measurements"]) == 6
    assert {"ai-edge-litert", "onnxruntime"} <= set(results["environment"]["packages"])
    for row in (
        "| student | float32 | LiteRT | 0.0",
        "| student | int8, 10 operations in float | ONNX Runtime | 0.0",
        "| network | precision | LiteRT | ONNX Runtime |",
        "## 1 thread, 2 images at a time",
        "INT8 against float32",
        ", -) ",
        "fewer than 200 calls tell no 99th percentile",
        "student, int8, ONNX Runtime:",
    ):
        assert row in completed.stdout
    assert "| 90.00% | 0.5000 | 0.0200 |" in completed.stdout
    absent = completed.stdout.partition("Not in “Test accuracy against latency”")[2].splitlines()[0]
    assert absent.endswith(f": {files[1]}.")  # it has no card
    operations = {row["operation"] for row in results["operations"][str(files[2])]["operations"]}
    assert "QLinearConv" in operations
    on_litert = results["operations"][str(files[0])]["operations"]
    assert any("Convolution" in row["operation"] for row in on_litert)
    assert sum(row["share"] for row in on_litert) == pytest.approx(1, abs=0.01)
    html = (output / "benchmark.html").read_text()
    assert html.count("data:image/png;base64,") == len(FIGURES)
    with Image.open(output / "accuracy_latency.png") as image:
        assert image.size == (1080, 660)

    record_latency(output, tmp_path / "results")
    (entry,) = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert (entry["name"], entry["metric"], entry["value"], entry["n"]) == ("latency", "artefacts", 3, 2)
    recorded = {path.name for path in (tmp_path / "results" / "latency").iterdir()}
    assert recorded == {"benchmark.json", "benchmark.md", *FIGURES}


def test_a_file_without_card_is_known_by_its_name_and_a_card_of_another_file_is_refused(folder, tmp_path):
    artifact = tmp_path / "net.int8.onnx"
    artifact.write_bytes((folder / "student.int8.onnx").read_bytes())
    found = describe(str(artifact))
    assert (found["name"], found["precision"], found["runtime"]) == ("net", "int8", "onnxruntime")
    assert (found["accuracy"], found["macs"], found["bytes"]) == (None, None, artifact.stat().st_size)
    write_card(artifact, "onnx_int8", accuracy=0.5, ece=0.1)
    assert describe(str(artifact))["accuracy"] == 0.5
    artifact.write_bytes(b"changed")
    with pytest.raises(InputError, match="the file has changed since its card"):
        describe(str(artifact))


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({}, "expected a card with the sha256 of net.onnx, received none"),
        ([], "expected a card, with metrics by split"),
        (None, "expected a card, with metrics by split"),
        ({"metrics": None}, "expected a card, with metrics by split"),
        ({"metrics": {"test": [1]}}, "expected a card, with metrics by split"),
        ({"sha256": hashlib.sha256(b"net").hexdigest(), "metrics": {"test": {"ece": "low"}}}, "a number as ece"),
        ({"sha256": hashlib.sha256(b"net").hexdigest(), "macs": [1]}, "a number as macs in the JSON file"),
        ({"sha256": hashlib.sha256(b"net").hexdigest(), "format": 8}, "a text as format in the JSON file"),
    ],
)
def test_what_is_no_card_is_one_clear_line(tmp_path, card, message):
    (tmp_path / "net.onnx").write_bytes(b"net")
    (tmp_path / "net.onnx.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match=message):
        describe(str(tmp_path / "net.onnx"))


def test_the_model_of_a_run_is_described_by_the_files_beside_it(folder, tmp_path):
    run_dir = RunDir(tmp_path / "zoo" / "ic02")
    run_dir.path.mkdir(parents=True)
    run_dir.model.write_bytes((folder / "student.keras").read_bytes())
    assert describe(str(run_dir.model))["name"] == "model"  # no run directory yet
    write_json(run_dir.recipe, {})
    assert [describe(str(run_dir.model))[key] for key in ("name", "run", "accuracy")] == ["ic02", "ic02", None]
    metrics = {"run": "wide", "parameters": 474_420, "macs": 67_595_880, "n": 10_000, "accuracy": 0.94, "loss": 0.2}
    write_json(run_dir.metrics, metrics | {"ece": 0.05})
    found = describe(str(run_dir.model))
    assert (found["name"], found["runtime"], found["run"]) == ("ic02", "keras", "wide")
    assert [found[key] for key in ("parameters", "macs", "n")] == [474_420, 67_595_880, 10_000]
    assert [found[key] for key in ("accuracy", "nll", "ece")] == [0.94, 0.2, 0.05]


def test_what_cannot_be_profiled_says_why(tmp_path):
    assert "TensorBoard" in profile("student.keras")["reason"]
    (tmp_path / "broken.tflite").write_bytes(b"nothing")
    assert profile(str(tmp_path / "broken.tflite"))["reason"].startswith("no profile: exit code 1: RuntimeError")


def test_a_tflite_file_of_one_batch_size_works_again_after_another_was_refused(folder, monkeypatch):
    runtime = open_artifact(folder / "student.float32.tflite")
    images = np.zeros((1, 32, 32, 3), np.uint8)
    expected = runtime(images)
    with monkeypatch.context() as patched:
        patched.setattr(runtime.interpreter, "allocate_tensors", lambda: (_ for _ in ()).throw(RuntimeError("no")))
        with pytest.raises(RuntimeError):
            runtime(np.zeros((2, 32, 32, 3), np.uint8))
    np.testing.assert_array_equal(runtime(images), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pyproject.toml"], "expected a model ending in .tflite, .onnx, .keras, received '.toml'"),
        (["missing.onnx"], "missing.onnx: no such file"),
        (["a.onnx", "a.onnx"], "expected each file once"),
        (["a.onnx", "--threads", "9999"], "--threads: expected different numbers, 1 to"),
        (["a.onnx", "--batch", "1", "1"], "--batch: expected different numbers, 1 or more, received 1 1"),
        (["a.onnx", "--rounds", "0"], "--rounds: expected 1 or more, received 0"),
        (["a.onnx", "--seconds", "0"], "--seconds: expected a number above 0, received 0"),
        (["a.onnx", "--seconds", "inf"], "--seconds: expected a number above 0, received inf"),
        (["a.onnx", "--seconds", "nan"], "--seconds: expected a number above 0, received nan"),
    ],
)
def test_wrong_arguments_are_one_clear_line(arguments, message):
    (line,) = error_lines(run("export.benchmark", *arguments, expect=2))
    assert message in line


def test_a_broken_file_is_one_clear_line(tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"nothing")
    (line,) = error_lines(run("export.benchmark", broken, "--threads", 1, "--output", tmp_path / "out", expect=2))
    assert "cannot be loaded as an ONNX model" in line
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_in_place_of_the_output_folder_is_refused_before_anything_is_measured(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark_measure, "Child", None)
    (tmp_path / "out").write_bytes(b"mine")
    arguments = (folder / "student.int8.onnx", "--output", tmp_path / "out")
    (line,) = error_lines(run("export.benchmark", *arguments, expect=2))
    assert "out: cannot be written (File exists). Expected a folder" in line


def test_help_imports_nothing_heavy():
    program = (
        "import sys\nfrom export import benchmark\ntry:\n    benchmark.main(['--help'])\n"
        "except SystemExit:\n    print('MODULES', *sys.modules)"
    )
    completed = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "numpy"} & set(completed.stdout.splitlines()[-1].split())
    assert "examples:" in completed.stdout
    assert benchmark.parse(["a.onnx"]).batch == [1, 32]
