"""Figures that only the research report has."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, PercentFormatter, StrMethodFormatter
from matplotlib.transforms import Bbox

from tfcifar.reporting.pareto import pareto
from tfcifar.reporting.style import BLUE, GREY, new_figure


def plot_cost(rows: list[dict], path: Path) -> None:
    """Accuracy against MACs of a prediction and against seconds of training, with the Pareto front of each.

    Args:
        rows: `name`, `accuracy` (fraction), `macs`, `seconds` of each system.
        path: the PNG to write, 1320 pixels wide.
    """
    with new_figure(path, 11, 4.6) as figure:
        axes = figure.subplots(1, 2, sharey=True)
        for ax, (key, scale, label) in zip(
            axes, (("macs", 1e6, "MACs of a prediction (millions)"), ("seconds", 60, "training (minutes)")), strict=True
        ):
            front = pareto([{"x": row[key] / scale, "y": row["accuracy"]} for row in rows], more=True)
            ax.plot([each["x"] for each in front], [each["y"] for each in front], color=GREY, linewidth=1, zorder=1)
            for row in rows:
                ax.plot(row[key] / scale, row["accuracy"], "o", color=BLUE, markersize=7, markeredgecolor="white")
            ax.set(xscale="log", xlabel=label)
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # of several systems most lie within a decade
            ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            ax.xaxis.set_minor_formatter("")
            ax.margins(x=0.18, y=0.08)
            ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
        axes[0].set_ylabel("test accuracy")
        figure.draw_without_rendering()  # places are known from here on
        for ax, (key, scale) in zip(axes, (("macs", 1e6), ("seconds", 60)), strict=True):
            _name_points(ax, [(row["name"], row[key] / scale, row["accuracy"]) for row in rows])


def _name_points(ax: Axes, points: list[tuple[str, float, float]]) -> None:
    """Write each name beside its point, from the top down, lower where it would cover another."""
    taken: list[Bbox] = []
    for name, x, y in sorted(points, key=lambda point: -point[2]):
        text = ax.annotate(name, (x, y), xytext=(5, 4), fontsize=7.5, textcoords="offset points")
        while any(text.get_window_extent().overlaps(box) for box in taken):
            text.xyann = (text.xyann[0], text.xyann[1] - 2)
        taken.append(text.get_window_extent())
