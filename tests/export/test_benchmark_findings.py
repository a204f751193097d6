"""What is said of figures of exported models that are known already: names, verdicts, intervals, the Pareto line."""

import pytest

from export.benchmark_artifacts import name_apart
from export.benchmark_findings import float_partner, int8_against_float, median_interval, sentences
from export.op_profile import rows
from tfcifar.reporting.pareto import named, pareto


def artifact(file: str, name="student", precision="int8", runtime="litert", macs=None, run=None) -> dict:
    return {"file": file, "name": name, "precision": precision, "runtime": runtime, "macs": macs, "run": run}


def test_files_that_would_share_a_cell_have_their_folders_beside_the_name_and_the_rest_of_their_row_too():
    files = [
        artifact("zoo/net/net.int8.tflite"), artifact("runs/a/net.int8.tflite"),
        artifact("runs/a/net.int8.onnx", runtime="onnxruntime"), artifact("runs/a/net.tflite", precision="float32"),
        artifact("a/one.int8.tflite", "other"), artifact("a/two.int8.tflite", "other"),
    ]  # fmt: skip
    assert [each["label"] for each in name_apart(files)] == [
        "student (zoo/net)", "student (runs/a)", "student (runs/a)", "student", "a/one.int8.tflite", "a/two.int8.tflite"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("float_files", "partner"),
    [
        ([artifact("runs/a/s.tflite")], "runs/a/s.tflite"),  # of the same name alone
        ([artifact("runs/a/s.tflite"), artifact("zoo/s/s.tflite")], "zoo/s/s.tflite"),  # in the same folder
        ([artifact("runs/a/s.tflite", run="a"), artifact("runs/b/s.tflite", run="b")], "runs/b/s.tflite"),
        ([artifact("runs/a/s.tflite"), artifact("runs/c/s.tflite")], None),  # which of the two?
        ([artifact("runs/a/s.tflite", macs=9)], None),  # another network, whatever its name
        ([artifact("runs/a/s.onnx", runtime="onnxruntime")], None),
    ],
)
def test_an_int8_file_is_compared_with_the_float32_file_of_its_network_wherever_that_lies(float_files, partner):
    quantized = artifact("zoo/s/s.int8.tflite", run="b", macs=7)
    others = [each | {"precision": "float32"} for each in float_files]
    found = float_partner(quantized, [quantized, *others])
    assert (found and found["file"]) == partner


def test_a_second_int8_file_of_a_network_takes_the_verdict_from_neither():
    files = name_apart([artifact("zoo/s/s.int8.tflite"), artifact("runs/s/s.int8.tflite"),
                        artifact("runs/s/s.float32.tflite", precision="float32"),
                        artifact("zoo/x/x.int8.tflite", "x")])  # fmt: skip
    medians = [1.0, 2.0, 4.0, 1.0]
    measurements = [{"file": each["file"], "threads": 1, "batch": 1, "rounds_p50_ms": [own] * 10}
                    for each, own in zip(files, medians, strict=True)]  # fmt: skip
    text = "\n".join(sentences({"artifacts": files, "measurements": measurements}, {"litert": "LiteRT"}))
    assert "- student (zoo/s) on LiteRT: 4.00 times as fast" in text
    assert "- student (runs/s) on LiteRT: 2.00 times as fast" in text
    assert "Not compared, for want of one float32 file" in text
    assert text.endswith("- zoo/x/x.int8.tflite")


def results_of(times: dict) -> dict:
    """As in benchmark.json, of (network, precision) -> medians of the rounds."""
    artifacts = name_apart([artifact(f"{name}.{precision}", name, precision) for name, precision in times])
    measurements = [{"file": f"{name}.{precision}", "threads": 1, "batch": 1, "rounds_p50_ms": own}
                    for (name, precision), own in times.items()]  # fmt: skip
    return {"artifacts": artifacts, "measurements": measurements}


def test_the_sentences_on_int8_follow_from_the_rounds():
    times = {
        ("slow", "float32"): [1.0, 2.0, 1.0] * 2, ("slow", "int8"): [1.2, 2.6, 1.5] * 2,
        ("fast", "float32"): [1.0, 2.0, 1.0] * 2, ("fast", "int8"): [0.25, 0.5, 0.5] * 2,
        ("even", "float32"): [1.0, 1.0, 1.0] * 2, ("even", "int8"): [0.9, 1.1, 1.0] * 2,
        ("alone", "int8"): [1.0, 1.0, 1.0] * 2,
    }  # fmt: skip
    found = int8_against_float(results_of(times))
    assert [(row["label"], row["verdict"]) for row in found] == [
        ("slow", "slower"), ("fast", "faster"), ("even", "not told apart")
    ]  # fmt: skip
    assert [found[0][key] for key in ("ratio", "low", "high")] == [1.3, 1.2, 1.5]
    text = "\n".join(sentences(results_of(times), {"litert": "LiteRT"}))
    assert "INT8 is slower than float32 on this CPU for:\n- slow on LiteRT, 1 thread, batch 1: 1.30 times" in text
    assert "- fast on LiteRT: 4.00 times as fast" in text
    fast = {key: own for key, own in times.items() if key[0] == "fast"}
    assert "nowhere measurably slower than float32" in "\n".join(sentences(results_of(fast), {"litert": "LiteRT"}))
    assert "not corrected for their number" in text
    assert sentences(results_of({("fast", "float32"): [1.0]}), {}) == []


def test_five_rounds_give_a_ratio_and_no_verdict():
    """Their range holds the median in 1 - 2 / 2 ** 5 = 93.75% of all cases."""
    results = results_of({("fast", "float32"): [4.0] * 5, ("fast", "int8"): [1.0] * 5})
    assert [(row["verdict"], row["ratio"], row["low"]) for row in int8_against_float(results)] == [
        ("too few rounds", 0.25, None)
    ]
    text = "\n".join(sentences(results, {"litert": "LiteRT"}))
    assert "Fewer than 6 rounds" in text
    assert text.endswith("- fast on LiteRT, 1 thread, batch 1: 0.25 times the time")
    assert "faster" not in text


@pytest.mark.parametrize(
    ("count", "interval"), [(1, None), (5, None), (6, (1, 6)), (8, (1, 8)), (9, (2, 8)), (10, (2, 9)), (20, (6, 15))]
)
def test_the_interval_of_a_median_narrows_with_more_rounds(count, interval):
    """The ranks are those of the tables of the sign test."""
    assert median_interval(list(range(count, 0, -1))) == interval


def test_the_pareto_line_holds_what_nothing_betters():
    places = [(3, 0.9), (1, 0.7), (2, 0.7), (1, 0.6), (4, 0.95), (5, 0.9)]
    points = [{"x": x, "y": y} for x, y in places]
    assert [(each["x"], each["y"]) for each in pareto(points, more=True)] == [(1, 0.7), (3, 0.9), (4, 0.95)]
    assert [(each["x"], each["y"]) for each in pareto(points, more=False)] == [(1, 0.6)]


def test_names_in_a_figure_are_those_of_the_line_and_of_the_best_of_each_network():
    places = [("a", 1, 0.7), ("a", 2, 0.9), ("a", 3, 0.9), ("b", 4, 0.5), ("b", 5, 0.6), ("b", 6, 0.6)]
    points = [{"name": name, "x": x, "y": y} for name, x, y in places]
    assert [(each["name"], each["x"]) for each in named(points, more=True)] == [("a", 1), ("a", 2), ("b", 5)]
    assert [(each["name"], each["x"]) for each in named(points, more=False)] == [("a", 1), ("b", 4)]


def test_shares_of_operations_are_of_typical_calls():
    found = rows([("Conv", [2, 2, 2, 1000]), ("Relu", [1, 1, 1, 1]), ("Conv", [1, 1, 1, 1])])
    assert found[0] == {"operation": "Conv", "count": 2, "microseconds": 3.0, "share": 0.75}
