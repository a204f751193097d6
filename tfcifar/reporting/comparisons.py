"""Figures that set several runs side by side, from plain data to PNG."""

import math
from pathlib import Path

from matplotlib.ticker import MaxNLocator, PercentFormatter

from tfcifar.reporting.style import BLACK, BLUE, GREEN, GREY, ORANGE, line_styles, new_figure


def plot_comparison(rows: list[dict], path: str | Path) -> None:
    """Accuracy of several runs as dots with 95% intervals, best first.

    Args:
        rows: `name`, `accuracy` and the ends of its interval, `low` and `high` (fractions), of each run.
        path: the PNG to write, 1080 pixels wide.
    """
    rows = sorted(rows, key=lambda row: row["accuracy"], reverse=True)
    with new_figure(path, 9, 1.3 + 0.36 * len(rows)) as figure:
        ax = figure.subplots()
        for i, row in enumerate(rows):
            ax.plot([row["low"], row["high"]], [i, i], color=BLUE, solid_capstyle="butt", linewidth=2.2)
            ax.plot(row["accuracy"], i, "o", color=BLUE, markersize=8, markeredgecolor="white")
            ax.text(1.01, i, f"{row['accuracy']:.2%}", va="center_baseline", transform=ax.get_yaxis_transform())
        ax.set_yticks(range(len(rows)), [row["name"] for row in rows])
        ax.set(
            title="Accuracy with its 95% interval",
            xlabel="accuracy (the axis does not start at 0)",
            ylim=(len(rows) - 0.4, -0.6),
        )
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="y", visible=False)
        ax.xaxis.set_major_formatter(PercentFormatter(1))


def plot_differences(rows: list[tuple[str, float, float, float]], title: str, path: str | Path) -> None:
    """Differences from a baseline as dots with 95% intervals, in the order given; those that leave out 0 in colour.

    Args:
        rows: name, difference and the ends of its interval (fractions), of each.
        path: the PNG to write, 1080 pixels wide.
    """
    with new_figure(path, 9, 1.3 + 0.36 * len(rows)) as figure:
        ax = figure.subplots()
        ax.axvline(0, color=BLACK, linewidth=1)
        for i, (_, difference, low, high) in enumerate(rows):
            color = GREEN if low > 0 else ORANGE if high < 0 else GREY
            ax.plot([100 * low, 100 * high], [i, i], color=color, solid_capstyle="butt", linewidth=2.2)
            ax.plot(100 * difference, i, "o", color=color, markersize=8, markeredgecolor="white")
            ax.text(1.01, i, f"{100 * difference:+.2f}", va="center_baseline", transform=ax.get_yaxis_transform())
        ax.set_yticks(range(len(rows)), [name for name, *_ in rows])
        ax.set(title=title, xlabel="points; grey: the interval holds 0", ylim=(len(rows) - 0.4, -0.6))
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="y", visible=False)


def plot_all_curves(histories: dict[str, list[dict]], path: str | Path) -> None:
    """Validation accuracy of several runs by epoch, best first in the legend.

    Args:
        histories: for each run's name its rows of `epoch` (from 1) and `val_accuracy` (fraction), at least one.
        path: the PNG to write, 1080 pixels wide.
    """
    best = {name: _best(history) for name, history in histories.items()}
    styles = line_styles()
    with new_figure(path, 9, 4.8 + 0.11 * len(histories)) as figure:
        ax = figure.subplots()
        late = []
        for name in sorted(histories, key=best.__getitem__, reverse=True):
            epochs, accuracy = zip(*((row["epoch"], row["val_accuracy"]) for row in histories[name]), strict=True)
            marker = "o" if len(epochs) == 1 else None
            label = f"{name}: " + ("diverged" if best[name] == -math.inf else f"{best[name]:.2%}")
            ax.plot(epochs, accuracy, next(styles), linewidth=1.5, marker=marker, label=label)
            late += [value for value in accuracy[len(accuracy) // 4 :] if not math.isnan(value)]
        if late and max(late) > min(late):
            # The steep first quarter would press the differences that remain into the top of the chart.
            ax.set_ylim(min(late) - 0.03 * (max(late) - min(late)), max(late) + 0.05 * (max(late) - min(late)))
        ax.set(
            title="Validation accuracy, with the best value of each run", xlabel="epoch", ylabel="validation accuracy"
        )
        ax.set_xlim(left=0.5)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        figure.legend(loc="outside lower center", ncols=2)


def _best(history: list[dict]) -> float:
    """The highest validation accuracy; that of a run of NaNs is below all others."""
    return max((row["val_accuracy"] for row in history if not math.isnan(row["val_accuracy"])), default=-math.inf)
