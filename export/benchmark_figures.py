"""Accuracy and calibration against latency and size, with the Pareto line: the files that no other betters in both."""

from pathlib import Path

from tfcifar.reporting.pareto import latencies, plot_pareto
from tfcifar.reporting.style import BLUE, GREEN, ORANGE

COLORS = {"litert": BLUE, "onnxruntime": ORANGE, "keras": GREEN}
MARKERS = {"float32": "o", "int8": "s", "float16": "^", "bfloat16": "v", "dynamic": "D"}
LATENCY, SIZE = "ms", "MB"
# File -> (metric, more is better, what it is plotted against).
FIGURES = {
    "accuracy_latency.png": ("accuracy", True, LATENCY),
    "accuracy_size.png": ("accuracy", True, SIZE),
    "ece_latency.png": ("ece", False, LATENCY),
}
TITLES = {"accuracy": "Test accuracy", "ece": "Calibration error (test ECE, lower is better)"}


def plot_all(results: dict, output: Path, names: dict[str, str]) -> dict[str, tuple[str, list[str]]]:
    """Write those of FIGURES into `output` for which the metric is known of two files or more.

    Args:
        results: see `export.benchmark`; latencies are of the fewest threads and the smallest batch.
        names: of the runtimes, for people.

    Returns:
        By file of a figure its title, and which artefacts are not in it, since a figure of theirs is not known.
    """
    threads, batch, latency = latencies(results)
    at = f"{threads} thread{'s' * (threads > 1)}, batch {batch}"
    labels = {LATENCY: f"median latency, ms ({at})", SIZE: "size of the file, MB"}
    kinds = {
        _kind(each, names): (COLORS[each["runtime"]], MARKERS.get(each["precision"], "X"))
        for each in results["artifacts"]
    }
    drawn = {}
    for file, (metric, more, against) in FIGURES.items():
        known = [
            each
            for each in results["artifacts"]
            if each[metric] is not None and (against == SIZE or each["file"] in latency)
        ]
        points = [
            {
                "name": each["name"],
                "kind": _kind(each, names),
                "x": each["bytes"] / 1e6 if against == SIZE else latency[each["file"]],
                "y": each[metric],
            }
            for each in known
        ]
        (output / file).unlink(missing_ok=True)  # of an earlier benchmark
        if len(points) > 1:
            title = f"{TITLES[metric]} against {'size' if against == SIZE else 'latency'}"
            plot_pareto(points, title, labels[against], more, kinds, output / file)
            drawn[file] = title, [each["file"] for each in results["artifacts"] if each not in known]
    return drawn


def _kind(artifact: dict, names: dict[str, str]) -> str:
    return f"{names[artifact['runtime']]}, {artifact['precision'] or 'precision unknown'}"
