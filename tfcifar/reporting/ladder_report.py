"""The systems of a ladder side by side: quality, cost, what each step bought, and the commands behind it."""

import shutil
from dataclasses import asdict
from pathlib import Path

from tfcifar.reporting.html import write_html
from tfcifar.reporting.ladder_systems import ENSEMBLE, RUNS, System, load_systems, measured_on, what_steps_bought
from tfcifar.reporting.pareto import plot_pareto
from tfcifar.reporting.results import RESULTS, environment_of, put_on_record
from tfcifar.reporting.run_report import check_same_test_images, load_run
from tfcifar.reporting.style import BLUE, GREEN, ORANGE
from tfcifar.reporting.tables import decimal, duration, percent
from tfcifar.run_dir import read_json, write_json, write_text

KINDS = {"float32 file": (BLUE, "o"), "members' float32 files": (GREEN, "D"), "INT8 file": (ORANGE, "s")}
# File -> (title, x axis, the field that is plotted there).
FIGURES = {
    "accuracy_latency.png": ("Test accuracy against latency", "median latency of one image, ms (one thread)", "ms"),
    "accuracy_size.png": ("Test accuracy against size", "size of the files, MB", "megabytes"),
    "accuracy_training.png": ("Test accuracy against training", "minutes of training", "minutes"),
}


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
    systems, bought = load_systems(folder, runs), what_steps_bought(folder, runs)
    first, trained = runs["level_1"], environment_of([runs[name].run_dir for name in RUNS if name != ENSEMBLE])
    parts = [
        f"Five levels on {first.metrics['dataset']}, judged on the same {len(first.correct):,} test images.",
        "## Quality",
        _quality(systems),
        _made_by(commands, "1 train", "2 train", "3 train", "4 ensemble", "4 calibrate", "5 train", "5 calibrate",
                 "5 robustness", "5 compress"),
        "## Cost",
        _cost(systems),
        "Files and latency: float32 TFLite on one thread; the ensemble has those of its members, one after the other. "
        f"Latency on {measured_on(folder)}, training on {trained['hardware']}.",
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


def record_ladder(folder: Path, command: str, commit: str | None, results: Path = RESULTS) -> None:
    """Copy the report to results/FOLDER/ and put the accuracies of its systems on record.

    Args:
        command, commit: of the ladder that ends here, whose runs may be older; see `describe_command`.
    """
    name, report = folder.name, read_json(folder / "report.json")
    target = results / name
    target.mkdir(parents=True, exist_ok=True)
    for file in ("report.md", "report.html", "report.json", *FIGURES):
        shutil.copyfile(folder / file, target / file)
    seconds = sum(read_json(folder / "ladder.json")["finished"].values())
    common = {"std": None, "n": 1, "unit": "fraction", "command": command, "seconds": round(seconds),
              "hardware": measured_on(folder), "commit": commit, "details": f"results/{name}/"}  # fmt: skip
    entries = [
        {"name": name, "metric": f"accuracy of {each['name']}", "value": each["accuracy"], **common}
        for each in report["systems"]
    ]
    put_on_record(entries, results=results)


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
            {"name": each.name, "kind": each.kind, "x": getattr(each, field), "y": each.accuracy}
            for each in systems
            if getattr(each, field) is not None
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
