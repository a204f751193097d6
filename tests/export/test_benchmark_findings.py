"""What is said of figures of exported models that are known already: names, verdicts, intervals, the Pareto line."""

import pytest

from export.benchmark_artifacts import name_apart
from export.benchmark_findings import int8_against_float, median_interval, sentences
from export.op_profile import rows
from tfcifar.reporting.pareto import pareto


def test_two_files_that_would_share_a_cell_are_named_by_their_paths():
    files = (("a/net.tflite", "litert"), ("b/net.tflite", "litert"), ("a/net.onnx", "onnxruntime"))
    same = [{"file": file, "name": "net", "precision": "int8", "runtime": runtime} for file, runtime in files]
    assert [each["name"] for each in name_apart(same)] == ["a/net.tflite", "b/net.tflite", "net"]


def results_of(times: dict) -> dict:
    """As in benchmark.json, of (network, precision) -> medians of the rounds."""
    artifacts = [{"file": f"{name}.{precision}", "name": name, "runtime": "litert", "precision": precision}
                 for name, precision in times]  # fmt: skip
    measurements = [{"file": f"{name}.{precision}", "threads": 1, "batch": 1, "rounds_p50_ms": own}
                    for (name, precision), own in times.items()]  # fmt: skip
    return {"artifacts": artifacts, "measurements": measurements}


def test_the_sentences_on_int8_follow_from_the_rounds():
    found = int8_against_float(
        results_of(
            {
                ("slow", "float32"): [1.0, 2.0, 1.0], ("slow", "int8"): [1.2, 2.6, 1.5],
                ("fast", "float32"): [1.0, 2.0, 1.0], ("fast", "int8"): [0.25, 0.5, 0.5],
                ("even", "float32"): [1.0, 1.0, 1.0], ("even", "int8"): [0.9, 1.1, 1.0],
                ("alone", "int8"): [1.0, 1.0, 1.0],
            }
        )
    )  # fmt: skip
    assert [(row["name"], row["verdict"]) for row in found] == [
        ("slow", "slower"), ("fast", "faster"), ("even", "not told apart")
    ]  # fmt: skip
    assert [found[0][key] for key in ("ratio", "low", "high")] == [1.3, 1.2, 1.5]
    text = "\n".join(sentences(found, {"litert": "LiteRT"}))
    assert "INT8 is slower than float32 on this CPU for:\n- slow on LiteRT, 1 thread, batch 1: 1.30 times" in text
    assert "- fast on LiteRT: 4.00 times as fast" in text
    assert "INT8 is nowhere slower than float32" in "\n".join(sentences(found[1:2], {"litert": "LiteRT"}))
    assert sentences([], {}) == []


@pytest.mark.parametrize(("count", "interval"), [(1, (1, 1)), (8, (1, 8)), (9, (2, 8)), (10, (2, 9)), (20, (6, 15))])
def test_the_interval_of_a_median_narrows_with_more_rounds(count, interval):
    """The ranks are those of the tables of the sign test."""
    assert median_interval(list(range(count, 0, -1))) == interval


def test_the_pareto_line_holds_what_nothing_betters():
    places = [(3, 0.9), (1, 0.7), (2, 0.7), (1, 0.6), (4, 0.95), (5, 0.9)]
    points = [{"x": x, "y": y} for x, y in places]
    assert [(each["x"], each["y"]) for each in pareto(points, more=True)] == [(1, 0.7), (3, 0.9), (4, 0.95)]
    assert [(each["x"], each["y"]) for each in pareto(points, more=False)] == [(1, 0.6)]


def test_shares_of_operations_are_of_typical_calls():
    found = rows([("Conv", [2, 2, 2, 1000]), ("Relu", [1, 1, 1, 1]), ("Conv", [1, 1, 1, 1])])
    assert found[0] == {"operation": "Conv", "count": 2, "microseconds": 3.0, "share": 0.75}
