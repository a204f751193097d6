"""The end of a run with stochastic weight averaging: the mean of the last epochs' weights becomes its model."""

import time

import keras

from pipelines.splits import Splits
from tfcifar.evaluation.tta import predict_logits
from tfcifar.models.multi_task import classifier_of
from tfcifar.recipe import Recipe
from tfcifar.run_dir import RunDir, write_whole
from tfcifar.training.batch_norm_statistics import recompute_statistics
from tfcifar.training.checkpoint import restore_state
from tfcifar.training.weight_average import EpochAverage


def save_epoch_average(
    average: EpochAverage, model: keras.Model, splits: Splits, run_dir: RunDir, recipe: Recipe, seconds: float
) -> dict:
    """Save the averaged weights, with BatchNorm statistics of their own, as the run's model.

    Args:
        seconds: that the run has taken so far.

    Returns:
        What it changes in the run's summary: no epoch is the best, and the validation accuracy is the average's.
    """
    started = time.perf_counter()
    # From the checkpoint, also where this process has trained: an interruption here and before changes nothing.
    restore_state(run_dir.checkpoints, {"epoch_average": average.variables})
    accuracy = None
    with average.applied():
        recompute_statistics(model, splits.train.images)
        write_whole(run_dir.model, lambda path: model.save(path), durable=True)
        if not recipe.data.train_on_validation:
            logits = predict_logits(classifier_of(model), splits.validation.images, "none")
            accuracy = float((logits.argmax(-1) == splits.validation.labels).mean())
    return {
        "best_epoch": None,
        "averaged_epochs": recipe.optimizer.swa_epochs,
        "val_accuracy": accuracy,
        "seconds": round(seconds + time.perf_counter() - started, 1),
    }
