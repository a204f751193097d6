"""One model of the weights of several: the mean of runs of one architecture, all of them or those that help.

Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time", arXiv:2203.05482. The runs must have begun with the same pretrained weights: from random ones each
finds its own solution, and what lies between two solutions is none.
"""

import dataclasses
import os

import keras
import numpy as np
from tqdm import tqdm

from pipelines.errors import InputError
from pipelines.splits import Splits
from tfcifar.environment import describe_environment
from tfcifar.evaluation.compute import pflop_behind
from tfcifar.evaluation.openings import model_digest
from tfcifar.evaluation.statistics import compare
from tfcifar.evaluation.tta import predict_logits
from tfcifar.models.complexity import count_macs
from tfcifar.models.multi_task import classifier_of
from tfcifar.models.saved import load_model
from tfcifar.recipe import Recipe
from tfcifar.recipe_data import open_splits
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir, read_json, write_json, write_text, write_whole
from tfcifar.training.batch_norm_statistics import recompute_statistics
from tfcifar.training.trainer import check_same_data


class Kitchen:
    """The runs' weights, and one model that holds their mean.

    model: takes the mean of some of them, see `mix`. correct: bool [validation images], of the last mix; None where
    the runs were trained on these images.
    """

    def __init__(self, run_dirs: list[RunDir], splits: Splits, validates: bool):
        self.splits, self.validates = splits, validates
        models = [load_model(run_dir.model, all_heads=True) for run_dir in run_dirs]
        self.model = models[0]
        shapes = [[(weight.name, tuple(weight.shape)) for weight in model.weights] for model in models]
        for run_dir, each in zip(run_dirs, shapes, strict=True):
            if each != shapes[0]:
                raise InputError(f"soup: {run_dir.name} has other weights than {run_dirs[0].name}; expected the same.")
        self.weights = [model.get_weights() for model in models]

    def mix(self, ingredients: list[int]) -> np.ndarray | None:
        """Give the model the mean weights of these runs, and BatchNorm statistics of its own; return `correct`.

        Where all of them are the same, there is nothing to mix, and the model is theirs to the last bit.
        """
        first, *others = (self.weights[index] for index in ingredients)
        self.model.set_weights(
            [np.mean(each, axis=0, dtype=np.float64) for each in zip(first, *others, strict=True)] if others else first
        )
        if any(not np.array_equal(a, b) for other in others for a, b in zip(first, other, strict=True)):
            recompute_statistics(self.model, self.splits.train.images)
        if not self.validates:
            return None
        validation = self.splits.validation
        logits = predict_logits(classifier_of(self.model), validation.images, "none")
        return logits.argmax(-1) == validation.labels


def make_soup(run_dirs: list[RunDir], output: RunDir, greedy: bool) -> dict:
    """Write the soup of finished runs as a run of its own, ready for evaluation; without history or checkpoints.

    Args:
        greedy: from the best run on, by validation accuracy, add each next one and leave it out again if the soup is
            worse for it. False: the mean of all.

    Returns:
        `members`: rows of `name`, `validation_accuracy` and `in_soup`; `validation_accuracy` of the soup (None, like
        theirs, for runs that were trained on the validation images); and `against_best`: `compare` with the best
        member on these images; None without them, and for a greedy soup, which was chosen by them.

    Raises:
        InputError: one run alone, other architectures or data, `greedy` without a validation split, `output` is taken.
    """
    if len(run_dirs) < 2:
        raise InputError(f"soup: expected at least 2 runs, received {len(run_dirs)}.")
    if output.recipe.is_file() or output.ensemble.is_file():
        raise InputError(f"--output: {output.path} already holds a run; expected another folder.")
    recipes = [load_json(run_dir.recipe) for run_dir in run_dirs]
    for run_dir, recipe in zip(run_dirs, recipes, strict=True):
        if _architecture(recipe) != _architecture(recipes[0]):
            raise InputError(
                f"soup: expected runs of one architecture, received {_architecture(recipes[0])} ({run_dirs[0].name}) "
                f"and {_architecture(recipe)} ({run_dir.name})."
            )
    splits, data = open_splits(recipes[0].data)
    for run_dir in run_dirs:
        check_same_data(run_dir, splits)
    if greedy and data.train_on_validation:
        raise InputError(
            "--greedy: the runs were trained on the validation images, by which runs are chosen; "
            "expected runs that were not (data.train_on_validation off)."
        )

    kitchen = Kitchen(run_dirs, splits, validates=not data.train_on_validation)
    alone = [kitchen.mix([index]) for index in range(len(run_dirs))]
    judged = [each for each in alone if each is not None]  # of all, or of none
    chosen = _greedy(kitchen, judged) if greedy else list(range(len(run_dirs)))
    correct = kitchen.mix(chosen)
    accuracies = [None if each is None else float(each.mean()) for each in (*alone, correct)]
    members = [
        {"name": run_dir.name, "validation_accuracy": accuracy, "in_soup": index in chosen}
        for index, (run_dir, accuracy) in enumerate(zip(run_dirs, accuracies[:-1], strict=True))
    ]
    used = [run_dirs[index] for index in chosen]
    provenance = {
        "kind": "greedy" if greedy else "uniform",
        "members": [
            row | {"run_dir": os.path.relpath(run_dir.path, output.path), "model": model_digest(run_dir)}
            for row, run_dir in zip(members, run_dirs, strict=True)
        ],
    }
    _write(output, kitchen.model, recipes[0], used, splits, provenance, accuracies[-1])
    best = max(judged, key=np.mean, default=None)
    return {
        "members": members,
        "validation_accuracy": accuracies[-1],
        "against_best": None if best is None or correct is None or greedy else compare(correct, best),
    }


def _architecture(recipe: Recipe) -> str:
    """All that decides what the weights stand for; equal shapes are not enough: a backbone has them at every size."""
    model = dataclasses.asdict(recipe.model)
    decisive = {name: model[name] for name in ("widths", "image_size", "alpha", "attention")}
    named = [f"{name} {value}" for name, value in (decisive | {"groups": recipe.multi_task.groups}).items() if value]
    return ", ".join([recipe.model.name, *named])


def _greedy(kitchen: Kitchen, alone: list[np.ndarray]) -> list[int]:
    """The ingredients of the greedy soup (Wortsman et al., recipe 1), best first."""
    order = sorted(range(len(alone)), key=lambda index: -alone[index].mean())
    chosen, accuracy = order[:1], alone[order[0]].mean()
    for index in tqdm(order[1:], desc="greedy soup", unit="run", disable=None):
        correct = kitchen.mix([*chosen, index])
        assert correct is not None  # no greedy soup without a validation split
        if correct.mean() >= accuracy:
            chosen, accuracy = [*chosen, index], correct.mean()
    return chosen


def _write(
    output: RunDir,
    model: keras.Model,
    recipe: Recipe,
    used: list[RunDir],
    splits: Splits,
    provenance: dict,
    accuracy: float | None,
) -> None:
    """The files of a run. Its costs are the sums of the runs that are in it; timing.json comes last, as in training."""
    timings = [read_json(run_dir.timing) for run_dir in used]
    environments = [read_json(run_dir.environment) for run_dir in used]
    seconds, macs = sum(each["seconds"] for each in timings), count_macs(classifier_of(model))
    write_text(output.recipe, recipe.to_json())
    environment = describe_environment() | {
        "hardware": "; ".join(dict.fromkeys(each["hardware"] for each in environments)),
        "data": environments[0]["data"],
        "soup": provenance,
    }
    write_json(output.environment, environment)
    write_whole(output.model, lambda path: model.save(path), durable=True)
    timing = {
        "epochs": sum(each["epochs"] for each in timings),
        "best_epoch": None,
        "val_accuracy": accuracy,
        "seconds": round(seconds, 1),
        "data_wait_share": round(sum(each["data_wait_share"] * each["seconds"] for each in timings) / seconds, 4),
        "pflop": sum(
            pflop_behind(each, load_json(run_dir.recipe), splits, macs)
            for run_dir, each in zip(used, timings, strict=True)
        ),
    }
    write_json(output.timing, timing)
