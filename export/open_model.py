"""A trained or exported model with all that is known of it: what a server or `predict` needs beside the logits."""

from pathlib import Path
from typing import TYPE_CHECKING

from export.card import card_path, read_card
from export.runtimes import open_artifact
from pipelines.errors import InputError
from tfcifar.prediction.opened import Opened
from tfcifar.run_dir import RunDir, read_json

if TYPE_CHECKING:
    from tfcifar.evaluation.probabilities import Scaling


def open_model(path: Path, threads: int = 1) -> Opened:
    """The model in an exported file, a SavedModel, or a run directory.

    Class names, calibration and the bounds of `fit_acceptance` come from the card beside a file, from export.json in
    a SavedModel, and from the run's own files; a model may do without. TensorFlow starts for .keras files and
    SavedModels only.

    Raises:
        InputError: no such model, not to be loaded, or a card or calibration of another model.
    """
    if (path / "recipe.json").is_file():
        return _open_run(RunDir.existing(path), threads)
    if path.suffix == ".keras" or path.is_dir():
        _start_tensorflow()
    runtime = open_artifact(path, threads)
    card = _card_of(path)
    return Opened(
        run=runtime,
        image_shape=runtime.image_shape,
        platform=runtime.name,
        class_names=card.get("class_names") if card else None,
        scaling=_scaling_of(card) if card and "calibration" in card else None,
        card=card,
        acceptance=card.get("acceptance") if card else None,
        explain=_explain_with(runtime),
    )


def _open_run(run_dir: RunDir, threads: int) -> Opened:
    _start_tensorflow()
    runtime = open_artifact(run_dir.model, threads)
    scaling = None
    if run_dir.calibration.is_file():
        from tfcifar.evaluation.calibrate_run import load_calibration

        scaling = load_calibration(run_dir.path)
    names = read_json(run_dir.environment)["data"]["class_names"]
    card = {"run": run_dir.name, "bytes": run_dir.model.stat().st_size}
    if run_dir.metrics.is_file():
        found = read_json(run_dir.metrics)
        card["metrics"] = {"test": {"n": found["n"], "accuracy": found["accuracy"]}}
    return Opened(
        run=runtime,
        image_shape=runtime.image_shape,
        platform=runtime.name,
        class_names=names,
        scaling=scaling,
        card=card,
        acceptance=_acceptance_of(run_dir, scaling),
        explain=_explain_with(runtime),
    )


def _acceptance_of(run_dir: RunDir, scaling: "Scaling | None") -> dict | None:
    """From the validation logits of an evaluated run; None: it has none, or they are of another model."""
    if not run_dir.predictions.is_file():
        return None
    from tfcifar.arrays import read_arrays
    from tfcifar.evaluation.acceptance import fit_acceptance
    from tfcifar.evaluation.openings import model_digest
    from tfcifar.evaluation.probabilities import unscaled

    kept = read_arrays(run_dir.predictions)
    if "validation_logits" not in kept or str(kept["model"]) != model_digest(run_dir):
        return None
    logits, labels = kept["validation_logits"], kept["validation_labels"]
    return fit_acceptance(logits, labels, scaling or unscaled(logits.shape[1]))


def _explain_with(runtime):
    """Grad-CAM for a Keras model with feature maps; None for any other."""
    if runtime.name != "keras":
        return None
    from tfcifar.explain.activations import target_layer
    from tfcifar.explain.gradcam import grad_cam

    try:
        layer = target_layer(runtime.model)
    except InputError:
        return None
    return lambda images, classes: grad_cam(runtime.model, images, classes, layer)


def _card_of(path: Path) -> dict | None:
    """What lies beside a file or in the folder of a SavedModel; None: nothing does."""
    if path.is_dir():
        return read_json(path / "export.json") if (path / "export.json").is_file() else None
    return read_card(path) if card_path(path).is_file() else None


def _scaling_of(card: dict) -> "Scaling":
    """The temperature in a card, as a Scaling."""
    import numpy as np

    from tfcifar.evaluation.probabilities import Scaling

    temperature, k = card["calibration"].get("temperature"), len(card["class_names"])
    if not isinstance(temperature, int | float) or not temperature > 0:
        raise InputError(f"{card['file']}: its card's calibration: expected a temperature above 0, "
                         f"received {temperature!r}.")  # fmt: skip
    return Scaling("temperature", np.full(k, 1 / temperature), np.zeros(k))


def _start_tensorflow() -> None:
    from tfcifar.cli import start_tensorflow

    start_tensorflow()
