"""Train what a recipe describes into a run directory; continue where an interrupted run stopped."""

import dataclasses

import keras
import tensorflow as tf

from pipelines.datasets import make_eval_dataset, make_train_dataset, steps_per_epoch
from pipelines.errors import InputError
from pipelines.splits import Splits
from tfcifar.environment import describe_environment
from tfcifar.models import MODELS, build_model
from tfcifar.recipe import Recipe, load_json
from tfcifar.run_dir import RunDir, write_json, write_text
from tfcifar.training.callbacks import EndOfEpoch, Progress, should_stop_early, state_variables
from tfcifar.training.checkpoint import read_header, restore_variables
from tfcifar.training.optimizers import make_optimizer
from tfcifar.training.phases import Phase, phases_of
from tfcifar.training.precision import choose_precision, gpu_capability
from tfcifar.training.trainable import TrainableModel
from tfcifar.training.weight_average import WeightAverage


def train(recipe: Recipe, splits: Splits, run_dir: RunDir, resume: bool = False) -> dict:
    """Run all phases of `recipe`; `run_dir` receives everything, `model.keras` is the best by validation accuracy.

    Args:
        resume: continue the run that `run_dir` holds, from its last whole epoch. The batches, learning rates
            and random numbers are those of an undisturbed run, so with `recipe.deterministic` on the same
            hardware the final weights are the same too.

    Returns:
        JSON-ready summary: best epoch, validation accuracy, seconds, share of time spent waiting for data.

    Raises:
        InputError: `run_dir` is taken and `resume` is off, or it holds another recipe, or a damaged checkpoint.
    """
    _open_run_dir(recipe, splits, run_dir, resume)
    keras.utils.set_random_seed(recipe.seed)
    if recipe.deterministic:
        tf.config.experimental.enable_op_determinism()
    capability = gpu_capability()
    keras.mixed_precision.set_global_policy(choose_precision(recipe.mixed_precision, recipe.model.name, capability))

    model = build_model(recipe.model, splits.image_shape, splits.num_classes, splits.mean, splits.std)
    decay = recipe.optimizer.ema_decay
    average = WeightAverage(model.weights, decay) if decay else None
    # On a CPU the input chain augments while the last step still computes; a GPU does it in the step itself.
    device_augment = recipe.augment if capability is not None else None
    trainable = TrainableModel.wrap(model, device_augment, average)

    header = read_header(run_dir.checkpoints) if resume else None
    header = header or {"epoch": 0, "history": [], "seconds": [], "data_wait": [], "phase": None}
    for phase in phases_of(recipe):
        if header["epoch"] < phase.last_epoch or phase.name == header["phase"]:
            _run_phase(recipe, phase, splits, run_dir, model, trainable, header)
    summary = _summarize(header)
    write_json(run_dir.timing, summary)
    return summary


def _open_run_dir(recipe: Recipe, splits: Splits, run_dir: RunDir, resume: bool) -> None:
    if run_dir.recipe.exists():
        if not resume:
            raise InputError(
                f"run directory: {run_dir.path} already holds a run. Pass --resume to continue it, or another --run-dir."
            )
        before = dataclasses.asdict(load_json(run_dir.recipe))
        different = [name for name, value in dataclasses.asdict(recipe).items() if value != before[name]]
        if different:
            raise InputError(
                f"--resume: {run_dir.path} was started with another recipe; different: {', '.join(different)}. "
                "Give the same options, or another --run-dir."
            )
        return
    write_json(
        run_dir.environment,
        describe_environment() | {"data": {"source": splits.source.name} | splits.checksums},
    )
    write_text(run_dir.recipe, recipe.to_json())


def _run_phase(recipe: Recipe, phase: Phase, splits: Splits, run_dir: RunDir, model, trainable, header: dict) -> None:
    """Train the epochs of `phase` that `header` has not seen; append to its lists."""
    if MODELS[recipe.model.name].pretrained:
        from tfcifar.models.transfer import set_trainable_share

        set_trainable_share(model, phase.trainable_share)
    steps = steps_per_epoch(splits.train, recipe.batch_size)
    optimizer = make_optimizer(recipe, phase, steps)
    integer_labels = recipe.labels == "integer"
    loss = keras.losses.SparseCategoricalCrossentropy if integer_labels else keras.losses.CategoricalCrossentropy
    # jit_compile: XLA is 2 to 5 times slower than the CPU's own kernels; on a GPU Keras decides.
    trainable.compile(
        optimizer,
        loss(from_logits=True),
        metrics=["accuracy"],
        jit_compile="auto" if trainable.device_augment else False,
    )
    optimizer.build(trainable.trainable_variables)
    if phase.name == header["phase"]:
        restore_variables(run_dir.checkpoints, state_variables(trainable))
    first_epoch = max(phase.first_epoch, header["epoch"])
    stopped = should_stop_early(header["history"], recipe.early_stopping_patience)
    if first_epoch == phase.last_epoch or stopped:
        return

    train_ds = make_train_dataset(
        splits.train, splits.num_classes, recipe.augment, recipe.batch_size, recipe.seed, first_epoch, phase.last_epoch,
        integer_labels, augment_on_device=trainable.device_augment is not None,
    )  # fmt: skip
    val_ds = make_eval_dataset(splits.validation, splits.num_classes, integer_labels=integer_labels)
    total_epochs = phases_of(recipe)[-1].last_epoch
    callbacks = [
        EndOfEpoch(run_dir, phase, model, val_ds, header["history"], header["seconds"],
                   choose_best=not recipe.data.train_on_validation, patience=recipe.early_stopping_patience,
                   data_wait=header["data_wait"]),
        Progress(steps, recipe.batch_size, total_epochs, phase),
        keras.callbacks.TensorBoard(str(run_dir.tensorboard), write_graph=False),
    ]  # fmt: skip
    trainable.fit(
        train_ds,
        initial_epoch=first_epoch,
        epochs=phase.last_epoch,
        steps_per_epoch=steps,
        callbacks=callbacks,
        shuffle=False,  # `train_ds` shuffles
        verbose=0,
    )
    header["epoch"], header["phase"] = len(header["history"]), None


def _summarize(header: dict) -> dict:
    history, seconds = header["history"], header["seconds"]
    best = max(history, key=lambda row: row["val_accuracy"])
    return {
        "epochs": len(history),
        "best_epoch": best["epoch"],
        "val_accuracy": best["val_accuracy"],
        "seconds": round(sum(epoch["all"] for epoch in seconds), 1),
        "data_wait_share": round(sum(header["data_wait"]) / sum(epoch["train"] for epoch in seconds), 4),
    }
