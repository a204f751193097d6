"""The systems of a ladder side by side: quality, cost, what each step bought, and the commands behind it."""

import shutil
from dataclasses import asdict
from pathlib import Path

from tfcifar.reporting.html import write_html
from tfcifar.reporting.ladder_systems import (
    ENSEMBLE,
    INT8,
    RUNS,
    STUDENT,
    System,
    load_systems,
    measured_on,
    teachers_of,
    what_steps_bought,
)
from tfcifar.reporting.pareto import plot_pareto
from tfcifar.reporting.results import RESULTS, environment_of, put_on_record
from tfcifar.reporting.run_report import EvaluatedRun, check_same_test_images, load_run
from tfcifar.reporting.style import BLUE, GREEN, ORANGE
from tfcifar.reporting.tables import decimal, duration, percent
from tfcifar.run_dir import read_json, write_json, write_text

KINDS = {"float32 file": (BLUE, "o"), "members' float32 files": (GREEN, "D"), "INT8 file": (ORANGE, "s")}
# File -> (title, x axis, the field that is plotted there).
FIGURES = {
    "accuracy_latency.png": ("Test accuracy against latency", "median latency of one image, ms (one thread)", "ms"),
    "accuracy_size.png": ("Test accuracy against size", "size of the files, MB", "megabytes"),
    "accuracy_training.png": (
        "Test accuracy against training", "minutes of training, with that of members and teachers", "minutes",
    ),
}  # fmt: skip
# The steps that make a system, calibrate it and try it on corrupted images; those that make its files and time them.
JUDGED = {
    **{f"level_{level}": (f"{level} train", "4 calibrate", "4 robustness") for level in (1, 2, 3)},
    ENSEMBLE: ("4 ensemble", "4 calibrate", "4 robustness"),
    STUDENT: ("5 train", "5 calibrate", "5 robustness"),
    INT8: ("5 compress",),
}
DEPLOYED = {
    **{f"level_{level}": (f"{level} train", f"5 export level {level}", "5 benchmark") for level in (1, 2, 3)},
    ENSEMBLE: ("4 ensemble", *(f"5 export level {level}" for level in (1, 2, 3)), "5 benchmark"),
    STUDENT: ("5 train", "5 compress", "5 benchmark"),
    INT8: ("5 compress", "5 benchmark"),
}
ELSEWHERE = "## In the same folder"


def write_ladder(folder: Path, commands: dict[str, str], whole: str) -> str:
    """Write report.md, report.html, report.json and figures into `folder`, from what the steps have left in there.

    Args:
        commands: by "LEVEL NAME" of its step, for example "4 robustness", in their order.
        whole: the one command that runs them all.

    Returns:
        The tables, for the screen.

    Raises:
        InputError: the systems were not judged on the same images.
    """
    runs = {name: load_run(folder / name) for name in RUNS}
    check_same_test_images(list(runs.values()))
    systems, bought = load_systems(folder, runs), what_steps_bought(folder, runs)
    first, trained = runs["level_1"], environment_of([runs[name].run_dir for name in RUNS if name != ENSEMBLE])
    numbers = {step: number for number, step in enumerate(commands, 1)}
    parts = [
        f"Five levels on {first.metrics['dataset']}, judged on the same {len(first.correct):,} test images. "
        f"All of it again: `{whole}`. The last column of each table names the commands, listed below, that measure "
        "its row again.",
        "## Quality",
        _quality(systems, numbers),
        _on_corrupted(systems),
        "## Cost",
        _cost(systems, numbers),
        "Files and latency: float32 TFLite on one thread; the ensemble has those of its members, one after the other. "
        f"Latency on {measured_on(folder)}, training on {trained['hardware']}.{_of_teachers(systems, runs[STUDENT])}",
        "## What each step bought",
        _steps(bought, systems, numbers),
        "Differences of accuracy on the same test images: paired bootstrap, McNemar's test. NLL and ECE as they are, "
        "without calibration.",
        "## Commands",
        "\n".join(f"{numbers[step]}. `{command}`" for step, command in commands.items()),
    ]
    summary = "\n\n".join(parts)
    pictures = [
        f"![{title}]({file})\n\nDrawn from `report.json`, which `{whole}` writes: `accuracy` and `{field}` of each "
        f"system; commands {_numbered(numbers, systems, field)}."
        for file, (title, field) in _plot(systems, folder).items()
    ]
    more = _further_reading(folder)
    write_text(folder / "report.md", "\n\n".join(["# The ladder", summary, *pictures, more]) + "\n")
    write_html(folder / "report.md")
    write_json(folder / "report.json", {"systems": [asdict(each) for each in systems], "bought": bought})
    return summary


def record_ladder(folder: Path, command: str, commit: str | None, results: Path = RESULTS) -> None:
    """Copy the report to results/FOLDER/, without what else lies in `folder`, and put its accuracies on record.

    Args:
        command, commit: of the ladder that ends here, whose runs may be older; see `describe_command`.
    """
    name, report = folder.name, read_json(folder / "report.json")
    target = results / name
    target.mkdir(parents=True, exist_ok=True)
    for file in ("report.json", *FIGURES):
        shutil.copyfile(folder / file, target / file)
    text = (folder / "report.md").read_text(encoding="utf-8")
    write_text(target / "report.md", text.partition(ELSEWHERE)[0].rstrip() + "\n")
    write_html(target / "report.md")
    seconds = sum(read_json(folder / "ladder.json")["finished"].values())
    common = {"std": None, "n": 1, "unit": "fraction", "command": command, "seconds": round(seconds),
              "hardware": measured_on(folder), "commit": commit, "details": f"results/{name}/"}  # fmt: skip
    entries = [
        {"name": name, "metric": f"accuracy of {each['name']}", "value": each["accuracy"], **common}
        for each in report["systems"]
    ]
    put_on_record(entries, results=results)


def _quality(systems: list[System], numbers: dict[str, int]) -> str:
    lines = [
        "| system | model | test accuracy | 95% interval | NLL | ECE | calibrated NLL | calibrated ECE "
        "| accuracy on corrupted images | commands |",
        "|---|---|--:|---|--:|--:|--:|--:|--:|---|",
    ]
    for each in systems:
        lines.append(
            f"| {each.name} | {each.model} | **{each.accuracy:.2%}** | {each.low:.2%} to {each.high:.2%} "
            f"| {each.nll:.4f} | {each.ece:.4f} | {decimal(each.calibrated_nll)} | {decimal(each.calibrated_ece)} "
            f"| {percent(each.corrupted)} | {_list(numbers, JUDGED[each.name])} |"
        )
    return "\n".join(lines)


def _on_corrupted(systems: list[System]) -> str:
    """How many images, corruptions and severities; by system where they differ."""
    found: dict[str, list[str]] = {}
    for each in systems:
        if each.corrupted_on:
            tried = each.corrupted_on
            words = (
                f"{tried['images']:,} of the test images, under {tried['corruptions']} corruptions at "
                f"{tried['severities']} severities"
            )
            found.setdefault(words, []).append(each.name)
    if not found:
        return "No system was tried on corrupted images."
    told = [words if len(found) == 1 else f"{', '.join(names)} on {words}" for words, names in found.items()]
    return f"Corrupted images: {'; '.join(told)}; the mean over all of them."


def _cost(systems: list[System], numbers: dict[str, int]) -> str:
    lines = [
        "| system | training | parameters | MACs | file, MB | one image, ms | commands |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    for each in systems:
        lines.append(
            f"| {each.name} | {duration(60 * each.minutes)} | {each.parameters / 1e6:.2f} M "
            f"| {each.macs / 1e6:,.0f} M | {_short(each.megabytes)} | {_short(each.ms)} "
            f"| {_list(numbers, DEPLOYED[each.name])} |"
        )
    return "\n".join(lines)


def _of_teachers(systems: list[System], student: EvaluatedRun) -> str:
    teachers, own = teachers_of(student), next(each for each in systems if each.name == STUDENT).own_minutes
    if not teachers:
        return ""
    return (
        f" The training of {STUDENT} has that of its teachers in it, {' and '.join(teachers)}, as the ensemble has "
        f"that of its members; its own is {duration(60 * own)}, without the time in which the teachers were asked."
    )


def _steps(bought: list[dict], systems: list[System], numbers: dict[str, int]) -> str:
    by_name = {each.name: each for each in systems}
    lines = [
        "| step | difference | 95% interval | p | | NLL | ECE | on corrupted images | training | size | latency "
        "| commands |",
        "|---|--:|---|--:|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for row in bought:
        system, other = by_name[row["system"]], by_name[row["against"]]
        low, high = row["interval95"]
        corrupted = (
            "" if system.corrupted is None or other.corrupted is None or system.corrupted_on != other.corrupted_on
            else f"{100 * (system.corrupted - other.corrupted):+.2f} points"
        )  # fmt: skip
        lines.append(
            f"| {system.name} against {other.name} | {100 * row['difference']:+.2f} points "
            f"| {100 * low:+.2f} to {100 * high:+.2f} | {row['p_value']:.2g} | {row['verdict']} "
            f"| {system.nll - other.nll:+.4f} | {system.ece - other.ece:+.4f} | {corrupted} "
            f"| {_times(system.minutes, other.minutes)} | {_times(system.megabytes, other.megabytes)} "
            f"| {_times(system.ms, other.ms)} | {_list(numbers, (JUDGED[other.name][0], JUDGED[system.name][0]))} |"
        )
    return "\n".join(lines)


def _plot(systems: list[System], folder: Path) -> dict[str, tuple[str, str]]:
    """Write FIGURES; return their titles and fields by file."""
    for file, (title, label, field) in FIGURES.items():
        points = [
            {"name": each.name, "kind": each.kind, "x": getattr(each, field), "y": each.accuracy}
            for each in systems
            if getattr(each, field) is not None
        ]
        plot_pareto(points, title, label, True, KINDS, folder / file)
    return {file: (title, field) for file, (title, _, field) in FIGURES.items()}


def _list(numbers: dict[str, int], steps: tuple[str, ...]) -> str:
    """The numbers of the commands of `steps`, for example "1, 6, 7"."""
    return ", ".join(map(str, sorted({numbers[step] for step in steps})))


def _numbered(numbers: dict[str, int], systems: list[System], field: str) -> str:
    """The numbers of all commands behind a figure: those that make the systems, and where it is needed their files."""
    made = [JUDGED[each.name][0] for each in systems]
    files = [step for each in systems for step in DEPLOYED[each.name]] if field != "minutes" else []
    return _list(numbers, (*made, *files))


def _further_reading(folder: Path) -> str:
    """What else the steps have left, for those who read this file where it was written."""
    lines = [ELSEWHERE, ""]
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
