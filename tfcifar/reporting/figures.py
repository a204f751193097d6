"""Figures of one run, from plain data to PNG."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.ticker import MaxNLocator, PercentFormatter

from pipelines.disk_images import Images
from tfcifar.reporting.style import AMBER, BLACK, BLUE, GREY, LIGHT_GREY, ORANGE, log_scale, new_figure

MOST_CLASSES_WITH_NUMBERS = 20  # beyond it, the numbers in a confusion matrix would be smaller than 7 points
MOST_BARS = 40  # beyond it, only the two ends of the list of classes are shown
ENDS = 20


def plot_curves(history: list[dict], path: str | Path) -> None:
    """Loss, accuracy and learning rate by epoch, with phases shaded and the best epoch marked.

    Args:
        history: rows of `epoch` (from 1), `phase`, `loss`, `val_loss` (nats), `accuracy`, `val_accuracy` (fractions),
            `learning_rate`, one for each epoch, in order; at least one.
        path: the PNG to write, 1200 x 468 pixels.
    """
    epochs = [row["epoch"] for row in history]
    validated = [row for row in history if not math.isnan(row["val_accuracy"])]
    panels = (
        ("Loss (nats)", ("loss", "val_loss")),
        ("Accuracy", ("accuracy", "val_accuracy")),
        ("Learning rate", ("learning_rate",)),
    )
    labels = {"loss": "training", "val_loss": "validation", "learning_rate": None}
    colors = {"loss": BLUE, "accuracy": BLUE, "val_loss": ORANGE, "val_accuracy": ORANGE, "learning_rate": BLACK}
    with new_figure(path, 10, 3.9) as figure:
        axes = figure.subplots(1, 3, width_ratios=(1, 1, 0.75))
        for ax, (title, keys) in zip(axes, panels, strict=True):
            for key in keys:
                if key.startswith("val_") and not validated:
                    continue
                # A line of one epoch is invisible without its point; a hundred points hide the line.
                marker = "o" if len(history) <= 30 else None
                values = [row[key] for row in history]
                ax.plot(epochs, values, color=colors[key], label=labels.get(key), marker=marker, markersize=3.5)
            ax.set(title=title, xlabel="epoch", xlim=(0.5, epochs[-1] + 0.5))
            ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
            _shade_phases(ax, history)
        if validated:
            _mark_best(axes, max(validated, key=lambda row: row["val_accuracy"]))
        axes[1].yaxis.set_major_formatter(PercentFormatter(1))
        rates = [row["learning_rate"] for row in history]
        if min(rates) > 0:  # a cosine may end at exactly 0
            log_scale(axes[2], "y", rates)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)


def _mark_best(axes: Sequence[Axes], best: dict) -> None:
    axes[1].axvline(best["epoch"], color=GREY, linestyle=":")
    axes[0].axvline(best["epoch"], color=GREY, linestyle=":", label=f"best epoch: {best['epoch']}")
    axes[1].plot(best["epoch"], best["val_accuracy"], "*", color=ORANGE, markersize=13, markeredgecolor="white")
    axes[1].set_title(f"Accuracy (best validation {best['val_accuracy']:.2%})")


def _shade_phases(ax: Axes, history: list[dict]) -> None:
    """Shade every second phase, and name in the legend each one that is shaded; a single phase stays plain."""
    starts = [0] + [i for i, (a, b) in enumerate(pairwise(history), 1) if a["phase"] != b["phase"]]
    spans = [*pairwise(starts), (starts[-1], len(history))]
    shades = ("#DCE9F3", "#FFFFFF", "#F9EAD3", "#E3F1E4")
    for i, (start, stop) in enumerate(spans):
        if len(spans) > 1:
            edges = history[start]["epoch"] - 0.5, history[stop - 1]["epoch"] + 0.5
            ax.axvspan(*edges, facecolor=shades[i % 4], edgecolor=LIGHT_GREY, zorder=0, label=history[start]["phase"])


def plot_confusion(confusion: Sequence[Sequence[int]], class_names: Sequence[str], path: str | Path) -> None:
    """The confusion matrix in percent of each true class; with more than 20 classes in colours alone.

    Args:
        confusion: int [k, k], counts; rows are true classes, columns predicted ones.
        class_names: k names.
        path: the PNG to write, 1080 pixels wide and about as high; 1200 with more than 20 classes.
    """
    counts = np.asarray(confusion, np.float64)
    k = len(counts)
    totals = counts.sum(axis=1, keepdims=True)
    percent = np.divide(100 * counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
    with_numbers = k <= MOST_CLASSES_WITH_NUMBERS
    title = "Confusion matrix (each row sums to 100%)"
    if not with_numbers:
        title += "\nlargest confusions: " + _largest_confusions(percent, class_names)
    size, font = (9, 12 if k <= 5 else 10 if k <= 10 else 7.5) if with_numbers else (10, max(4.5, 450 / k))
    with new_figure(path, size, size * 0.93) as figure:
        ax = figure.subplots()
        sns.heatmap(
            percent,
            ax=ax,
            norm=PowerNorm(0.5, vmin=0, vmax=100),  # square root: the few percent off the diagonal are the message
            cmap="Blues",
            annot=np.where(counts > 0, np.char.mod("%.1f", percent), "") if with_numbers else None,
            fmt="",
            annot_kws={"fontsize": font},
            square=True,
            linewidths=0.5 if with_numbers else 0,
            linecolor=LIGHT_GREY,
            xticklabels=class_names,
            yticklabels=class_names,
            cbar_kws={"label": "share of the true class (%), square-root scale", "shrink": 0.7, "pad": 0.02},
        )
        ax.set_facecolor("#F4E7D3")  # a class without examples: not a zero
        ax.set(xlabel="predicted class", ylabel="true class")
        ax.set_title(title)
        ax.tick_params(labelsize=font, length=0)
        ax.tick_params(axis="y", rotation=0)
        angle, align = (90, "center") if k > 10 else (45, "top")
        for label in ax.get_xticklabels():
            label.set(rotation=angle, ha="right", va=align, rotation_mode="anchor")


def _largest_confusions(percent: np.ndarray, class_names: Sequence[str], count: int = 3) -> str:
    """The cells off the diagonal with the highest share, as text."""
    off_diagonal = np.nan_to_num(percent - np.diag(np.diag(percent)))
    cells = np.argsort(-off_diagonal, axis=None, kind="stable")[:count]
    places = [(i, j) for i, j in zip(*np.unravel_index(cells, percent.shape), strict=True) if off_diagonal[i, j] > 0]
    return ", ".join(f"{class_names[i]} → {class_names[j]} {percent[i, j]:.0f}%" for i, j in places) or "none"


def plot_per_class(per_class: list[dict], path: str | Path) -> None:
    """Accuracy (recall) and precision of each class, best first; with more than 40 classes, of both ends.

    Args:
        per_class: rows of `per_class_metrics`; classes without examples are left out.
        path: the PNG to write, 1080 pixels wide.
    """
    rows = sorted((row for row in per_class if row["n"]), key=lambda row: row["accuracy"], reverse=True)
    groups = [("Accuracy of each class", rows)]
    if len(rows) > MOST_BARS:
        groups = [(f"Best {ENDS} of {len(rows)} classes", rows[:ENDS]), (f"Worst {ENDS}", rows[-ENDS:])]
    with new_figure(path, 9, 1.5 + 0.27 * len(groups[0][1])) as figure:
        axes = np.atleast_1d(figure.subplots(1, len(groups), sharex=True))
        for ax, (title, group) in zip(axes, groups, strict=True):
            _draw_class_bars(ax, group)
            ax.set_title(title)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=2)


def _draw_class_bars(ax: Axes, rows: list[dict]) -> None:
    names, accuracy = [row["name"] for row in rows], [row["accuracy"] for row in rows]
    places = range(len(rows))
    ax.barh(places, accuracy, color=BLUE, height=0.72, label="accuracy (recall): share of the class's images")
    precise = [(row["precision"], i) for i, row in enumerate(rows) if row["precision"] is not None]
    if precise:
        label = "precision: share of its predictions"
        ax.plot(*zip(*precise, strict=True), "D", color=AMBER, markeredgecolor="white", label=label)
    for i, value in enumerate(accuracy):
        ax.text(1.01, i, f"{value:.1%}", va="center_baseline", fontsize=9)
    ax.set_yticks(places, names)
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6))
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def plot_mistakes(
    images: Images,
    labels: np.ndarray,
    predicted: np.ndarray,
    confidence: np.ndarray,
    class_names: Sequence[str],
    path: str | Path,
    count: int = 25,
) -> None:
    """The most confident mistakes as a grid of images, five to a row.

    Args:
        images: uint8 [n, height, width, 1 or 3].
        labels, predicted: int [n], true and predicted class.
        confidence: float [n], probability of the predicted class, 0..1.
        class_names: k names.
        path: the PNG to write, 1080 pixels wide, 246 high for each row of images.
        count: how many at most.
    """
    wrong = np.flatnonzero(np.asarray(labels) != np.asarray(predicted))
    worst = wrong[np.argsort(-np.asarray(confidence)[wrong], kind="stable")][:count]
    grid_rows = max(1, math.ceil(len(worst) / 5))
    with new_figure(path, 9, 0.5 + 2.05 * grid_rows) as figure:
        figure.suptitle(
            f"The {len(worst)} most confident of {len(wrong):,} mistakes among {len(labels):,} images: true → predicted"
            if len(worst)
            else f"No mistakes among {len(labels):,} images"
        )
        axes = figure.subplots(grid_rows, 5, squeeze=False).ravel()
        for ax in axes:
            ax.axis("off")
        for ax, i in zip(axes, worst, strict=False):
            ax.imshow(images[i].squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            true, guess = _short(class_names[labels[i]]), _short(class_names[predicted[i]])
            ax.set_title(f"{true} → {guess}\n{confidence[i]:.1%} sure", fontsize=8.5, loc="center", weight="normal")


def _short(name: str, longest: int = 13) -> str:
    """Two names of this length fit above an image."""
    return name if len(name) <= longest else name[: longest - 1] + "…"
