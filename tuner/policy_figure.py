"""A policy drawn on generated images, which may be shown anywhere."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipelines.augment_policy import apply_policy
from pipelines.synthetic import generate
from tfcifar.reporting.style import new_figure

IMAGES = 10  # of a row, each of another class
MOST_ROWS = 25
IMAGE_SEED, DRAW_SEED = 3, 4


def plot_policy(policy: Sequence[str], path: Path) -> None:
    """A row for each sub-policy, what it made of ten generated images by chance; above them the images.

    Args:
        policy: at least one sub-policy; those beyond 25 are left out.
        path: the PNG to write, 960 pixels wide.
    """
    examples = generate(IMAGES, IMAGES, 32, IMAGE_SEED)
    images = tf.cast(examples.images[np.argsort(examples.labels)], tf.float32)
    rows = {"as it is": images}
    for number, text in enumerate(policy[:MOST_ROWS]):
        steps = text.replace(" ", "\n")
        rows[f"{number + 1}. {steps}"] = apply_policy(images, [DRAW_SEED, number], [text])
    with new_figure(path, 8, 0.3 + 0.75 * len(rows)) as figure:
        for ax, (label, row) in zip(np.atleast_1d(figure.subplots(len(rows), 1)), rows.items(), strict=True):
            strip = np.concatenate(np.pad(row.numpy(), ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255), axis=1)
            ax.imshow(strip.round().astype(np.uint8), aspect="equal")
            ax.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
            ax.set(xticks=[], yticks=[])
            ax.grid(visible=False)
            ax.spines[:].set_visible(False)
