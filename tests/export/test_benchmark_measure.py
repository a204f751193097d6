"""How the benchmark of exported models takes its measurements, and what becomes of models that cannot be measured."""

import re

import pytest

from export import benchmark_measure, benchmark_run
from export.benchmark_measure import Child, how_it_ended, measure, order, summarize
from export.benchmark_run import available_bytes, check_memory
from pipelines.errors import InputError


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
