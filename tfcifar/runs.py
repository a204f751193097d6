"""One run from its recipe to its test result: data, training, evaluation, in this order."""

import argparse
import dataclasses
from contextlib import nullcontext
from pathlib import Path

from tfcifar import recipes
from tfcifar.models import MODELS
from tfcifar.overrides import override
from tfcifar.recipe import Model, Recipe, SmallImages, Transfer
from tfcifar.recipe_data import open_splits
from tfcifar.run_dir import RunDir
from tfcifar.run_lock import locked
from tfcifar.training.devices import ONE, Devices
from tfcifar.training.precision import gpu_capability

FEW_STEPS = 200  # over all epochs; fewer are worth a note
ADAM_RATIO = 0.02  # of Adam beside Muon, for a network whose own is not known


def recipe_from_arguments(args: argparse.Namespace) -> Recipe:
    """The recipe that `tfcifar.train`'s arguments describe; prints the preset where it was chosen here."""
    name, preset = args.recipe or f"level_{args.level}", args.preset
    if preset is None and not name.endswith(".json"):
        preset = "gpu" if gpu_capability() is not None else "cpu"
        print(f"preset: {preset} (by the hardware seen; --preset changes it)", flush=True)
    recipe = recipes.load(name, preset)
    if args.model:
        recipe = with_model(recipe, args.model)
    if args.attention:
        model = dataclasses.replace(recipe.model, attention=args.attention)
        recipe = recipe.replace(name=f"{recipe.name}-{args.attention}", model=model)
    if args.weights:
        weights = None if args.weights == "none" else args.weights
        recipe = recipe.replace(model=dataclasses.replace(recipe.model, weights=weights))
    if args.teacher:
        recipe = recipe.replace(distill=dataclasses.replace(recipe.distill, teachers=tuple(args.teacher)))
    if args.dataset:
        recipe = recipe.replace(data=dataclasses.replace(recipe.data, dataset=args.dataset, fallback=None))
    if args.data_dir:
        # Whoever names the folder wants what is in there, not the demo's generated images.
        recipe = recipe.replace(data=dataclasses.replace(recipe.data, data_dir=args.data_dir, fallback=None))
    if args.deterministic:
        recipe = recipe.replace(deterministic=True)
    return override(recipe, args.set)


def with_model(recipe: Recipe, name: str) -> Recipe:
    """`recipe` with another model.

    ImageNet weights and transfer phases only where it has a backbone; sizes of images only where both have or lack one.
    Beside Muon, an architecture of another kind has Adam: the rates of SGD are made for one head.
    """
    if name == recipe.model.name:
        return recipe
    pretrained = MODELS[name].pretrained
    alike = pretrained == MODELS[recipe.model.name].pretrained
    image_size, small_images = (recipe.model.image_size, recipe.small_images) if alike else (None, SmallImages())
    model = Model(name, "imagenet" if pretrained else None, image_size, dropout=recipe.model.dropout)
    transfer = recipe.transfer if pretrained else Transfer()
    optimizer = recipe.optimizer
    if optimizer.name == "muon" and MODELS[name].module != MODELS[recipe.model.name].module:
        optimizer = dataclasses.replace(optimizer, adam_ratio=optimizer.adam_ratio or ADAM_RATIO)
    return recipe.replace(
        name=f"{recipe.name}-{name}", model=model, transfer=transfer, small_images=small_images, optimizer=optimizer
    )


def run_recipe(
    recipe: Recipe, run_dir: Path, resume: bool = False, evaluate: bool = True, devices: Devices = ONE
) -> None:
    """Train `recipe` into `run_dir` on `devices`; then, if asked, open the test split and print the result table.

    Of several workers the chief evaluates.

    Raises:
        InputError: among much else, another process is at work in `run_dir`.
    """
    with locked(run_dir) if devices.chief else nullcontext():  # the other workers write elsewhere
        _train_and_evaluate(recipe, run_dir, resume, evaluate, devices)


def _train_and_evaluate(recipe: Recipe, run_dir: Path, resume: bool, evaluate: bool, devices: Devices) -> None:
    from tfcifar.training.distillation import teacher_folders
    from tfcifar.training.trainer import train

    if evaluate:
        import tfcifar.evaluation.evaluate_run  # noqa: F401 - what is broken should fail before hours of training

    teacher_folders(recipe)  # what is not there should be named before images are read
    splits, data = open_splits(recipe.data)
    recipe = recipe.replace(data=data)
    print(
        f"{recipe.name}: {recipe.model.name} on {splits.source.name}, {len(splits.train):,} training and "
        f"{len(splits.validation):,} validation images of {splits.num_classes} classes, "
        f"seed {recipe.seed} -> {run_dir}",
        flush=True,
    )
    steps = len(splits.train) // recipe.batch_size
    if 0 < recipe.epochs * steps < FEW_STEPS:
        print(
            f"NOTE: {recipe.epochs} epochs of {steps} batches are little to learn from: "
            "more epochs (--set epochs=N) or smaller batches (--set batch_size=N) may do better.",
            flush=True,
        )
    with devices.losses_of_workers():
        summary = train(recipe, splits, RunDir(run_dir), resume, None, devices)
    print(
        f"trained {summary['epochs']} epochs in {summary['seconds'] / 60:.1f} min; waited for data "
        f"{summary['data_wait_share']:.1%} of the training time; {_validation(summary)}",
        flush=True,
    )
    if evaluate and devices.chief:
        evaluate_and_print(RunDir(run_dir))
    with devices.losses_of_workers():
        devices.wait()


def evaluate_and_print(run_dir: RunDir, tta: str | None = None) -> None:
    """Evaluate one run, with the views `tta` or the recipe's own, and print its short result table."""
    from tfcifar.evaluation.evaluate_run import evaluate_run
    from tfcifar.reporting.tables import result_table

    metrics = evaluate_run(run_dir, tta)
    print(result_table(metrics))
    print(f"figures: {run_dir.figures}/", flush=True)


def _validation(summary: dict) -> str:
    if summary["val_accuracy"] is None:
        return "no validation: it trained on those images too"
    if "averaged_epochs" in summary:
        epochs = summary["averaged_epochs"]
        return f"validation accuracy {summary['val_accuracy']:.4f} of the weights averaged over {epochs} epochs"
    return f"best validation accuracy {summary['val_accuracy']:.4f} in epoch {summary['best_epoch']}"
