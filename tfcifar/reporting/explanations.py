"""The figure of explanations, images beside the maps of what the classifier looks at; the record of their scores."""

from pathlib import Path

import numpy as np

from tfcifar.environment import describe_environment
from tfcifar.explain.overlay import HEAT, OPACITY
from tfcifar.reporting.results import RESULTS, command_without_output, record_table
from tfcifar.reporting.style import new_figure
from tfcifar.reporting.tables import explanation_table
from tfcifar.run_dir import write_csv, write_text

NAME = "explanations"


def plot_overlays(images: np.ndarray, maps: dict[str, np.ndarray], titles: list[str], path: str | Path) -> None:
    """A row for each image: as it is, then with the map of each method laid over it.

    Args:
        images: uint8 [n, h, w, 3].
        maps: float [n, h, w] in 0..1, by method.
        titles: n, beside the rows.
        path: the PNG to write, 1320 pixels wide with five methods, 216 high for each row.
    """
    columns = 1 + len(maps)
    with new_figure(path, 0.2 + 1.8 * columns, 0.3 + 1.8 * len(images)) as figure:
        axes = figure.subplots(len(images), columns, squeeze=False)
        for row, image in enumerate(images):
            grey = np.repeat(image.mean(-1, keepdims=True), 3, axis=-1).astype(np.uint8)
            for column, ax in enumerate(axes[row]):
                ax.set(xticks=[], yticks=[])
                ax.grid(False)
                for spine in ax.spines.values():
                    spine.set_visible(False)
                if column == 0:
                    ax.imshow(image, interpolation="nearest")
                    ax.set_xlabel(titles[row], fontsize=8)
                else:
                    name = list(maps)[column - 1]
                    ax.imshow(grey, interpolation="nearest")
                    ax.imshow(maps[name][row], cmap=HEAT, vmin=0, vmax=1, alpha=OPACITY, interpolation="bilinear")
                    if row == 0:
                        ax.set_title(name, fontsize=9, loc="center")


def record_explanations(rows: list[dict], seconds: float, folder: Path = RESULTS) -> None:
    """Write the scores of several runs to results/explanations/ and put on record how many there are.

    Args:
        rows: of `tfcifar.explain.explain_run.explain_run`, of all runs.
        seconds: that it took.
    """
    target, environment = folder / NAME, describe_environment()
    command = command_without_output(environment["command"])
    write_csv(target / "scores.csv", rows)
    text = f"# Explanations, scored\n\n    {command}\n\n```\n{explanation_table(rows)}\n```\n"
    write_text(target / "explanations.md", text)
    record_table(NAME, "rows", len(rows), rows[0]["images"], command, seconds, environment, folder)
