"""The report of `export.benchmark`: tables, findings and figures from its benchmark.json."""

import shutil
from pathlib import Path

from export.benchmark_artifacts import PACKAGES
from export.benchmark_figures import FIGURES, plot_all
from export.benchmark_findings import sentences
from export.benchmark_measure import FEWEST_FOR_P99
from tfcifar.reporting.html import write_html
from tfcifar.reporting.results import RESULTS, command_without_run, record_table
from tfcifar.reporting.tables import duration, in_markdown, percent
from tfcifar.reporting.zoo_record import record_latencies
from tfcifar.run_dir import read_json, write_text

NAMES = {"litert": "LiteRT", "onnxruntime": "ONNX Runtime", "keras": "Keras"}
HEADER = (
    "{hardware}; {versions}. {rounds} rounds, {duration} in all. uint8 images go in and logits come out, as called "
    "from Python: copying and checking are in the times. LiteRT runs on XNNPACK; Keras in a compiled graph, in the "
    "precision that the model was trained in."
)
MEMORY = (
    "Peak memory is what the process needed at most beyond Python and NumPy, on {threads}: the runtime, the model and "
    "batches of up to that size. Accuracy, NLL and ECE are of the test split, from the card beside each file or, of a "
    "run's model.keras, from its metrics.json."
)
LATENCIES = (
    "Median time of a call in ms, behind it the 90th and 99th percentile; images per second. A dash: fewer than "
    "{fewest} calls tell no 99th percentile; more --seconds or --rounds do."
)
OPERATIONS = (
    "One image at a time on one thread, by the runtime's own profiler, which takes some time itself: the shares are "
    "what to read. Operations are those that run, after the runtime has fused what it can."
)
PRECISIONS = ("float32", "bfloat16", "float16", "dynamic", "int8")


def write_report(output: Path) -> str:
    """Write benchmark.md, benchmark.html and figures into `output`, which holds a benchmark.json; return the tables."""
    results = read_json(output / "benchmark.json")
    environment = results["environment"]
    versions = ", ".join(f"{NAMES[name]} {environment['packages'][package]}" for name, package in PACKAGES.items())
    parts = [
        f"    {environment['command']}",
        HEADER.format(
            hardware=environment["hardware"],
            versions=f"{versions} on TensorFlow {environment['packages']['tensorflow']}",
            rounds=results["rounds"],
            duration=duration(results["seconds"]),
        ),
        model_table(results),
        MEMORY.format(threads=_threads(min(results["threads"]))),
    ]
    for threads in results["threads"]:
        for batch in results["batch"]:
            parts += [f"## {_threads(threads)}, {_images(batch)}", latency_table(results, threads, batch)]
    parts.append(LATENCIES.format(fewest=FEWEST_FOR_P99))
    parts += sentences(results, NAMES)
    parts += [
        f"Not run: {each['file']}, {_threads(each['threads'])}, {_images(each['batch'])}: {each['reason']}"
        for each in results["failed"]
    ]
    for file, (title, absent) in plot_all(results, output, NAMES).items():
        parts.append(f"![{title}]({file})")
        if absent:
            files = ", ".join(map(in_markdown, absent))
            parts.append(f"Not in “{title}”, since one of the two is not known of it: {files}.")
    if results["operations"]:
        parts += ["## Where the time goes", OPERATIONS, *_operations(results)]
    write_text(output / "benchmark.md", "\n\n".join(["# Latency", *parts]) + "\n")
    write_html(output / "benchmark.md")
    return "\n\n".join(part for part in parts if not part.startswith("!["))


def model_table(results: dict) -> str:
    """A row for each file, the files of one network under each other."""
    batches = sorted(results["batch"])
    heads = ["network", "precision", "runtime", "MB", "parameters", "MACs", "accuracy", "NLL", "ECE"]
    heads += [f"peak MB, batch {batch}" for batch in batches]
    lines = [_line(heads), "|---|---|---|" + "--:|" * (len(heads) - 3)]
    peaks = {_place(each): each["peak_bytes"] for each in results["measurements"]}
    for each in _grouped(results["artifacts"]):
        cells = [in_markdown(each["label"]), _precision(each), NAMES[each["runtime"]], _megabytes(each["bytes"])]
        cells += [_millions(each["parameters"]), _millions(each["macs"]), percent(each["accuracy"])]
        cells += ["" if each[key] is None else f"{each[key]:.4f}" for key in ("nll", "ece")]
        cells += [_megabytes(peaks.get((each["file"], min(results["threads"]), batch))) for batch in batches]
        lines.append(_line(cells))
    return "\n".join(lines)


def latency_table(results: dict, threads: int, batch: int) -> str:
    """A row for each network and precision, a column for each runtime."""
    measured = {_place(each): each for each in results["measurements"]}
    runtimes = [name for name in NAMES if any(each["runtime"] == name for each in results["artifacts"])]
    cells: dict[tuple[str, str | None], dict[str, str]] = {}
    for each in _grouped(results["artifacts"]):
        row = cells.setdefault((each["label"], each["precision"]), {})
        row[each["runtime"]] = _latency(measured.get((each["file"], threads, batch)))
    heads = ["network", "precision", *(NAMES[name] for name in runtimes)]
    lines = [_line(heads), "|---|---|" + "--:|" * len(runtimes)]
    for (label, precision), row in cells.items():
        lines.append(_line([in_markdown(label), precision or "", *(row.get(each, "") for each in runtimes)]))
    return "\n".join(lines)


def _grouped(artifacts: list[dict]) -> list[dict]:
    """Networks in the order in which they were named; of each the precisions together, and of these the runtimes."""
    names = list(dict.fromkeys(each["name"] for each in artifacts))
    precisions = [*PRECISIONS, *(each["precision"] for each in artifacts)]
    places = [
        (names.index(each["name"]), precisions.index(each["precision"]), list(NAMES).index(each["runtime"]))
        for each in artifacts
    ]
    return [each for _, each in sorted(zip(places, artifacts, strict=True), key=lambda pair: pair[0])]


def _operations(results: dict) -> list[str]:
    parts = []
    for each in _grouped(results["artifacts"]):
        found = results["operations"][each["file"]]
        title = f"{in_markdown(each['label'])}, {each['precision'] or 'precision unknown'}, {NAMES[each['runtime']]}"
        if "reason" in found:
            parts.append(f"{title}: {found['reason']}")
            continue
        lines = ["| operation | number | µs | share |", "|---|--:|--:|--:|"]
        for row in found["operations"]:
            name = in_markdown(row["operation"])
            lines.append(f"| {name} | {row['count']} | {row['microseconds']:.1f} | {row['share']:.1%} |")
        parts += [f"{title}:", "\n".join(lines)]
    return parts


def _place(measurement: dict) -> tuple:
    return measurement["file"], measurement["threads"], measurement["batch"]


def _latency(measurement: dict | None) -> str:
    if measurement is None:
        return "not run"
    found = (measurement[f"p{each}_ms"] for each in (50, 90, 99))
    p50, p90, p99 = ("-" if each is None else f"{each:.3g}" for each in found)
    return f"**{p50}** ({p90}, {p99}) {measurement['images_per_second']:,.0f}/s"


def _precision(artifact: dict) -> str:
    """For example "int8, 10 operations in float": of what the runtime has no integer kernel for."""
    precision, count = artifact["precision"] or "", artifact["float_operations"]
    return f"{precision}, {count} operation{'s' * (count > 1)} in float" if count else precision


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _megabytes(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:.3g}"


def _millions(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:.3g} M"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _images(batch: int) -> str:
    return "1 image at a time" if batch == 1 else f"{batch} images at a time"


def record_latency(output: Path, folder: Path = RESULTS) -> None:
    """Copy tables and figures to results/latency/; put the number of artefacts and the zoo's latencies on record."""
    target = folder / "latency"
    target.mkdir(parents=True, exist_ok=True)
    for name in ("benchmark.json", "benchmark.md", *FIGURES):
        if (output / name).is_file():
            shutil.copyfile(output / name, target / name)
        else:
            (target / name).unlink(missing_ok=True)  # of an earlier record, whose files had cards
    results = read_json(output / "benchmark.json")
    environment = results["environment"]
    command = command_without_run(environment["command"])
    record_table("latency", "artefacts", len(results["artifacts"]), results["rounds"], command, results["seconds"],
                 environment, folder)  # fmt: skip
    record_latencies(results, command, results=folder)
