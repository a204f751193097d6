"""Reliability diagrams: accuracy against confidence, of one model, or before and after calibration."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from tfcifar.reporting.style import BLACK, BLUE, GREY, ORANGE, new_figure


def plot_reliability(bins: list[dict], ece: float, path: str | Path) -> None:
    """Accuracy against confidence, and how many predictions have which confidence.

    Args:
        bins: rows of `reliability_bins`.
        ece: expected calibration error, a fraction.
        path: the PNG to write, 900 x 900 pixels.
    """
    with new_figure(path, 7.5, 7.5) as figure:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        _draw(top, bottom, bins, f"Calibration: expected calibration error {ece:.4f}")


def plot_before_after(diagrams: dict[str, tuple[list[dict], float]], path: str | Path) -> None:
    """Several reliability diagrams side by side, on the same axes.

    Args:
        diagrams: rows of `reliability_bins` and expected calibration error (a fraction), by what they are of.
        path: the PNG to write, 540 pixels wide for each, 720 high.
    """
    with new_figure(path, 4.5 * len(diagrams), 6) as figure:
        rows = figure.subplots(2, len(diagrams), sharex=True, sharey="row", height_ratios=(3, 1), squeeze=False)
        for column, (name, (bins, ece)) in enumerate(diagrams.items()):
            top, bottom = rows[:, column]
            _draw(top, bottom, bins, f"{name}: ECE {ece:.4f}")
            if column:
                top.set_ylabel("")
                bottom.set_ylabel("")
                top.get_legend().remove()


def _draw(top: Axes, bottom: Axes, bins: list[dict], title: str) -> None:
    filled = [row for row in bins if row["count"]]
    total = sum(row["count"] for row in filled)
    middles = [(row["low"] + row["high"]) / 2 for row in filled]
    width = bins[0]["high"] - bins[0]["low"]
    accuracy = [row["accuracy"] for row in filled]
    gaps = [row["confidence"] - row["accuracy"] for row in filled]
    bars = {"width": width, "edgecolor": "white", "linewidth": 0.8}
    top.bar(middles, accuracy, color=BLUE, label="accuracy", **bars)
    gap_style: dict[str, Any] = {"facecolor": "#F5D6C2", "edgecolor": ORANGE, "hatch": "////", "linewidth": 1.0}
    top.bar(middles, gaps, width * 0.88, accuracy, label="gap to mean confidence", **gap_style)
    # Says which end of the gap is the accuracy: the lower one where the model is too confident.
    top.hlines(accuracy, [row["low"] for row in filled], [row["high"] for row in filled], color=BLACK)
    top.plot([0, 1], [0, 1], "--", color=GREY, label="perfect calibration")
    top.set(title=title, ylabel="accuracy", ylim=(0, 1))
    top.legend(loc="upper left")
    bottom.bar(middles, [row["count"] / total for row in filled], color=BLUE, **bars)
    bottom.set(title=f"{total:,} predictions", xlabel="confidence", ylabel="share", xlim=(0, 1))
    for axis in (top.yaxis, bottom.yaxis, bottom.xaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
