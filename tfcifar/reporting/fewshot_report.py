"""The table, the figure and the record of a few-shot benchmark."""

import shutil
from pathlib import Path

from tfcifar.environment import describe_environment, record_command
from tfcifar.evaluation.statistics import compare_means, mean_interval
from tfcifar.fewshot import META_LEARNED, METHODS
from tfcifar.fewshot.benchmark_run import Judged
from tfcifar.reporting.results import RESULTS, command_without_run, record_table
from tfcifar.reporting.style import GREY, new_figure
from tfcifar.run_dir import write_csv, write_text

NAME = "fewshot"
FILES = ("fewshot.md", "fewshot.csv", "fewshot.png")


def write_fewshot(judged: list[Judged], output: Path) -> str:
    """Write fewshot.md, fewshot.csv and fewshot.png into `output`; return the text of tables and verdicts."""
    rows = _rows(judged)
    write_csv(output / "fewshot.csv", rows)
    plot_fewshot(rows, output / "fewshot.png")
    text = "\n\n".join(_section(data, rows) for data in dict.fromkeys(row["data"] for row in rows))
    text += (
        "\n\nAccuracy on classes that no training has seen: mean over the episodes, with 95% interval (Student's t). "
        "All methods of a column see the same episodes. Minutes of training are spent once; milliseconds are those of "
        "learning one task of the most shots, without the first.\n"
    )
    record_command(output)
    write_text(output / "fewshot.md", f"# Few-shot learning\n\n{text}\n![accuracies](fewshot.png)\n")
    return text


def _rows(judged: list[Judged]) -> list[dict]:
    """A row for each judgement: its interval, and its difference from the best method of its column."""
    rows = []
    for each in judged:
        column = [other for other in judged if (other.data, other.shots) == (each.data, each.shots)]
        best = max(column, key=lambda other: other.accuracies.mean())
        mean, half = mean_interval(each.accuracies)
        behind = None if each is best else compare_means(each.accuracies, best.accuracies)
        rows.append(
            {
                "data": each.data,
                "ways": each.ways,
                "shots": each.shots,
                "method": each.method,
                "accuracy": round(mean, 5),
                "interval95": round(half, 5),
                "episodes": len(each.accuracies),
                "best_method": best.method,
                "difference_from_best": None if behind is None else round(behind["difference"], 5),
                "verdict": "best" if behind is None else behind["verdict"],
                "training_seconds": round(each.training_seconds, 1),
                "learn_milliseconds": round(1000 * each.learn_seconds, 1),
            }
        )
    return rows


def _section(data: str, rows: list[dict]) -> str:
    rows = [row for row in rows if row["data"] == data]
    shots = list(dict.fromkeys(row["shots"] for row in rows))
    lines = [
        f"## {data}: {rows[0]['ways']}-way, {rows[0]['episodes']} episodes",
        "",
        f"| method | {' | '.join(f'{each}-shot' for each in shots)} | training, min | learning, ms |",
        "|---|" + "--:|" * (len(shots) + 2),
    ]
    for method in dict.fromkeys(row["method"] for row in rows):
        cells = {row["shots"]: row for row in rows if row["method"] == method}
        last = cells[max(shots)]
        accuracies = " | ".join(_cell(cells[each]) for each in shots)
        lines.append(
            f"| {method} | {accuracies} | {last['training_seconds'] / 60:.1f} | {last['learn_milliseconds']:.0f} |"
        )
    return "\n".join([*lines, "", *(_verdict([row for row in rows if row["shots"] == each]) for each in shots)])


def _cell(row: dict) -> str:
    text = f"{100 * row['accuracy']:.1f} ± {100 * row['interval95']:.1f}"
    return f"**{text}**" if row["verdict"] == "best" else text


def _verdict(rows: list[dict]) -> str:
    """Which method to take: of those that are not significantly worse than the best, the simplest."""
    best = next(row for row in rows if row["verdict"] == "best")
    level = [row for row in rows if row["verdict"] != "significant"]
    take = min(level, key=lambda row: list(METHODS).index(row["method"]))  # times differ from day to day
    shots = f"{best['shots']} image{'s' if best['shots'] > 1 else ''} a class"
    text = f"- {shots}: take **{take['method']}** ({take['accuracy']:.1%})"
    if take is not best:
        text += f"; {best['method']} is ahead ({best['accuracy']:.1%}), not significantly"
    plain = [row for row in rows if row["method"] not in META_LEARNED]
    if take["method"] in META_LEARNED and plain:
        other = max(plain, key=lambda row: row["accuracy"])
        text += f"; without meta-training, {other['method']} ({other['accuracy']:.1%})"
    return text + "."


def plot_fewshot(rows: list[dict], path: Path) -> None:
    """Accuracy by method and number of shots, a panel for each data set.

    Args:
        rows: as in fewshot.csv.
        path: the PNG to write, 1320 pixels wide.
    """
    sets = list(dict.fromkeys(row["data"] for row in rows))
    names = [name for name in METHODS if any(row["method"] == name for row in rows)]
    with new_figure(path, 11, 1.6 + 0.36 * len(names)) as figure:
        panels = figure.subplots(1, len(sets), squeeze=False, sharey=True)[0]
        for ax, data in zip(panels, sets, strict=True):
            for shots in dict.fromkeys(row["shots"] for row in rows):
                chosen = [row for row in rows if (row["data"], row["shots"]) == (data, shots)]
                places = [names.index(row["method"]) for row in chosen]
                ax.errorbar(
                    [100 * row["accuracy"] for row in chosen],
                    places,
                    xerr=[100 * row["interval95"] for row in chosen],
                    fmt="o",
                    markersize=5,
                    linestyle="none",
                    label=f"{shots}-shot",
                )
            chance = 100 / next(row["ways"] for row in rows if row["data"] == data)
            ax.axvline(chance, color=GREY, linewidth=1, linestyle=":", label="chance")
            ax.set(title=data, xlabel="accuracy (%)")
            ax.set_yticks(range(len(names)), names)
        panels[0].invert_yaxis()  # of all: they share it
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def record_fewshot(judged: list[Judged], output: Path, folder: Path = RESULTS) -> None:
    """Copy table and figure to results/fewshot/ and put the number of rows on record."""
    target = folder / NAME
    target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(output / name, target / name)
    environment = describe_environment()
    command = command_without_run(environment["command"])
    trained = {(each.data, each.training_seconds) for each in judged}  # the baselines share a network
    learning = sum(each.learn_seconds * len(each.accuracies) for each in judged)
    seconds = sum(seconds for _, seconds in trained) + learning
    record_table(NAME, "rows", len(judged), len(judged[0].accuracies), command, seconds, environment, folder)
