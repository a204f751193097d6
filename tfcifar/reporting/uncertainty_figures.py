"""Figures of uncertainty: what is left wrong when a classifier abstains, and what it makes of foreign images."""

from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from tfcifar.reporting.style import COLORS, GREY, line_styles, new_figure

STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
SOURCE_TITLES = {"single": "One pass, no dropout", "mc_dropout": "MC dropout", "ensemble": "Ensemble"}


def plot_risk_coverage(sources: dict[str, dict], path: str | Path) -> None:
    """A panel for each source: the error rate of the most certain predictions, a curve for each measure.

    Args:
        sources: by name `accuracy` and `measures`, of `score_sources`.
        path: the PNG to write, 600 pixels wide for each source, 660 high.
    """
    colors = _colors_of_measures(sources)
    with new_figure(path, 5 * len(sources), 5.5) as figure:
        axes = figure.subplots(1, len(sources), sharey=True, squeeze=False)[0]
        for ax, (name, source) in zip(axes, sources.items(), strict=True):
            for (measure, each), style in zip(source["measures"].items(), cycle(STYLES), strict=False):
                label = f"{measure}: AURC {each['aurc']:.2%}"
                ax.plot(*_curve(each), color=colors[measure], linestyle=style, label=label)
            ax.set(title=SOURCE_TITLES[name], xlabel="coverage: share of images not abstained from")
            _risk_axes(ax)
            # Below the panel: the curves of a poor model go anywhere.
            ax.legend(loc="upper left", bbox_to_anchor=(0, -0.14), fontsize=9)
        axes[0].set_ylabel("risk: error rate among these")


def plot_all_risk_coverage(curves: dict[str, dict], path: str | Path) -> None:
    """The error rate of the most certain predictions, a curve for each run and source; the lowest first.

    Args:
        curves: rows of `score_measure` by what they are called.
        path: the PNG to write, 1080 pixels wide.
    """
    styles = line_styles()
    with new_figure(path, 9, 4.8 + 0.11 * len(curves)) as figure:
        ax = figure.subplots()
        for name in sorted(curves, key=lambda name: curves[name]["aurc"]):
            label = f"{name}: AURC {curves[name]['aurc']:.2%}"
            ax.plot(*_curve(curves[name]), next(styles), linewidth=1.5, label=label)
        ax.set(
            title="Error rate of the most certain predictions, by predictive entropy",
            xlabel="coverage: share of images not abstained from",
            ylabel="risk: error rate among these",
        )
        _risk_axes(ax)
        figure.legend(loc="outside lower center", ncols=2, fontsize=9)


def plot_deciles(sources: dict[str, dict], path: str | Path) -> None:
    """A panel for each source: the error rate of each tenth of the images, ordered by uncertainty.

    Args:
        sources: as for `plot_risk_coverage`.
        path: the PNG to write, 1080 pixels wide, 348 high for each source and 84 for the legend.
    """
    colors = _colors_of_measures(sources)
    with new_figure(path, 9, 0.7 + 2.9 * len(sources)) as figure:
        axes = figure.subplots(len(sources), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for ax, (name, source) in zip(axes, sources.items(), strict=True):
            width = 0.8 / len(source["measures"])
            for index, (measure, each) in enumerate(source["measures"].items()):
                places = np.arange(1, 11) - 0.4 + width * (index + 0.5)
                ax.bar(places, each["deciles"], width, color=colors[measure], label=measure)
            ax.axhline(1 - source["accuracy"], color=GREY, linestyle="--", label="all images")
            ax.set(title=SOURCE_TITLES[name], ylabel="error rate", xticks=range(1, 11), xlim=(0.4, 10.6))
            ax.grid(axis="x", visible=False)
            ax.yaxis.set_major_formatter(PercentFormatter(1))
        handles = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
        axes[-1].set_xlabel("tenth of the images, from the most to the least certain")


def plot_foreign(histograms: dict[str, dict], path: str | Path) -> None:
    """A panel for each detector: the scores of the network's own images, filled, and of foreign ones, as lines.

    Args:
        histograms: of `scores.histogram`, by detector.
        path: the PNG to write, 1200 x 900 pixels with four detectors.
    """
    rows = (len(histograms) + 1) // 2
    with new_figure(path, 10, 0.6 + 3.45 * rows) as figure:
        axes = figure.subplots(rows, 2, squeeze=False).ravel()
        for ax, (detector, found) in zip(axes, histograms.items(), strict=False):
            edges = found["edges"]
            own, *foreign = found["shares"]
            ax.stairs(found["shares"][own], edges, fill=True, color="#BBD3E6", label="own images")
            for kind, color, style in zip(foreign, cycle(COLORS[1:]), cycle(STYLES), strict=False):
                ax.stairs(found["shares"][kind], edges, color=color, linestyle=style, linewidth=1.6, label=kind)
            ax.set(title=detector, xlabel="score: larger is more foreign", ylabel="share of the images, sqrt scale")
            # Own images crowd at one end: on a linear scale all others would be flat.
            ax.set_yscale("function", functions=(np.sqrt, np.square))
            ax.set_ylim(bottom=0)
            ax.yaxis.set_major_formatter(PercentFormatter(1))
        for ax in axes[len(histograms) :]:
            ax.axis("off")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)


def _curve(measure: dict) -> tuple[list[float], list[float]]:
    return measure["curve"]["coverage"], measure["curve"]["risk"]


def _risk_axes(ax: Axes) -> None:
    ax.set_xlim(0, 1)
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.yaxis.set_major_formatter(PercentFormatter(1))


def _colors_of_measures(sources: dict[str, dict]) -> dict[str, str]:
    """The same colour for a measure in all panels."""
    names = dict.fromkeys(name for source in sources.values() for name in source["measures"])
    most = max((source["measures"] for source in sources.values()), key=len)
    ordered = [*most, *(name for name in names if name not in most)]
    return dict(zip(ordered, cycle(COLORS), strict=False))
