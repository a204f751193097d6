"""A pruned run: what is left of a trained network, fine-tuned, as a run directory like any other."""

import dataclasses
import gzip
from functools import partial

import keras
import numpy as np

from export.channel_graph import trace_channels
from export.channel_pruning import prune_channels
from export.derived_run import open_source
from export.pruning_config import PATTERNS, Pruning, fine_tuning_recipe
from pipelines.splits import Splits
from tfcifar.evaluation.openings import model_digest
from tfcifar.evaluation.tta import predict_logits
from tfcifar.models.complexity import count_macs
from tfcifar.models.saved import load_model
from tfcifar.recipe import Recipe
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir, read_json, write_json, write_whole
from tfcifar.training.batch_norm_statistics import recompute_statistics
from tfcifar.training.devices import ONE, Devices
from tfcifar.training.start import Start
from tfcifar.training.trainer import train


def prune_run(
    source: RunDir,
    output: RunDir,
    pruning: Pruning,
    epochs: int,
    learning_rate: float | None = None,
    resume: bool = False,
    devices: Devices = ONE,
) -> dict:
    """Write a finished run, pruned and fine-tuned, as a run of its own, ready for evaluation.

    The test split stays closed. The entry "pruned" of environment.json holds what this returns.

    Args:
        learning_rate: see `fine_tuning_recipe`.
        resume: continue what an interruption has left in `output`, from its last whole epoch.
        devices: on which a network with fewer channels is fine-tuned; of one process.

    Returns:
        What was done to what (`source`, `model_sha256`, `Pruning.settings`), and `reached`: `sparsity`, and
        `describe_size` of the model `before`, `after`, and of channels also when they were `removed`.

    Raises:
        InputError: `output` is taken; other data than the source's; a layer that cannot be pruned or followed.
    """
    recipe = fine_tuning_recipe(load_json(source.recipe), pruning, epochs, learning_rate)
    asked = {"source": source.name, "model_sha256": model_digest(source), **pruning.settings()}
    model, recipe, splits = open_source(source, output, "pruned", asked, recipe, resume)
    start = Start.behind(source, splits, model, {"pruned": asked})
    prune = partial(_prune_channels, devices=devices) if pruning.method == "channels" else _prune_magnitude
    found: dict = prune(model, recipe, splits, output, pruning, start, resume)
    # Now, from the file: what cannot be pruned should fail at once, and `model` has changed.
    reached = {"before": describe_size(load_model(source.model), recipe, splits), **found}
    environment = read_json(output.environment)
    environment["pruned"] = asked | {"reached": reached}
    write_json(output.environment, environment)
    return environment["pruned"]


def _prune_channels(
    model: keras.Model,
    recipe: Recipe,
    splits: Splits,
    output: RunDir,
    pruning: Pruning,
    start: Start,
    resume: bool,
    devices: Devices,
) -> dict:
    graph = trace_channels(model)
    if not output.recipe.is_file():  # training writes it, and from then on goes on from this file
        images, labels, settings = splits.train.images, splits.train.labels, pruning.settings()
        small = prune_channels(model, graph, images, labels, pruning.sparsity, settings["score"], settings["scope"])
        recompute_statistics(small, images)  # those of the large network have parts of what was removed
        write_whole(output.start, lambda path: small.save(path))
    removed = load_model(output.start)
    sparsity = 1 - trace_channels(removed).removable / graph.removable
    reached = {"sparsity": sparsity, "removed": describe_size(removed, recipe, splits)}
    train(recipe, splits, output, resume, dataclasses.replace(start, model=output.start), devices)
    return reached | {"after": describe_size(load_model(output.model), recipe, splits)}


def _prune_magnitude(
    model: keras.Model, recipe: Recipe, splits: Splits, output: RunDir, pruning: Pruning, start: Start, resume: bool
) -> dict:
    from export.magnitude_pruning import prunable_layers, prune_magnitude, zero_share  # TF-MOT takes seconds

    names = prunable_layers(model)
    schedule, pattern = pruning.settings()["schedule"], PATTERNS[pruning.pattern] if pruning.pattern else None
    summary = prune_magnitude(
        model, recipe, splits, output, pruning.sparsity, schedule, pattern, start.provenance, resume=resume
    )
    pruned = load_model(output.model)
    after = describe_size(pruned, recipe, splits)
    # History has what the float32 clone reached; this is the model's own, in its own dtypes.
    summary["val_accuracy"] = after["validation_accuracy"]
    write_json(output.timing, start.with_costs(summary, recipe, splits, model))
    return {"sparsity": zero_share(pruned, names), "layers": names, "after": after}


def describe_size(model: keras.Model, recipe: Recipe, splits: Splits) -> dict:
    """JSON-ready: `parameters`, `nonzero`, `macs`, `bytes` and `gzip_bytes` of the weights, `validation_accuracy`.

    The accuracy is None where the recipe trains on the validation images.
    """
    weights = [np.asarray(weight) for weight in model.weights]
    content = b"".join(weight.tobytes() for weight in weights)
    accuracy = None
    if not recipe.data.train_on_validation:
        logits = predict_logits(model, splits.validation.images, "none")
        accuracy = float((logits.argmax(-1) == splits.validation.labels).mean())
    return {
        "parameters": model.count_params(),
        "nonzero": int(sum(np.count_nonzero(weight) for weight in weights)),
        "macs": count_macs(model),
        "bytes": len(content),
        "gzip_bytes": len(gzip.compress(content, mtime=0)),
        "validation_accuracy": accuracy,
    }
