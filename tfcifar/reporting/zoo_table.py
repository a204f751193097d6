"""The README's table of the models in zoo/, made from their cards."""

from pathlib import Path

from tfcifar.reporting.results import PROJECT
from tfcifar.reporting.zoo_record import LATENCY, record_name
from tfcifar.run_dir import RunDir, read_json

# What others have published at that cost: CIFAR-10 test accuracy in INT8.
PUBLISHED = {"ic01": "87.0%, [MLPerf Tiny](https://arxiv.org/abs/2106.07597)'s ResNet-8"}


def zoo_table(summary: list[dict], zoo: Path = PROJECT / "zoo") -> str:
    """In Markdown, a row for each model, the most accurate first: accuracy in INT8 and float32, and what it costs.

    summary: entries of results/summary.json, for the latencies.
    """
    found = []
    latency = {each["name"]: each["value"] for each in summary if each["metric"] == LATENCY}
    for card in map(read_json, zoo.glob("*/*.int8.tflite.json")):
        found.append((card, read_json(RunDir(zoo / card["name"]).metrics)))
    lines = [
        "| model in [zoo/](zoo/) | test accuracy in INT8 | float32 | bytes | MACs | ms | published at its cost |",
        "|---|---|---|--:|--:|--:|---|",
    ]
    for card, metrics in sorted(found, key=lambda pair: -pair[0]["metrics"]["test"]["accuracy"]):
        name, measured = card["name"], card["metrics"]["test"]
        low, high = measured["accuracy_ci95"]
        lines.append(
            f"| [{name}](zoo/{name}/README.md) | **{measured['accuracy']:.2%}** ({100 * low:.2f} to {100 * high:.2f}) "
            f"| {metrics['accuracy']:.2%} | {card['bytes']:,} | {card['macs'] / 1e6:.1f}M "
            f"| {latency.get(record_name(name), '')} | {PUBLISHED.get(name, '')} |"
        )
    note = "ms: median time for one image on one thread of LiteRT, in INT8 ([results/latency/](results/latency/))."
    return "\n".join([*lines, "", note] if latency else lines)
