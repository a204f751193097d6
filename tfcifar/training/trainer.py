"""Train what a recipe describes into a run directory; continue where an interrupted run stopped."""

import dataclasses
import math
from collections.abc import Sequence
from functools import partial

import keras
import tensorflow as tf

from pipelines.datasets import make_eval_dataset, steps_per_epoch
from pipelines.errors import InputError
from pipelines.splits import Splits
from tfcifar.environment import describe_environment
from tfcifar.models import MODELS
from tfcifar.models.feature_maps import images_to_predict
from tfcifar.recipe import Recipe
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir, read_json, write_json, write_text
from tfcifar.training.callbacks import EndOfEpoch, Progress, ReduceOnPlateau, RunState, should_stop_early
from tfcifar.training.checkpoint import read_header, restore_state, state_variables
from tfcifar.training.devices import ONE, Devices
from tfcifar.training.distillation import Teachers, with_feature_projection
from tfcifar.training.distillation_targets import Targets, training_dataset
from tfcifar.training.divergence import DivergedError, StopIfDiverged, explain, go_on, may_go_on
from tfcifar.training.initial_model import initial_model
from tfcifar.training.objectives import training_objective, validation_objective
from tfcifar.training.optimizers import make_optimizer
from tfcifar.training.phases import HEAD, Phase, phases_of
from tfcifar.training.precision import choose_precision, gpu_capability
from tfcifar.training.start import Start
from tfcifar.training.swa import save_epoch_average
from tfcifar.training.trainable import TrainableModel
from tfcifar.training.weight_average import EpochAverage, WeightAverage


def train(
    recipe: Recipe,
    splits: Splits,
    run_dir: RunDir,
    resume: bool = False,
    start: Start | None = None,
    devices: Devices = ONE,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> dict:
    """Run all phases of `recipe`; `run_dir` receives everything, `model.keras` is the best by validation accuracy.

    With `data.train_on_validation` there is nothing left to choose by: `model.keras` is the last. With
    `optimizer.swa_epochs` it is the mean of the last epochs' weights.

    Args:
        resume: continue the run that `run_dir` holds, from its last whole epoch. The batches, learning rates
            and random numbers are those of an undisturbed run, so with `recipe.deterministic` on the same
            hardware the final weights are the same too.
        start: the model to train on, in place of the one that the recipe describes.
        devices: share each batch; of several processes, the chief alone writes to `run_dir`.
        callbacks: more of them, called after those that write to `run_dir`.

    Returns:
        JSON-ready summary: best epoch, validation accuracy, seconds, share of time spent waiting for data.

    Raises:
        InputError: `run_dir` is taken and `resume` is off, or it holds another recipe, or no checkpoint that is whole;
            or training diverged.
    """
    shared_run_dir, run_dir = run_dir, devices.own_run_dir(run_dir, resume)
    _check_run_dir(recipe, splits, run_dir, resume, start)
    steps_per_epoch(splits.train, recipe.batch_size)  # raises where there is not even one
    keras.utils.clear_session(free_memory=True)  # of the seed before, where one process trains several
    keras.utils.set_random_seed(recipe.seed)
    if recipe.deterministic:
        tf.config.experimental.enable_op_determinism()
    capability = gpu_capability()
    policy = choose_precision(recipe.mixed_precision, recipe.model.name, capability)
    devices.check(policy)
    keras.mixed_precision.set_global_policy(policy)

    model, groups = initial_model(recipe, splits, start, devices)
    decay = recipe.optimizer.ema_decay
    phases = phases_of(recipe)
    swa_epochs, epoch_average = recipe.optimizer.swa_epochs, None
    with devices.scope():
        average = WeightAverage(model.weights, decay) if decay else None
        if swa_epochs:
            epoch_average = EpochAverage(model.weights, phases[-1].last_epoch - swa_epochs)
    distills = bool(recipe.distill.teachers)
    # On a CPU the input chain augments while the last step still computes; a GPU does it in the step itself, unless
    # teachers have to see what the student sees.
    device_augment = recipe.augment if capability is not None and not distills else None
    integer_labels = recipe.labels == "integer"
    pretrained = MODELS[recipe.model.name].pretrained  # upscales its images, so that theirs is no limit
    small = recipe.small_images
    if small.epochs and not pretrained and small.image_size >= min(splits.image_shape[:2]):
        raise InputError(
            f"small_images.image_size: expected fewer pixels than the images have ({splits.image_shape[0]}x"
            f"{splits.image_shape[1]}), received {small.image_size}."
        )

    teachers = Teachers(recipe, splits) if distills and devices.chief else None
    # Only now: what is refused above leaves no run behind.
    go_on(run_dir, recipe)
    begin_run(run_dir, recipe, splits, devices.describe() | ({} if start is None else start.provenance))
    student, targets = model, None
    if distills:
        targets = Targets(recipe, splits, shared_run_dir.teachers)
        if teachers is not None:
            targets.compute(teachers)
        devices.agree({"teachers": recipe.distill.teachers})  # the other workers wait for what the chief computes
        if recipe.distill.feature_weight:
            with devices.scope():
                student = with_feature_projection(model, targets.width())
        teachers = None  # their weights are no longer needed
    saved = read_header(run_dir.checkpoints) if resume else None
    state = RunState(**saved) if saved else RunState()
    devices.agree({"recipe": recipe.to_json(), "data": splits.checksums, "number of epochs done": state.epoch})
    for phase in phases:
        if state.epoch < phase.last_epoch:
            with devices.scope():
                trainable = devices.model_class.wrap(
                    student, device_augment, average, integer_labels, phase.image_size, groups, epoch_average
                )
            try:
                _run_phase(recipe, phase, splits, run_dir, model, trainable, state, targets, devices, callbacks)
            except DivergedError as error:
                told = explain(error, recipe, splits, shared_run_dir, start is None, write=devices.chief)
                devices.wait()
                raise told from None
    summary = summarize(state)
    if epoch_average is not None:
        if run_dir.timing.is_file():  # the average is made; another would be a new model for evaluation
            return read_json(run_dir.timing)
        if pretrained:
            from tfcifar.models.transfer import set_trainable_share

            set_trainable_share(model, phases[-1].trainable_share)  # also where no epoch was left to train
        summary |= save_epoch_average(epoch_average, model, splits, run_dir, recipe, summary["seconds"])
    if start is not None:
        summary = start.with_costs(summary, recipe, splits, model)
    write_json(run_dir.timing, summary)
    return summary


def begin_run(run_dir: RunDir, recipe: Recipe, splits: Splits, provenance: dict) -> None:
    """Write recipe.json and environment.json, with the entries of `provenance`, unless they are there."""
    if not run_dir.recipe.exists():
        data = {"source": splits.source.name, "class_names": list(splits.class_names), **splits.checksums}
        write_json(run_dir.environment, describe_environment() | {"data": data} | provenance)
        write_text(run_dir.recipe, recipe.to_json())


def check_same_data(run_dir: RunDir, splits: Splits) -> None:
    """Raises InputError if `splits` are not those that the run was started with."""
    before = read_json(run_dir.environment)["data"]
    for name, checksum in splits.checksums.items():
        if before[name] != checksum:
            raise InputError(
                f"data: the {name} split is not the one that {run_dir.path} was started with; "
                f"expected {before[name]}, received {checksum}."
            )


def _check_run_dir(recipe: Recipe, splits: Splits, run_dir: RunDir, resume: bool, start: Start | None) -> None:
    """Raises InputError where `run_dir` holds a run that is not this one, or one that is not to be resumed."""
    if run_dir.recipe.exists():
        if not resume:
            raise InputError(
                f"run directory: {run_dir.path} already holds a run; --resume continues it, --run-dir takes another."
            )
        environment = read_json(run_dir.environment)
        if "soup" in environment:
            raise InputError(f"--resume: {run_dir.path} holds a soup of runs, not a run; give another --run-dir.")
        for made, command in (("pruned", "export.prune"), ("quantized", "export.quantize")):
            if made in environment and start is None:
                raise InputError(f"--resume: {run_dir.path} holds a {made} run, which {command} --resume continues.")
        before = dataclasses.asdict(load_json(run_dir.recipe))
        different = [name for name, value in dataclasses.asdict(recipe).items() if value != before[name]]
        if different and not may_go_on(run_dir, recipe):
            raise InputError(
                f"--resume: {run_dir.path} was started with another recipe; different: {', '.join(different)}. "
                f"Give the same options or another --run-dir, or move {run_dir.path} away."
            )
        check_same_data(run_dir, splits)


def _run_phase(
    recipe: Recipe,
    phase: Phase,
    splits: Splits,
    run_dir: RunDir,
    model: keras.Model,
    trainable: TrainableModel,
    state: RunState,
    targets: Targets | None,
    devices: Devices,
    more_callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Train the epochs of `phase` that `state` has not seen, and append them to it."""
    rates = None
    if MODELS[recipe.model.name].pretrained:
        from tfcifar.models.transfer import set_trainable_share
        from tfcifar.training.layerwise import rates_by_depth

        set_trainable_share(model, phase.trainable_share)
        if recipe.transfer.first_layer_rate < 1:
            rates = rates_by_depth(model, recipe.transfer.first_layer_rate)
    steps = steps_per_epoch(splits.train, recipe.batch_size)
    integer_labels = trainable.integer_labels
    with devices.scope():
        trainable.compile(make_optimizer(recipe, phase, steps, rates), **training_objective(recipe))
        validator = trainable
        if phase.image_size is not None or targets is not None:  # the model that is kept sees whole images, no teacher
            validator = devices.model_class.wrap(model, None, None, integer_labels, groups=trainable.groups)
            validator.compile(**validation_objective(recipe))
        trainable.optimizer.build(trainable.trainable_variables)  # compile may have wrapped it, for float16
    if state.epoch:
        # A phase starts with a fresh optimizer; a resumed one with the optimizer that it had.
        names = ["model", "average", "epoch_average"] + ["optimizer"] * (state.epoch > phase.first_epoch)
        restore_state(run_dir.checkpoints, {name: state_variables(trainable)[name] for name in names})
        if phase.name == HEAD:  # its rate is a variable; a run that diverged may go on with a lower one
            trainable.optimizer.learning_rate = recipe.transfer.head_learning_rate
    if should_stop_early(state.history, recipe.early_stopping_patience):
        return

    first_epoch = max(phase.first_epoch, state.epoch)
    on_device = trainable.device_augment is not None
    train_ds = devices.distributed(
        partial(training_dataset, recipe, splits, first_epoch, phase.last_epoch, on_device, targets)
    )
    val_ds = None
    if not recipe.data.train_on_validation:
        val_ds = devices.distributed(
            partial(
                make_eval_dataset,
                splits.validation,
                splits.num_classes,
                images_to_predict(model),
                integer_labels=integer_labels,
            )
        )
    callbacks = [
        StopIfDiverged(),
        EndOfEpoch(run_dir, phase, state, model, validator, val_ds, recipe.early_stopping_patience),
        Progress(steps, recipe.batch_size, phases_of(recipe)[-1].last_epoch, phase),
        keras.callbacks.TensorBoard(str(run_dir.tensorboard), write_graph=False),
        *more_callbacks,
    ]
    schedule = recipe.schedule
    if schedule.name == "plateau" and phase.name != HEAD:
        peak = recipe.optimizer.learning_rate
        callbacks.append(ReduceOnPlateau(phase, state, peak, schedule.plateau_patience, schedule.plateau_factor))
    trainable.fit(
        train_ds,
        initial_epoch=first_epoch,
        epochs=phase.last_epoch,
        steps_per_epoch=steps,
        callbacks=callbacks,
        shuffle=False,  # `train_ds` shuffles
        verbose=0,
    )


def summarize(state: RunState, first_epoch: int = 1) -> dict:
    """What timing.json says of a run; its model is the best of the epochs from `first_epoch` on."""
    validated = [row for row in state.history if row["epoch"] >= first_epoch and not math.isnan(row["val_accuracy"])]
    best = max(validated, key=lambda row: row["val_accuracy"], default={})
    total = {key: sum(epoch[key] for epoch in state.seconds) for key in ("train", "data_wait", "all")}
    return {
        "epochs": state.epoch,
        "best_epoch": best.get("epoch"),  # None, like its accuracy, without validation
        "val_accuracy": best.get("val_accuracy"),
        "seconds": round(total["all"], 1),
        "data_wait_share": round(total["data_wait"] / total["train"], 4),
    }
