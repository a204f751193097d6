"""Train a grid of recipes with several seeds, and judge every run on the validation split."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.errors import InputError
from pipelines.splits import Splits
from tfcifar.arrays import read_cache, write_arrays
from tfcifar.evaluation.tta import predict_logits
from tfcifar.models.saved import load_model
from tfcifar.recipe import Recipe
from tfcifar.recipe_data import open_splits
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir, read_json
from tfcifar.runs import run_recipe
from tfcifar.training.devices import ONE, Devices
from tfcifar.training.trainer import check_same_data


@dataclass(frozen=True)
class GridRow:
    """One recipe's runs. correct: bool [seeds, n], of the validation images; seconds: of training, by seed."""

    name: str
    seeds: list[int]
    correct: np.ndarray
    seconds: list[float]
    run_dirs: list[RunDir]


def run_grid(grid: dict[str, Recipe], seeds: list[int], output: Path, devices: Devices = ONE) -> list[GridRow]:
    """Train each recipe of `grid` with each seed into `output`, seed by seed, on `devices`, and judge it on one.

    Seed by seed, so that after a third of the time there is a whole table with n = 1. What is trained already stays.
    Of several workers the chief judges; the others receive no rows.

    Raises:
        InputError: a recipe that trains on the validation split, or a run directory that holds another recipe.
    """
    for name, recipe in grid.items():
        if recipe.data.train_on_validation:
            raise InputError(f"ablation: {name} trains on the validation split, by which the rows are judged.")
    run_dirs = {name: [RunDir(output / f"{slug(name)}-seed{seed}") for seed in seeds] for name in grid}
    for index, seed in enumerate(seeds):
        for name, recipe in grid.items():
            train_unless_finished(recipe.replace(seed=seed, name=slug(name)), run_dirs[name][index], devices)
    if not devices.chief:
        return []
    splits, _ = open_splits(next(iter(grid.values())).data)
    return [
        GridRow(
            name,
            seeds,
            np.stack([validation_correct(run_dir, splits) for run_dir in run_dirs[name]]),
            [read_json(run_dir.timing)["seconds"] for run_dir in run_dirs[name]],
            run_dirs[name],
        )
        for name in grid
    ]


def train_unless_finished(recipe: Recipe, run_dir: RunDir, devices: Devices = ONE) -> None:
    """Train `recipe` into `run_dir`, from where it was interrupted; what is trained to its end stays as it is.

    Raises:
        InputError: it holds a finished run of another recipe, whose figures would stand under a wrong name.
    """
    if not run_dir.timing.is_file():
        run_recipe(recipe, run_dir.path, resume=True, evaluate=False, devices=devices)
    elif load_json(run_dir.recipe).replace(data=recipe.data) != recipe:  # of the data: see `check_same_data`
        raise InputError(f"{run_dir.path} holds a finished run of another recipe; give another --output.")


def validation_correct(run_dir: RunDir, splits: Splits) -> np.ndarray:
    """Whether the run's model is right on each validation image, bool [n]; kept in validation.npz."""
    check_same_data(run_dir, splits)
    kept = read_cache(run_dir.validation)
    if kept is None:
        logits = predict_logits(load_model(run_dir.model), splits.validation.images, "none")
        kept = {"logits": logits}
        write_arrays(run_dir.validation, kept)
    return kept["logits"].argmax(-1) == splits.validation.labels


def slug(name: str) -> str:
    """A row's name as part of a file name: "all - flip/crop" -> "all_minus_flip_crop".

    >>> slug("+ CutMix")
    'plus_cutmix'
    """
    words = name.lower().replace("+", " plus ").replace(" - ", " minus ")
    return re.sub(r"[^a-z0-9]+", "_", words).strip("_")
