"""What the benchmark of exported models measures and says; one tiny run of the command from file to report."""

import hashlib
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from export import benchmark, benchmark_measure, benchmark_run
from export.benchmark_artifacts import describe
from export.benchmark_figures import FIGURES
from export.benchmark_measure import Child, how_it_ended, measure, order, summarize
from export.benchmark_report import record_latency
from export.benchmark_run import available_bytes, check_memory
from export.onnx import quantize_onnx, write_onnx
from export.op_profile import profile
from export.runtimes import open_artifact
from export.tflite import write_tflite
from pipelines.errors import InputError
from pipelines.synthetic import generate
from tests.export.models import build
from tests.integration.commands import PROJECT, error_lines, run
from tfcifar.run_dir import RunDir, write_json


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One small network as .keras, .tflite, .onnx and .onnx in INT8."""
    folder = tmp_path_factory.mktemp("artifacts")
    model = build("small_cnn")
    model.save(folder / "student.keras")
    write_onnx(model, folder / "student.float32.onnx")
    images = generate(16, num_classes=10, size=32, seed=0).images
    quantize_onnx(folder / "student.float32.onnx", folder / "student.int8.onnx", images)
    write_tflite(model, folder / "student.float32.tflite", "float32")
    return folder


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


def test_percentiles_and_throughput_are_of_the_calls_of_all_rounds():
    found = summarize([[0.001 * i for i in range(1, 101)], [0.001 * i for i in range(101, 202)]], batch=4)
    assert (found["p50_ms"], found["p90_ms"], found["p99_ms"]) == (101.0, 181.0, 199.0)
    assert found["calls"] == 201
    assert found["images_per_second"] == pytest.approx(4 / 0.101, rel=1e-4)
    assert found["rounds_p50_ms"] == [50.5, 151.0]


def test_fewer_than_200_calls_tell_no_99th_percentile():
    assert summarize([[0.001] * 199], batch=1)["p99_ms"] is None
    assert summarize([[0.001] * 199, [0.001]], batch=1)["p99_ms"] == 1.0


def test_each_round_visits_every_configuration_once_in_an_order_of_its_own():
    turns = list(order(list("abcdef"), rounds=4))
    visits = [turns[i : i + 6] for i in range(0, 24, 6)]
    assert all(sorted(each) == list("abcdef") for each in visits)
    assert len({tuple(each) for each in visits}) == 4
    assert turns == list(order(list("abcdef"), rounds=4))


GREETINGS = (
    "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR"
)


class FakeChild:
    """Takes as many milliseconds as its batch size, and cannot do batches of 8."""

    asked: list = []  # noqa: RUF012 - shared on purpose: the order over all children is what is tested

    def __init__(self, file, threads):
        self.file, self.loaded = file, {"runtime": "litert"}

    def wait_until_loaded(self):
        pass

    def ask(self, batch, calls):
        if batch == 8:
            return {"error": "no such batch"}
        self.asked.append((self.file, batch, calls))
        return {"times": [batch / 1000] * calls, "peak_bytes": 100 * batch}

    def close(self):
        pass


@pytest.fixture
def pauses(monkeypatch):
    """Seconds of each pause, which tests need not wait for."""
    found = []
    monkeypatch.setattr(benchmark_measure.time, "sleep", found.append)
    return found


def test_a_measurement_takes_its_seconds_and_what_does_not_run_is_named(monkeypatch, pauses):
    monkeypatch.setattr(benchmark_measure, "Child", FakeChild)
    FakeChild.asked.clear()
    found = measure(["a", "b"], threads=[1], batches=[2, 1, 8], rounds=3, seconds=0.05)
    measured = FakeChild.asked[-12:]
    assert pauses == [0.1] * 12  # one before each, in which the threads of the last one come to rest
    assert {each: measured.count(each) for each in measured} == {
        (file, batch, calls): 3 for file in "ab" for batch, calls in ((1, 50), (2, 25))
    }
    assert [(each["file"], each["batch"], each["reason"]) for each in found["failed"]] == [
        ("a", 8, "no such batch"), ("b", 8, "no such batch")
    ]  # fmt: skip
    (row,) = [each for each in found["measurements"] if (each["file"], each["batch"]) == ("b", 2)]
    assert (row["threads"], row["calls"], row["p50_ms"], row["images_per_second"]) == (1, 75, 2.0, 1000.0)
    assert row["peak_bytes"] == 200


def test_the_process_of_a_tflite_or_onnx_file_has_no_tensorflow(folder):
    for name in ("student.float32.tflite", "student.int8.onnx"):
        child = Child(str(folder / name), threads=1)
        child.wait_until_loaded()
        answer = child.ask(batch=3, calls=4)
        child.close()
        assert child.loaded["tensorflow"] is False
        assert len(answer["times"]) == 4
        assert 0 < answer["peak_bytes"] < 100e6  # TensorFlow alone takes several times as much


def test_what_does_not_fit_into_memory_is_refused_before_anything_is_loaded(tmp_path, monkeypatch):
    files = [{"runtime": runtime, "bytes": 3_000_000} for runtime in ("keras", "onnxruntime", "litert")]
    needed = 2 * (350 + 67 + 44) * 10**6
    check_memory(files, [1, 2], needed)
    check_memory(files, [1, 2], None)
    with pytest.raises(InputError, match=r"take about 0.9 GB, but 0.9 GB .*one number of --threads at a time"):
        check_memory(files, [1, 2], needed - 1)
    monkeypatch.setattr(benchmark_run, "MEMORY", tmp_path / "meminfo")
    assert available_bytes() is None
    benchmark_run.MEMORY.write_text("MemTotal:       24683232 kB\nMemAvailable:    7481100 kB\nBuffers: 1 kB\n")
    assert available_bytes() == 7_481_100 * 1024


def test_keras_is_timed_too_and_says_its_precision(folder):
    child = Child(str(folder / "student.keras"), threads=1)
    child.wait_until_loaded()
    assert child.loaded == {"runtime": "keras", "precision": "float32", "tensorflow": True}
    assert len(child.ask(batch=2, calls=3)["times"]) == 3
    child.close()


def test_a_process_that_dies_is_one_clear_line(folder):
    child = Child(str(folder / "student.int8.onnx"), threads=1)
    child.wait_until_loaded()
    for _ in range(2):  # while it answers, and when it is gone already
        answer = child.ask(batch="no number", calls=1)
        assert re.fullmatch(r"its process ended with exit code 1: .*Error.*", answer["error"])
        assert answer["ended"] == 1
    child.close()


@pytest.mark.parametrize(
    ("code", "log", "words"),
    [
        (-9, f"{GREETINGS}\nsomething", "its process was killed (signal 9), probably out of memory"),
        (-11, f"corrupted\n{GREETINGS}\n", "its process ended with signal 11: corrupted"),
        (1, GREETINGS, "its process ended with exit code 1: no message"),
    ],
)
def test_how_a_process_ended_is_told_without_the_greetings_of_its_runtime(code, log, words):
    assert how_it_ended(code, log) == words


def test_a_process_that_dies_in_any_round_takes_nothing_with_it_but_its_own_measurements(monkeypatch, pauses):
    class Dying(FakeChild):
        def ask(self, batch, calls):
            ended = self.file == "unborn" or (self.file == "dies" and sum(f == "dies" for f, *_ in self.asked) > 5)
            return {"error": "killed", "ended": -9} if ended else super().ask(batch, calls)

    monkeypatch.setattr(benchmark_measure, "Child", Dying)
    FakeChild.asked.clear()
    found = measure(["unborn", "dies", "lives"], threads=[1], batches=[1, 2], rounds=4, seconds=0.01)
    assert [(each["file"], each["batch"]) for each in found["measurements"]] == [("lives", 1), ("lives", 2)]
    assert {(each["file"], each["batch"], each["reason"]) for each in found["failed"]} == {
        (file, batch, "killed") for file in ("unborn", "dies") for batch in (1, 2)
    }
    with pytest.raises(InputError, match="unborn: killed; nothing else could be measured either"):
        measure(["unborn"], threads=[1], batches=[1, 2], rounds=1, seconds=0.01)


def test_each_model_is_warm_before_the_next_one_is_loaded(monkeypatch, pauses):
    happened = []

    class Watched(FakeChild):
        def wait_until_loaded(self):
            happened.append(f"{self.file} loads")

        def ask(self, batch, calls):
            happened.append(f"{self.file} computes")
            return super().ask(batch, calls)

    monkeypatch.setattr(benchmark_measure, "Child", Watched)
    measure(["a", "b"], threads=[1], batches=[1], rounds=1, seconds=0.01)
    assert happened[:6] == ["a loads", "a computes", "a computes", "b loads", "b computes", "b computes"]


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
        (["model.pb"], "expected a model ending in .tflite, .onnx, .keras, received '.pb'"),
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
