"""A training run that diverges: found at the step itself, put on record, and where to go on from."""

import dataclasses
import math

import keras
import numpy as np

from pipelines.errors import InputError
from pipelines.splits import Splits
from tfcifar.environment import current_command
from tfcifar.recipe import Recipe
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir, read_json, write_json, write_text
from tfcifar.training.batches import train_batches

# What may be changed to go on with the last good weights: how large the steps are, nothing of what is learned.
CHANGEABLE = ("optimizer.learning_rate", "optimizer.clip_norm", "transfer.head_learning_rate",
              "schedule.stage_learning_rates")  # fmt: skip


class DivergedError(Exception):
    """Loss or weights are no numbers any more. `step` counts from 0; None: seen at the end of the epoch."""

    def __init__(self, epoch: int, step: int | None, loss: float, learning_rate: float):
        super().__init__(f"epoch {epoch}, step {step}: loss {loss}")
        self.epoch, self.step, self.loss, self.learning_rate = epoch, step, loss, learning_rate


class StopIfDiverged(keras.callbacks.Callback):
    """Raises DivergedError at the first step whose loss is not finite, before that epoch's weights are kept.

    It costs a comparison a step: Keras brings the losses to Python for every callback anyway. A mean that has been
    infinite or NaN stays so; nevertheless each step is looked at, so that the first one is known. Several devices,
    and workers, all see the mean of theirs, and stop together.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            raise DivergedError(self.epoch, batch, logs["loss"], self._learning_rate())

    def on_epoch_end(self, epoch, logs=None):
        """The last step of the epoch has no loss behind it that would tell what its update did."""
        if not (math.isfinite(logs["loss"]) and all_finite(self.model.trainable_variables)):
            raise DivergedError(epoch, None, logs["loss"], self._learning_rate())

    def _learning_rate(self) -> float:
        return float(self.model.optimizer.learning_rate)


def all_finite(variables: list) -> bool:
    return all(np.isfinite(np.asarray(variable)).all() for variable in variables)


def explain(
    error: DivergedError, recipe: Recipe, splits: Splits, run_dir: RunDir, resumable: bool, write: bool = True
) -> InputError:
    """Write divergence.json; return what to tell the user.

    The batch of the step is made once more for it: every batch is a function of seed, epoch and step.

    Args:
        resumable: the run may go on with other learning rates. A pruned or quantized one may not: its record says with
            which it was fine-tuned.
        write: off for workers beside the chief, which writes the same.
    """
    batch = None if error.step is None else batch_statistics(recipe, splits, error.epoch, error.step)
    record = {
        "epoch": error.epoch + 1,
        "step": error.step,
        "loss": str(error.loss),  # JSON has no word for it
        "learning_rate": error.learning_rate,
        "clip_norm": recipe.optimizer.clip_norm,
        "batch": batch,
        "last_good_epoch": error.epoch or None,
        "command": current_command(),
    }
    if write:
        write_json(run_dir.divergence, record)
    where = f"epoch {error.epoch + 1}, " + ("at its end" if error.step is None else f"step {error.step}")
    kept = f"the weights of epoch {error.epoch} are kept" if error.epoch else "no epoch was whole before"
    return InputError(
        f"training diverged in {where}: loss {error.loss} at a learning rate of {error.learning_rate:.3g}; "
        f"{_in_words(batch)}{kept}. {_advice(error, recipe, resumable)} On record: {run_dir.divergence}."
    )


def _in_words(batch: dict | None) -> str:
    if batch is None:
        return ""
    pixels = batch["images"]
    if pixels["not_finite"]:
        return f"{pixels['not_finite']} pixels of the batch there are not finite; "
    return f"the batch there has pixels {pixels['min']:.0f} to {pixels['max']:.0f}, mean {pixels['mean']:.0f}; "


def _advice(error: DivergedError, recipe: Recipe, resumable: bool) -> str:
    if not resumable:
        return "Start again with a lower --learning-rate and another --output: this run's record names its own."
    if error.epoch < recipe.transfer.head_epochs:
        smaller = f"transfer.head_learning_rate={_third(recipe.transfer.head_learning_rate)}"
    elif recipe.schedule.stage_learning_rates:
        smaller = f"schedule.stage_learning_rates={','.join(map(_third, recipe.schedule.stage_learning_rates))}"
    else:
        smaller = f"optimizer.learning_rate={_third(recipe.optimizer.learning_rate)}"
    clip = " or --set optimizer.clip_norm=1" if recipe.optimizer.clip_norm is None else ""
    return f"Go on from there by the same command with --resume --set {smaller}{clip}."


def batch_statistics(recipe: Recipe, splits: Splits, epoch: int, step: int) -> dict:
    """JSON-ready figures of one training batch, augmented as the model saw it.

    Returns:
        `images`: shape, min, max, mean, std of the finite values (0..255) and the number of others; `labels`: the
        examples of each class, of soft labels the sums.
    """
    images, labels = next(iter(train_batches(recipe, splits, epoch, epoch + 1).skip(step).take(1)))
    images, labels = images.numpy(), labels.numpy()
    finite = images[np.isfinite(images)]
    summed = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=splits.num_classes)
    figures = {name: float(getattr(finite, name)()) if len(finite) else None for name in ("min", "max", "mean", "std")}
    return {
        "images": {"shape": list(images.shape), **figures, "not_finite": int(images.size - len(finite))},
        "labels": {name: round(float(count), 3) for name, count in zip(splits.class_names, summed, strict=True)},
    }


def _third(rate: float) -> str:
    return f"{rate / 3:.2g}"


def may_go_on(run_dir: RunDir, recipe: Recipe) -> bool:
    """Whether `recipe` may take the place of that of a run which has diverged: only CHANGEABLE fields are others."""
    return run_dir.divergence.is_file() and set(_changes(load_json(run_dir.recipe), recipe)) <= set(CHANGEABLE)


def go_on(run_dir: RunDir, recipe: Recipe) -> None:
    """Let a run that has diverged be one of `recipe`; environment.json keeps what happened, and what was changed.

    The epochs before it stay those of the former recipe: no command alone makes this run again, and it says so.
    """
    if not run_dir.divergence.is_file():
        return
    changed = {name: list(values) for name, values in _changes(load_json(run_dir.recipe), recipe).items()}
    entry = read_json(run_dir.divergence) | {"changed": changed, "continued_by": current_command()}
    environment = read_json(run_dir.environment)
    diverged = [each for each in environment.get("diverged", []) if each != entry]  # from a command killed in here
    write_json(run_dir.environment, environment | {"diverged": [*diverged, entry]})
    write_text(run_dir.recipe, recipe.to_json())
    run_dir.divergence.unlink()


def _changes(before: Recipe, after: Recipe) -> dict[str, tuple]:
    """Dotted field -> (before, after) of the fields that differ."""
    changes: dict[str, tuple] = {}
    for name, old in dataclasses.asdict(before).items():
        new = dataclasses.asdict(after)[name]
        if isinstance(old, dict):
            changes |= {f"{name}.{field}": (old[field], new[field]) for field in old if old[field] != new[field]}
        elif old != new:
            changes[name] = (old, new)
    return changes
