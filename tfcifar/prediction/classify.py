"""Image files in, rows out: classes with probabilities, whether to believe them, and what the model looked at."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pipelines.errors import InputError
from pipelines.image_folder import fit_image, read_image
from tfcifar.evaluation.acceptance import is_foreign
from tfcifar.evaluation.probabilities import unscaled
from tfcifar.explain.overlay import overlay, overlay_size
from tfcifar.prediction.opened import Opened

BATCH = 16  # images


def classify(
    names: list[str],
    model: Opened,
    top: int,
    min_probability: float | None,
    overlays: Path | None,
    complain: Callable[[InputError], None],
) -> Iterator[dict]:
    """A row for each readable image, in the order of `names`.

    Args:
        names: of image files of any size.
        top: classes to name.
        min_probability: below it there is no answer; None: there always is.
        overlays: the folder for a PNG of each image with its Grad-CAM; None: none are made.
        complain: called for each file that is no image.

    Yields:
        `image` (its name); `answer` (a class name; None: abstains); `classes`, the most probable ones first, of `name`
        and `probability`; `calibrated` (bool); `foreign` (bool; None: not known); `explanation` (a PNG, or None).

    Raises:
        InputError: the model and its class names do not fit, or it cannot be explained.
    """
    if overlays is not None and model.explain is None:
        raise InputError(f"--explain: expected a run directory or a .keras file of a network with feature maps, "
                         f"received a model for {model.platform}.")  # fmt: skip
    pngs = _overlay_paths(names, overlays) if overlays is not None else {}
    for start in range(0, len(names), BATCH):
        read = _read(names[start : start + BATCH], model, overlays is not None, complain)
        if not read:
            continue
        images = np.stack([image for image, _ in read.values()])
        logits = model.run(images)
        scaling = model.scaling or unscaled(logits.shape[1])
        maps = model.explain(images, logits.argmax(-1)) if model.explain and overlays else [None] * len(images)
        results = zip(
            read.items(), np.exp(scaling.apply(logits)), is_foreign(logits, model.acceptance), maps, strict=True
        )
        for (name, (_, seen)), probabilities, foreign, heat in results:
            classes = _most_probable(probabilities, model, top)
            sure = min_probability is None or classes[0]["probability"] >= min_probability
            yield {
                "image": os.fsencode(name).decode(errors="replace"),  # file names may hold any bytes
                "answer": classes[0]["name"] if sure else None,
                "classes": classes,
                "calibrated": model.scaling is not None,
                "foreign": foreign,
                "explanation": None if seen is None else _save_overlay(seen, heat, pngs[name]),
            }


def _read(
    names: list[str], model: Opened, explain: bool, complain: Callable[[InputError], None]
) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """`_read_fitted` of those that can be read, by name."""
    read = {}
    for name in names:
        try:
            read[name] = _read_fitted(name, model, explain)
        except InputError as error:
            complain(error)
    return read


def _read_fitted(name: str, model: Opened, explain: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """uint8 [*image_shape], and what the model sees in the size of an overlay: uint8 [h, w, 3], if it is asked for."""
    picture = read_image(name)
    height, width, _ = model.image_shape
    seen = fit_image(picture, *overlay_size(height, width)) if explain else None
    return fit_image(picture, height, width), seen


def _most_probable(probabilities: np.ndarray, model: Opened, top: int) -> list[dict]:
    names = model.class_names or [str(index) for index in range(len(probabilities))]
    if len(names) != len(probabilities):
        raise InputError(f"card: expected {len(probabilities)} class names, one for each logit, received {len(names)}.")
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [{"name": names[index], "probability": float(probabilities[index])} for index in order]


def _overlay_paths(names: list[str], folder: Path) -> dict[str, Path]:
    """A PNG in `folder` for each image, over none of them; those of one name, from several folders, get numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: dict[str, Path] = {}
    taken: set[str] = set()
    images = {Path(name).resolve() for name in names}
    last: Counter[str] = Counter()
    for name in names:
        stem = Path(name).stem
        file = f"{stem}.png"
        # An image may itself be called what another one would get, and may lie in `folder`.
        while file in taken or (folder / file).resolve() in images:
            last[stem] += 1
            file = f"{stem}-{last[stem] + 1}.png"
        taken.add(file)
        paths[name] = folder / file
    return paths


def _save_overlay(seen: np.ndarray, heat: np.ndarray, path: Path) -> str:
    overlay(seen, heat).save(path)
    return str(path)
