"""The table, the figure and the record of a few-shot benchmark."""

import shutil
from collections import Counter
from pathlib import Path

from tfcifar.environment import describe_environment, record_command
from tfcifar.evaluation.t_tests import verdict_of
from tfcifar.fewshot import META_LEARNED, METHODS
from tfcifar.fewshot.benchmark_run import Judged
from tfcifar.reporting.fewshot_rows import MARGIN, Row, advised, best_of, columns, draw_rows
from tfcifar.reporting.results import RESULTS, command_without_run, record_table
from tfcifar.reporting.style import GREY, new_figure
from tfcifar.run_dir import write_csv, write_text

NAME = "fewshot"
FILES = ("fewshot.md", "fewshot.csv", "fewshot.png")


def write_fewshot(judged: list[Judged], output: Path) -> str:
    """Write fewshot.md, fewshot.csv and fewshot.png into `output`; return the text: advice, table and notes."""
    write_csv(output / "fewshot.csv", draw_rows(judged))
    found = columns(judged)
    plot_fewshot([row for column in found for row in column], output / "fewshot.png")
    parts = [_one_thing(found), _table(found), "\n".join(map(_verdict, found)), _notes(judged)]
    text = "\n\n".join(parts) + "\n"
    record_command(output)
    write_text(output / "fewshot.md", f"# Few-shot learning\n\n{text}\n![accuracies](fewshot.png)\n")
    return text


def _table(found: list[list[Row]]) -> str:
    """A line for each data set and method, a column for each number of shots, and the cost."""
    shots = sorted({row.shots for column in found for row in column})
    cells = {(row.data, row.method, row.shots): (row, column) for column in found for row in column}
    lines = [
        f"| data | method | {' | '.join(f'{each}-shot' for each in shots)} | training once, min | a task |",
        "|---|---|" + "--:|" * (len(shots) + 2),
    ]
    for data, method in dict.fromkeys((data, method) for data, method, _ in cells):
        last, _ = cells[data, method, max(shots)]
        accuracies = " | ".join(_cell(*cells[data, method, each]) for each in shots)
        lines.append(
            f"| {data} ({last.ways}-way) | {method} | {accuracies} | {last.training_seconds / 60:.1f} "
            f"| {_task(last.learn_seconds)} |"
        )
    return "\n".join(lines)


def _cell(row: Row, column: list[Row]) -> str:
    if row.accuracy is None:
        return "failed"
    text = f"{100 * row.accuracy:.1f} ± {100 * row.interval95:.1f}"
    if row.interval95 != row.within:
        text += f" ({100 * row.within:.1f})"
    return f"**{text}**" if row is best_of(column) else text


def _task(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def _cost(row: Row) -> str:
    kind = "meta-training" if row.method in META_LEARNED else "ordinary training"
    return f"{row.training_seconds / 60:.1f} min of {kind} once, {_task(row.learn_seconds)} a task"


def _verdict(column: list[Row]) -> str:
    """Which method to take of one column, and what it costs."""
    best = best_of(column)
    place = f"- {best.data}, {best.shots} image{'s' if best.shots > 1 else ''} a class:"
    if best.accuracy is None:
        return f"{place} every method has failed."
    take = advised(column)
    text = f"{place} take **{take.method}** ({take.accuracy:.1%}; {_cost(take)})"
    if take is not best:
        why = "not significantly" if verdict_of(take.p_value) != "significant" else "too little for what it costs"
        if why != "not significantly" and not take.ahead_everywhere:
            why = "not in every draw"
        text += f"; {best.method} is {100 * (take.behind_best or 0):.1f} points ahead, {why} ({_cost(best)})"
    plain = [row for row in column if row.method not in META_LEARNED and row.accuracy is not None]
    if take.method in META_LEARNED and plain:
        other = best_of(plain)
        text += f"; without meta-training, {other.method} ({other.accuracy:.1%})"
    return text + "."


def _one_thing(found: list[list[Row]]) -> str:
    """The method that is advised most often; of several, the simplest."""
    judged = [column for column in found if best_of(column).accuracy is not None]
    if not judged:
        return "Every method has failed."
    votes = Counter(advised(column).method for column in judged)
    name = max((name for name in METHODS if name in votes), key=lambda name: votes[name])
    rows = [(row, best_of(column)) for column in judged for row in column if row.method == name]
    behind = [best.accuracy - row.accuracy for row, best in rows if row.accuracy is not None and best.accuracy]
    dearest = max((row for row, _ in rows), key=lambda row: row.learn_seconds)
    return (
        f"**If you do one thing: take {name}.** It is advised in {votes[name]} of {len(judged)} cases, and on average "
        f"{100 * sum(behind) / len(behind):.1f} points behind the best method of each. It costs {_cost(dearest)}."
    )


def _notes(judged: list[Judged]) -> str:
    episodes, draws = max(0 if each.accuracies is None else len(each.accuracies) for each in judged), 1
    draws += max(each.draw for each in judged)
    if draws == 1:
        covers = "the interval covers the episodes of this draw of classes and this one training, nothing else"
    else:
        covers = (
            f"mean over {draws} draws of classes, each with its own training, with the interval over these draws "
            "(Student's t); in brackets the mean of the intervals within a draw, which cover its episodes only"
        )
    notes = [
        f"Accuracy in percent on classes that no training has seen, {episodes} episodes a draw, with 95% interval: "
        f"{covers}. All methods of a column see the same episodes. Training is spent once; a task is one of the most "
        "shots, median of all.",
        "Advice: the simplest method, in the order of the table, from which the best is not at least "
        f"{100 * MARGIN:.0f} point ahead, significantly (paired t-test over episodes, Holm's correction in the column)"
        + (" and in every draw." if draws > 1 else "."),
        "\n".join(_pool(each) for each in {(each.data, each.draw): each for each in judged}.values()),
    ]
    if any(each.data.startswith("synthetic") for each in judged):
        notes.append(
            "More than 10 classes of `synthetic` are pairs of a shape and a texture. Those that judge are new pairs, "
            "but meta-training has seen their shapes and their textures in others: easier than classes of a new kind."
        )
    return "\n\n".join(notes)


def _pool(each: Judged) -> str:
    pool = each.pool
    draw = f", draw {each.draw}" if each.draw else ""
    return (
        f"- {each.data}{draw}: {pool.train_images:,} images of {pool.train_classes} meta-train classes; meta-test "
        f"classes, {pool.test_images:,} images or more of each: {', '.join(pool.test_classes)}."
    )


def plot_fewshot(rows: list[Row], path: Path) -> None:
    """Accuracy by method and number of shots, a panel for each data set.

    Args:
        rows: those that have failed are left out.
        path: the PNG to write, 1320 pixels wide.
    """
    sets = list(dict.fromkeys(row.data for row in rows))
    names = [name for name in METHODS if any(row.method == name for row in rows)]
    with new_figure(path, 11, 1.6 + 0.36 * len(names)) as figure:
        panels = figure.subplots(1, len(sets), squeeze=False, sharey=True)[0]
        for ax, data in zip(panels, sets, strict=True):
            for shots in dict.fromkeys(row.shots for row in rows):
                chosen = [row for row in rows if (row.data, row.shots) == (data, shots) and row.accuracy is not None]
                places = [names.index(row.method) for row in chosen]
                ax.errorbar(
                    [100 * (row.accuracy or 0) for row in chosen],
                    places,
                    xerr=[100 * row.interval95 for row in chosen],
                    fmt="o",
                    markersize=5,
                    linestyle="none",
                    label=f"{shots}-shot",
                )
            chance = 100 / next(row.ways for row in rows if row.data == data)
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
    trained = {(each.data, each.draw, each.training_seconds) for each in judged}  # the baselines share a network
    learning = sum(each.learn_seconds * len(each.accuracies) for each in judged if each.accuracies is not None)
    seconds = sum(seconds for *_, seconds in trained) + learning
    episodes = max(0 if each.accuracies is None else len(each.accuracies) for each in judged)
    record_table(NAME, "rows", len(judged), episodes, command, seconds, environment, folder)
