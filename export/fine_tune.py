"""Train a tf_keras model on a recipe's data, for tools that take no other; interruptible as tfcifar.train is."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict

import tf_keras
from tqdm import tqdm

from pipelines.datasets import EVAL_BATCH_SIZE, make_eval_dataset, steps_per_epoch
from pipelines.errors import check
from pipelines.splits import Splits
from tfcifar.recipe import Recipe
from tfcifar.run_dir import RunDir, write_csv
from tfcifar.training.batches import train_batches
from tfcifar.training.callbacks import RunState
from tfcifar.training.checkpoint import read_header, restore_state, save_state
from tfcifar.training.divergence import DivergedError, all_finite, explain
from tfcifar.training.trainer import begin_run, summarize

PHASE = "fine-tune"


def fine_tune(
    clone: tf_keras.Model,
    recipe: Recipe,
    splits: Splits,
    run_dir: RunDir,
    save: Callable[[], None],
    callbacks: tuple[tf_keras.callbacks.Callback, ...] = (),
    first_kept: int = 1,
    provenance: dict | None = None,
    resume: bool = False,
    relabel: Callable | None = None,
    validation_batch: int = EVAL_BATCH_SIZE,
) -> dict:
    """Train all epochs of `recipe`; `run_dir` receives recipe.json, environment.json, history.csv and checkpoints.

    Batches are those of tfcifar.train, augmented on the CPU; the loss is cross-entropy; the learning rate falls to zero
    along a half cosine.

    Args:
        clone: see `with_restorable_dropout`; whatever a checkpoint must hold is among its variables.
        save: keeps the weights that `clone` has; called after each epoch that is the best so far by validation
            accuracy; after each one where the recipe trains on the validation images.
        callbacks: `on_train_begin`, `on_train_batch_end` and, before validation, `on_epoch_end` of theirs are called.
        first_kept: the first epoch, from 1, that may be the best: before, the network is not what it shall be.
        provenance: entries of environment.json, see `tfcifar.training.start.Start`.
        resume: continue from the last whole epoch, exactly as if nothing had happened.
        relabel: (images, one-hot labels) of a training batch -> the labels to learn; None: as they are.
        validation_batch: how many validation images at once, see `tfcifar.models.feature_maps.images_to_predict`.

    Returns:
        What `tfcifar.training.trainer.summarize` says of it.

    Raises:
        InputError: an optimizer that tf_keras does not have, no checkpoint that is whole, or training diverged.
    """
    steps = steps_per_epoch(splits.train, recipe.batch_size)
    schedule = tf_keras.optimizers.schedules.CosineDecay(recipe.optimizer.learning_rate, recipe.epochs * steps)
    optimizer = make_legacy_optimizer(recipe, schedule)
    accuracy = tf_keras.metrics.CategoricalAccuracy(name="accuracy")  # by name, the first step would be traced twice
    clone.compile(optimizer, tf_keras.losses.CategoricalCrossentropy(from_logits=True), metrics=[accuracy])
    optimizer.build(clone.trainable_variables)
    # BatchNorm statistics, masks and pruning steps are among the model's variables.
    groups = {"model": clone.variables, "optimizer": optimizer.variables, "random": _random_states(clone)}
    saved = read_header(run_dir.checkpoints) if resume else None
    state = RunState(**saved) if saved else RunState()
    if saved:
        restore_state(run_dir.checkpoints, groups)
    begin_run(run_dir, recipe, splits, provenance or {})  # only now: what is refused above leaves no run behind
    called = tf_keras.callbacks.CallbackList(list(callbacks), model=clone)
    called.on_train_begin()

    train_ds = train_batches(recipe, splits, state.epoch, recipe.epochs)
    val_ds = None
    if not recipe.data.train_on_validation:
        val_ds = make_eval_dataset(splits.validation, splits.num_classes, validation_batch)
    batches = iter(train_ds)
    for epoch in range(state.epoch, recipe.epochs):
        started = time.perf_counter()
        learning_rate = float(schedule(optimizer.iterations))
        try:
            logs, waited = _train_epoch(clone, batches, steps, epoch, recipe.epochs, relabel, callbacks)
        except DivergedError as error:
            raise explain(error, recipe, splits, run_dir, resumable=False) from None
        trained = time.perf_counter()
        called.on_epoch_end(epoch)
        validation = {"loss": math.nan, "accuracy": math.nan}
        if val_ds is not None:
            validation = clone.evaluate(val_ds, verbose=0, return_dict=True)
        row = {"epoch": epoch + 1, "phase": PHASE, "learning_rate": learning_rate,
               "loss": float(logs["loss"]), "accuracy": float(logs["accuracy"]),
               "val_loss": float(validation["loss"]), "val_accuracy": float(validation["accuracy"])}  # fmt: skip
        best_before = max((each["val_accuracy"] for each in state.history[first_kept - 1 :]), default=-1.0)
        if epoch + 1 >= first_kept and (val_ds is None or float(validation["accuracy"]) > best_before):
            save()
        state.history.append(row)
        write_csv(run_dir.history, state.history)
        seconds = {"train": trained - started, "data_wait": waited, "all": time.perf_counter() - started}
        state.seconds.append(seconds)
        save_state(run_dir.checkpoints, epoch + 1, groups, asdict(state))
        _print_epoch(row, recipe.epochs, steps * recipe.batch_size / seconds["train"], seconds["all"])
    return summarize(state, first_kept)


def make_legacy_optimizer(recipe: Recipe, learning_rate: float | Callable) -> tf_keras.optimizers.Optimizer:
    """The recipe's optimizer in tf_keras, with its decoupled weight decay, which spares biases and normalization."""
    config = recipe.optimizer
    check(config.name != "muon", "optimizer.name", "sgd, adam or adamw, which tf_keras has", config.name)
    common = {"weight_decay": config.weight_decay or None, "global_clipnorm": config.clip_norm}
    if config.name == "sgd":
        optimizer = tf_keras.optimizers.SGD(learning_rate, momentum=config.momentum, nesterov=True, **common)
    else:
        optimizer = tf_keras.optimizers.Adam(learning_rate, **common)
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer


def with_restorable_dropout(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
    """A dropout layer as one whose random numbers a checkpoint can hold; any other layer as it is.

    A `clone_function` of `tf_keras.models.clone_model`, for models that are to be fine-tuned.
    """
    if isinstance(layer, tf_keras.layers.Dropout):
        return type(layer).from_config(layer.get_config() | {"rng_type": "stateful"})
    return layer


def _random_states(model: tf_keras.Model) -> list:
    dropouts = [layer for layer in model.layers if isinstance(layer, tf_keras.layers.Dropout)]
    generators = [layer._random_generator._generator for layer in dropouts]  # which `model.variables` leaves out
    return [generator.state for generator in generators if generator is not None]


def _train_epoch(
    clone: tf_keras.Model,
    batches: Iterator,
    steps: int,
    epoch: int,
    epochs: int,
    relabel: Callable | None,
    callbacks: tuple[tf_keras.callbacks.Callback, ...],
) -> tuple[dict, float]:
    """Mean loss and accuracy of an epoch's steps, and the seconds that it waited for data.

    Raises:
        DivergedError: at the first step whose loss is not finite, or if the last one leaves such weights.
    """
    waited, description = 0.0, f"epoch {epoch + 1}/{epochs}"
    clone.reset_metrics()
    for step in tqdm(range(steps), desc=description, unit="step", leave=False, disable=not sys.stderr.isatty()):
        started = time.perf_counter()
        images, labels = next(batches)
        waited += time.perf_counter() - started
        if relabel is not None:
            labels = relabel(images, labels)
        logs = clone.train_on_batch(images, labels, reset_metrics=False, return_dict=True)
        for each in callbacks:
            each.on_train_batch_end(step)
        if not math.isfinite(logs["loss"]):
            raise DivergedError(epoch, step, float(logs["loss"]), float(clone.optimizer.learning_rate))
    if not all_finite(clone.trainable_variables):
        raise DivergedError(epoch, None, float(logs["loss"]), float(clone.optimizer.learning_rate))
    return logs, waited


def _print_epoch(row: dict, epochs: int, images_per_second: float, seconds: float) -> None:
    validation = f"val_loss {row['val_loss']:.4f}  val_accuracy {row['val_accuracy']:.4f}  "
    print(
        f"epoch {row['epoch']}/{epochs} {PHASE:9}  loss {row['loss']:.4f}  accuracy {row['accuracy']:.4f}  "
        f"{'' if math.isnan(row['val_loss']) else validation}{images_per_second:.0f} images/s  "
        f"{(epochs - row['epoch']) * seconds / 60:.0f} min left",
        flush=True,
    )
