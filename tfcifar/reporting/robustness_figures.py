"""Figures of runs under corruption and attack, from plain data to PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import seaborn as sns
from matplotlib.ticker import PercentFormatter

from tfcifar.reporting.style import LIGHT_GREY, line_styles, new_figure

MOST_NUMBERED_COLUMNS = 12  # beyond it, the numbers in a table of accuracies would not fit


def plot_by_severity(
    values: Mapping[str, Mapping[int, float | None]],
    title: str,
    ylabel: str,
    path: str | Path,
    lowest: float | None = None,
) -> None:
    """A line for each run by severity, 0 for clean images.

    Args:
        values: fractions by severity, by run.
        lowest: where the axis begins; None: where the data does.
        path: the PNG to write, 1080 pixels wide.
    """
    styles = line_styles()
    with new_figure(path, 9, 4.6 + 0.11 * len(values)) as figure:
        ax = figure.subplots()
        for name, by_severity in values.items():
            accuracies = np.array(list(by_severity.values()), float)  # None: nan, a gap
            ax.plot(list(by_severity), accuracies, next(styles), marker="o", markersize=5, label=name)
        severities = sorted({severity for each in values.values() for severity in each})
        ax.set_xticks(severities, ["clean" if severity == 0 else str(severity) for severity in severities])
        ax.set(title=title, xlabel="severity", ylabel=ylabel)
        if lowest is not None:
            ax.set_ylim(bottom=lowest)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        if len(values) > 1:
            figure.legend(loc="outside lower center", ncols=2)


def plot_accuracy_table(
    accuracy: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str, xlabel: str, path: str | Path
) -> None:
    """Accuracies as a table in colours, with their numbers in percent where they fit.

    Args:
        accuracy: float [rows, columns], fractions; nan where nothing was judged.
        path: the PNG to write, 960 pixels wide or more.
    """
    with_numbers = len(columns) <= MOST_NUMBERED_COLUMNS
    longest = max(len(column) for column in columns)
    upright = longest <= 6
    width = max(8.0, 3.2 + 0.75 * len(columns))
    height = 1.6 + 0.33 * len(rows) + (0 if upright else 0.065 * longest)
    with new_figure(path, width, height) as figure:
        ax = figure.subplots()
        sns.heatmap(
            100 * accuracy,
            ax=ax,
            vmin=0,
            vmax=100,
            cmap="Blues",
            annot=with_numbers,
            fmt=".1f",
            annot_kws={"fontsize": 9},
            linewidths=0.5,
            linecolor=LIGHT_GREY,
            xticklabels=columns,
            yticklabels=rows,
            cbar_kws={"label": "accuracy (%)", "pad": 0.02},
        )
        ax.set_title(title)
        ax.set_xlabel(xlabel)
        ax.tick_params(length=0)
        ax.tick_params(axis="y", rotation=0)
        for label in ax.get_xticklabels():
            if upright:
                label.set_rotation(0)
            else:
                label.set(rotation=45, ha="right", va="top", rotation_mode="anchor")


def plot_attacks(rows: list[dict], path: str | Path) -> None:
    """Accuracy by the largest change of a value, a panel for each attack and a line for each run.

    Args:
        rows: of attacks.csv, of several runs; at least one attack.
        path: the PNG to write, 1080 pixels wide.
    """
    attacks = [name for name in dict.fromkeys(row["attack"] for row in rows) if name != "none"]
    runs = list(dict.fromkeys(row["run"] for row in rows))
    epsilons = sorted({row["epsilon"] for row in rows})
    counts = {row["images"] for row in rows}
    images = f", {counts.pop():,} images" if len(counts) == 1 else ""
    with new_figure(path, 9, 4.0 + 0.11 * len(runs)) as figure:
        figure.suptitle(f"Under attack{images}: sanity figures, not a defence evaluation")
        axes = figure.subplots(1, len(attacks), sharey=True, squeeze=False)[0]
        for ax, attack in zip(axes, attacks, strict=True):
            styles = line_styles()
            for run in runs:
                points = [row for row in rows if row["run"] == run and row["attack"] in ("none", attack)]
                places = [epsilons.index(row["epsilon"]) for row in points]
                accuracy = [row["accuracy"] for row in points]
                ax.plot(places, accuracy, next(styles), marker="o", markersize=5, label=run)
            ax.set_xticks(range(len(epsilons)), [f"{epsilon}/255" if epsilon else "none" for epsilon in epsilons])
            ax.set(title=attack_in_words(attack), xlabel="largest change of a value", ylim=(-0.02, 1.02))
        axes[0].set_ylabel("accuracy")
        axes[0].yaxis.set_major_formatter(PercentFormatter(1))
        if len(runs) > 1:
            figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)


def attack_in_words(attack: str) -> str:
    """ "pgd_10" -> "PGD-10"."""
    return attack.replace("_", "-").upper()
