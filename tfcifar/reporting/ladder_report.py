"""The systems of a ladder side by side: quality, cost, what each step bought, and the commands behind it."""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from tfcifar.evaluation.statistics import compare
from tfcifar.reporting.html import write_html
from tfcifar.reporting.pareto import plot_pareto
from tfcifar.reporting.results import RESULTS, put_on_record
from tfcifar.reporting.robustness import load_scores
from tfcifar.reporting.run_report import EvaluatedRun, check_same_test_images, load_run
from tfcifar.reporting.style import BLUE, GREEN, ORANGE
from tfcifar.reporting.tables import decimal, duration, percent
from tfcifar.robustness.predictions import file_of
from tfcifar.robustness.scores import mean_of
from tfcifar.run_dir import read_json, write_json, write_text

STUDENT, ENSEMBLE, INT8 = "level_5", "ensemble", "level_5 INT8"
RUNS = ("level_1", "level_2", "level_3", ENSEMBLE, STUDENT)
KINDS = {"float32 file": (BLUE, "o"), "members' float32 files": (GREEN, "D"), "INT8 file": (ORANGE, "s")}
# File -> (title, x axis, the field that is plotted there).
FIGURES = {
    "accuracy_latency.png": ("Test accuracy against latency", "median latency of one image, ms (one thread)", "ms"),
    "accuracy_size.png": ("Test accuracy against size", "size of the files, MB", "megabytes"),
    "accuracy_training.png": ("Test accuracy against training", "minutes of training", "minutes"),
}


@dataclass(frozen=True)
class System:
    """What is known of one system; None where it was not measured.

    accuracy, low, high, corrupted: fractions. nll, calibrated_nll: nats. minutes: of training, its own or its members'.
    macs: of one image. megabytes, ms: of the files that are deployed, on one thread.
    """

    name: str
    model: str
    kind: str
    accuracy: float
    low: float
    high: float
    nll: float
    ece: float
    calibrated_nll: float | None
    calibrated_ece: float | None
    corrupted: float | None
    minutes: float
    parameters: int
    macs: int
    megabytes: float | None
    ms: float | None


def write_ladder(folder: Path, commands: dict[str, str]) -> str:
    """Write report.md, report.html, report.json and figures into `folder`, from what the steps have left in there.

    Args:
        commands: by "LEVEL NAME" of its step, for example "4 robustness".

    Returns:
        The tables, for the screen.

    Raises:
        InputError: the systems were not judged on the same images.
    """
    runs = {name: load_run(folder / name) for name in RUNS}
    check_same_test_images(list(runs.values()))
    systems = _systems(folder, runs)
    bought = _bought(runs, _card(folder))
    first = runs["level_1"]
    parts = [
        f"Five levels on {first.metrics['dataset']}, judged on the same {len(first.correct):,} test images. "
        f"{first.environment['hardware']}.",
        "## Quality",
        _quality(systems),
        _made_by(commands, "1 train", "2 train", "3 train", "4 ensemble", "4 calibrate", "5 train", "5 calibrate",
                 "5 robustness", "5 compress"),
        "## Cost",
        _cost(systems),
        "Files and latency: float32 TFLite on one thread; the ensemble has those of its members, one after the other.",
        _made_by(commands, "5 export level 1", "5 export level 2", "5 export level 3", "5 compress", "5 benchmark"),
        "## What each step bought",
        _steps(bought, systems),
        "Differences on the same test images: paired bootstrap, McNemar's test.",
        _made_by(commands, "1 train", "2 train", "3 train", "4 ensemble", "5 train", "5 compress"),
    ]  # fmt: skip
    summary = "\n\n".join(parts)
    pictures = [f"![{title}]({file})" for file, title in _plot(systems, folder).items()]
    more = _further_reading(folder)
    write_text(folder / "report.md", "\n\n".join(["# The ladder", summary, *pictures, more]) + "\n")
    write_html(folder / "report.md")
    write_json(folder / "report.json", {"systems": [asdict(each) for each in systems], "bought": bought})
    return summary


def record_ladder(folder: Path, command: str, results: Path = RESULTS) -> None:
    """Copy the report to results/FOLDER/ and put the accuracies of its systems on record."""
    name, report = folder.name, read_json(folder / "report.json")
    target = results / name
    target.mkdir(parents=True, exist_ok=True)
    for file in ("report.md", "report.html", "report.json", *FIGURES):
        shutil.copyfile(folder / file, target / file)
    seconds = sum(read_json(folder / "ladder.json")["finished"].values())
    environment = read_json(folder / STUDENT / "environment.json")
    common = {"std": None, "n": 1, "unit": "fraction", "command": command, "seconds": round(seconds),
              "hardware": environment["hardware"], "commit": environment["commit"],
              "details": f"results/{name}/"}  # fmt: skip
    entries = [
        {"name": name, "metric": f"accuracy of {each['name']}", "value": each["accuracy"], **common}
        for each in report["systems"]
    ]
    put_on_record(entries, results=results)


def _systems(folder: Path, runs: dict[str, EvaluatedRun]) -> list[System]:
    files = _files(folder)
    float32 = {name: files[f"{name}.float32.tflite"] for name in RUNS if name != ENSEMBLE}
    members = [float32[name] for name in runs[ENSEMBLE].metrics["members"]]
    float32[ENSEMBLE] = {key: sum(each[key] for each in members) for key in ("megabytes", "ms")}
    systems = []
    for name, run in runs.items():
        metrics, calibrated = run.metrics, _calibrated(run)
        low, high = metrics["accuracy_ci95"]
        systems.append(
            System(
                name=name,
                model=metrics["model"],
                kind="members' float32 files" if name == ENSEMBLE else "float32 file",
                accuracy=metrics["accuracy"],
                low=low,
                high=high,
                nll=metrics["loss"],
                ece=metrics["ece"],
                calibrated_nll=calibrated["nll"],
                calibrated_ece=calibrated["ece"],
                corrupted=_corrupted(run),
                minutes=metrics["train_seconds"] / 60,
                parameters=metrics["parameters"],
                macs=metrics["macs"],
                **float32[name],
            )
        )
    student, card = systems[-1], _card(folder)
    on_test = card["metrics"]["test"]
    low, high = on_test["accuracy_ci95"]
    int8 = System(INT8, student.model, "INT8 file", on_test["accuracy"], low, high, on_test["nll"], on_test["ece"],
                  None, None, None, student.minutes, student.parameters, student.macs,
                  **files[card["file"]])  # fmt: skip
    return [*systems, int8]


def _files(folder: Path) -> dict[str, dict]:
    """Megabytes, and milliseconds for one image on one thread, by the name of the file."""
    results = read_json(folder / "benchmark" / "benchmark.json")
    threads, batch = min(results["threads"]), min(results["batch"])
    latency = {
        each["file"]: each["p50_ms"]
        for each in results["measurements"]
        if (each["threads"], each["batch"]) == (threads, batch)
    }
    return {
        Path(each["file"]).name: {"megabytes": each["bytes"] / 1e6, "ms": latency.get(each["file"])}
        for each in results["artifacts"]
    }


def _card(folder: Path) -> dict:
    """Of the INT8 file that the ladder ends with."""
    return read_json(folder / STUDENT / "export" / f"{STUDENT}.int8.tflite.json")


def _calibrated(run: EvaluatedRun) -> dict:
    rows = read_json(run.run_dir.calibration)["rows"]
    return next(row for row in rows if row["split"] == "test" and row["kept"])


def _corrupted(run: EvaluatedRun) -> float | None:
    """Mean accuracy over the standard corruptions; ensembles are not judged on corrupted images."""
    if not file_of(run.run_dir, "test", "scores.csv").is_file():
        return None
    scores, _ = load_scores([run.run_dir], "test")
    return mean_of(scores[run.run_dir.name], "accuracy")


def _bought(runs: dict[str, EvaluatedRun], card: dict) -> list[dict]:
    """A row for each step: `system`, `against`, and how their accuracies compare, as fractions."""
    members = [runs[name] for name in runs[ENSEMBLE].metrics["members"]]
    best = max(members, key=lambda run: run.metrics["validation_accuracy"]).run_dir.name
    pairs = [("level_2", "level_1"), ("level_3", "level_2"), (ENSEMBLE, best), (STUDENT, ENSEMBLE)]
    found = [
        {"system": name, "against": other, **compare(runs[name].correct, runs[other].correct)} for name, other in pairs
    ]
    return [*found, {"system": INT8, "against": STUDENT, **card["flips"]}]


def _quality(systems: list[System]) -> str:
    lines = [
        "| system | model | test accuracy | 95% interval | NLL | ECE | calibrated NLL | calibrated ECE | corrupted |",
        "|---|---|--:|---|--:|--:|--:|--:|--:|",
    ]
    for each in systems:
        lines.append(
            f"| {each.name} | {each.model} | **{each.accuracy:.2%}** | {each.low:.2%} to {each.high:.2%} "
            f"| {each.nll:.4f} | {each.ece:.4f} | {decimal(each.calibrated_nll)} | {decimal(each.calibrated_ece)} "
            f"| {percent(each.corrupted)} |"
        )
    return "\n".join(lines)


def _cost(systems: list[System]) -> str:
    lines = [
        "| system | training | parameters | MACs | file, MB | one image, ms |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for each in systems:
        lines.append(
            f"| {each.name} | {duration(60 * each.minutes)} | {each.parameters / 1e6:.2f} M "
            f"| {each.macs / 1e6:,.0f} M | {_short(each.megabytes)} | {_short(each.ms)} |"
        )
    return "\n".join(lines)


def _steps(bought: list[dict], systems: list[System]) -> str:
    by_name = {each.name: each for each in systems}
    lines = [
        "| step | difference | 95% interval | p | | size | latency |",
        "|---|--:|---|--:|---|--:|--:|",
    ]
    for row in bought:
        system, other = by_name[row["system"]], by_name[row["against"]]
        low, high = row["interval95"]
        lines.append(
            f"| {system.name} against {other.name} | {100 * row['difference']:+.2f} points "
            f"| {100 * low:+.2f} to {100 * high:+.2f} | {row['p_value']:.2g} | {row['verdict']} "
            f"| {_times(system.megabytes, other.megabytes)} | {_times(system.ms, other.ms)} |"
        )
    return "\n".join(lines)


def _plot(systems: list[System], folder: Path) -> dict[str, str]:
    """Write FIGURES; return their titles by file."""
    for file, (title, label, field) in FIGURES.items():
        points = [
            {"name": each.name, "kind": each.kind, "x": getattr(each, field), "y": each.accuracy} for each in systems
        ]
        plot_pareto(points, title, label, True, KINDS, folder / file)
    return {file: title for file, (title, *_) in FIGURES.items()}


def _made_by(commands: dict[str, str], *steps: str) -> str:
    """The commands that measure it again, as a block of code."""
    return "\n".join(["Measure it again:", "", *(f"    {commands[step]}" for step in steps)])


def _further_reading(folder: Path) -> str:
    """What else the steps have left, for those who read this file where it was written."""
    lines = ["## In the same folder", ""]
    for path, words in (
        ("paper/report.pdf", "levels 1 to 4 as a paper"),
        ("level_3/explain/right.png", "what level 3 looks at"),
        ("robustness/robustness.html", "under nineteen corruptions"),
        ("level_2/uncertainty/report.html", "how sure level 2 is"),
        ("level_5/export/compress.html", "each export of the student, checked"),
        ("benchmark/benchmark.html", "latency on each runtime"),
    ):
        lines += [f"- {path}: {words}"] * (folder / path).is_file()
    return "\n".join(lines)


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _times(value: float | None, other: float | None) -> str:
    return f"x {value / other:.2g}" if value and other else ""
