"""What models say about training images that they have not seen: cross-validation with a run for each fold."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.folds import fold_of
from pipelines.sources import Examples
from pipelines.splits import Splits, training_pool
from tfcifar.arrays import read_cache, write_arrays
from tfcifar.evaluation.metrics import softmax
from tfcifar.evaluation.run_grid import train_unless_finished
from tfcifar.evaluation.tta import predict_logits
from tfcifar.models.saved import load_model
from tfcifar.recipe import Recipe
from tfcifar.recipe_data import open_splits
from tfcifar.run_dir import RunDir
from tfcifar.training.trainer import check_same_data


@dataclass(frozen=True)
class OutOfFold:
    """examples: the whole training pool; fold: int64 [n]; logits: float32 [n, k], by each fold's own model."""

    source: str
    class_names: tuple[str, ...]
    examples: Examples
    fold: np.ndarray
    logits: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """float32 [n, k]"""
        return softmax(self.logits).astype(np.float32)


def predict_out_of_fold(recipe: Recipe, folds: int, output: Path) -> OutOfFold:
    """Train `recipe` once for each fold, without it, into output/fold0 and so on; then predict the fold.

    What is held out is in no way seen by its model: if the recipe needs a validation split, that is a part of the
    other folds. Runs that are finished are not trained again. The test split stays closed. The predictions, with the
    recipe's test-time views, are kept in each run's held_out.npz, and all together in output/probabilities.npz.

    Raises:
        InputError: `output` holds runs of another recipe, of other data or with other folds.
    """
    held_out = []
    for index in range(folds):
        print(f"fold {index + 1} of {folds}", flush=True)
        data = dataclasses.replace(recipe.data, folds=folds, fold=index)
        fold_recipe = recipe.replace(name=f"{recipe.name}-fold{index}", data=data)
        run_dir = RunDir(output / f"fold{index}")
        train_unless_finished(fold_recipe, run_dir)
        splits, data = open_splits(fold_recipe.data)
        held_out.append(held_out_logits(run_dir, splits, recipe.tta))
    pool = training_pool(splits.source)
    fold = fold_of(pool.labels, folds, data.split_seed)
    logits = np.empty((len(pool), splits.num_classes), np.float32)
    for index, each in enumerate(held_out):
        logits[fold == index] = each
    result = OutOfFold(splits.source.name, splits.class_names, pool, fold, logits)
    arrays = {"probabilities": result.probabilities, "labels": pool.labels, "fold": fold}
    write_arrays(output / "probabilities.npz", arrays)
    return result


def held_out_logits(run_dir: RunDir, splits: Splits, views: str) -> np.ndarray:
    """What the run's model says about the fold that was held out, float32 [n, k]; kept in held_out.npz.

    Raises:
        InputError: the run was trained on other data, or on another fold's complement.
    """
    if splits.held_out is None:
        raise ValueError("splits: expected some with folds. Received: some without")
    check_same_data(run_dir, splits)
    kept = read_cache(run_dir.held_out)
    if kept is None:
        logits = predict_logits(load_model(run_dir.model), splits.held_out.images, views)
        kept = {"logits": logits}
        write_arrays(run_dir.held_out, kept)
    return kept["logits"]
