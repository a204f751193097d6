"""results/summary.json: what the INT8 files of zoo/ reach and cost."""

from pathlib import Path

from tfcifar.reporting.results import PROJECT, RESULTS, put_on_record
from tfcifar.run_dir import RunDir, read_json

# The network's name on record, where it says more than that in zoo/; any other is NAME_int8.
RECORD_NAMES = {
    "ic01": "tiny_ic01_int8",
    "ic02": "tiny_ic02_int8",
    "mobilenet_v3": "mobilenet_v3_small_distilled",
}
LATENCY = "latency_ms_p50"


def record_name(name: str) -> str:
    """For example "tiny_ic01_int8" of "ic01"."""
    return RECORD_NAMES.get(name, f"{name}_int8")


def record_published(folder: Path, results: Path = RESULTS) -> None:
    """Put on record what `folder` of zoo/ holds: test accuracy of the INT8 file and of its float parent, bytes, MACs.

    A latency on record is of the file that was there before, and goes.
    """
    run_dir, card = RunDir(folder), read_json(folder / f"{folder.name}.int8.tflite.json")
    environment = read_json(run_dir.environment)
    figures = (
        ("test_accuracy", card["metrics"]["test"]["accuracy"], "fraction"),
        ("float_accuracy", read_json(run_dir.metrics)["accuracy"], "fraction"),
        ("bytes", card["bytes"], "bytes"),
        ("macs", card["macs"], "MACs"),
    )
    common = {
        "command": card["made_by"]["command"],
        "seconds": read_json(run_dir.metrics)["train_seconds"],  # of the training behind it, as in all accuracies
        "hardware": environment["hardware"],
        "commit": card["made_by"]["commit"],
    }
    put_on_record([_entry(folder.name, *figure, **common) for figure in figures], (LATENCY,), results)


def record_latencies(benchmark: dict, command: str, zoo: Path = PROJECT / "zoo", results: Path = RESULTS) -> None:
    """Put on record the median latency of each INT8 file of `zoo` in a benchmark.json: one image, on one thread."""
    environment = benchmark["environment"]
    common = {key: environment[key] for key in ("hardware", "commit")} | {"seconds": round(benchmark["seconds"])}
    for each in benchmark["measurements"]:
        file = Path(each["file"]).resolve()
        published = file.parent.parent == zoo.resolve() and file.name == f"{file.parent.name}.int8.tflite"
        if published and (each["threads"], each["batch"]) == (1, 1):
            figure = (LATENCY, float(f"{each['p50_ms']:.3g}"), "ms")
            put_on_record([_entry(file.parent.name, *figure, command=command, **common)], results=results)


def _entry(name: str, metric: str, value: float, unit: str, **common: object) -> dict:
    return {
        "name": record_name(name),
        "metric": metric,
        "value": value,
        "std": None,
        "n": 1,
        "unit": unit,
        **common,
        "details": f"zoo/{name}/",
    }
