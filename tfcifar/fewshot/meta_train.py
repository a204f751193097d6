"""Meta-training: the weights, and rates, that make a few steps in an episode go far. Resumes by itself."""

import time
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from pipelines.errors import InputError
from pipelines.splits import checksum
from tfcifar.environment import describe_environment
from tfcifar.fewshot.class_split import ClassSplit
from tfcifar.fewshot.episodes import Episode, EpisodeSampler, training_sampler, validation_sampler
from tfcifar.fewshot.judge import accuracies
from tfcifar.fewshot.methods import method_class
from tfcifar.fewshot.methods.gradient import GradientMethod
from tfcifar.fewshot.pretrain import new_network
from tfcifar.fewshot.settings import FewShot
from tfcifar.models.saved import load_model
from tfcifar.run_dir import read_json, write_json, write_whole
from tfcifar.training.checkpoint import read_header, restore_state, save_state

LEARNER, MODEL = "learner.json", "model.keras"  # the learner is written last: it says that the folder is finished
FAILED = "failed.json"
TRAINING = ("split_seed", "widths", "ways", "queries", "iterations", "meta_batch", "train_shots", "inner_steps",
            "inner_rate", "reptile_rate", "outer_rate", "validation_every", "validation_episodes", "seed")  # fmt: skip


class NotFiniteError(InputError):
    """A loss of meta-training is no number. seconds: of training until then."""

    def __init__(self, message: str, seconds: float):
        super().__init__(message)
        self.seconds = seconds


def meta_train(name: str, dataset: str, split: ClassSplit, settings: FewShot, folder: Path) -> GradientMethod:
    """Meta-train the method `name` into `folder`, from where it was interrupted; what is finished is opened.

    With meta-validation classes the iteration with the best accuracy on their episodes is kept, else the last.

    Raises:
        InputError: `folder` holds a meta-training with other settings or data, or a damaged checkpoint.
        NotFiniteError: the loss is not finite, now or when it was tried before.
    """
    meaning = _meaning(name, dataset, split, settings)
    if (folder / FAILED).is_file():
        failed = read_json(folder / FAILED)
        _check_same(failed["meta_training"], meaning, folder)
        raise NotFiniteError(failed["reason"], failed["seconds"])
    if (folder / LEARNER).is_file():
        _check_same(read_json(folder / LEARNER)["meta_training"], meaning, folder)
        return open_learner(folder)
    model = new_network(split, settings)
    kind: type[GradientMethod] = method_class(name)
    rate = settings.inner_rate if kind.learns_rates else settings.reptile_rate
    method = kind(model, [rate] * len(model.trainable_variables), settings.inner_steps)
    sampler, validation = training_sampler(split, settings), validation_sampler(split, settings)
    optimizer = method.make_outer_optimizer(settings.iterations, settings.outer_rate)
    optimizer.build(method.meta_variables())
    best = [keras.Variable(each) for each in method.meta_variables()]
    groups = {"method": method.meta_variables(), "optimizer": optimizer.variables, "best": best}
    before = read_header(folder / "checkpoints")
    progress = before or {"meaning": meaning, "iteration": 0, "seconds": 0.0, "best_accuracy": -1.0, "history": []}
    if before:
        _check_same(before["meaning"], meaning, folder)
        restore_state(folder / "checkpoints", groups)
    step = _make_step(method, optimizer, sampler.ways)
    bar = tqdm(
        total=settings.iterations, initial=progress["iteration"], desc=f"{name}, {dataset}", leave=False, disable=None
    )
    while progress["iteration"] < settings.iterations:
        started = time.perf_counter()
        first = progress["iteration"]
        last = min(first + settings.validation_every, settings.iterations)
        losses = []
        for iteration in range(first, last):
            losses.append(float(step(*_batch(sampler, iteration, settings.meta_batch))))
            bar.update()
        if not np.isfinite(losses).all():
            bar.close()
            reason = f"{name}: the loss is not finite after {last} iterations; try a smaller inner_rate."
            seconds = round(progress["seconds"] + time.perf_counter() - started, 1)
            write_json(folder / FAILED, {"reason": reason, "seconds": seconds, "meta_training": meaning})
            raise NotFiniteError(reason, seconds)
        accuracy = (
            None
            if validation is None
            else float(accuracies(method, validation, settings.validation_episodes)[0].mean())
        )
        if accuracy is None or accuracy > progress["best_accuracy"]:
            for keep, value in zip(best, method.meta_variables(), strict=True):
                keep.assign(value)
            progress["best_accuracy"] = -1.0 if accuracy is None else accuracy
        row = {"iteration": last, "loss": round(float(np.mean(losses)), 5), "validation_accuracy": accuracy}
        progress["history"].append(row)
        progress |= {"iteration": last, "seconds": progress["seconds"] + time.perf_counter() - started}
        save_state(folder / "checkpoints", last, groups, progress)
        shown = "" if accuracy is None else f"  validation {accuracy:.4f}"
        print(f"{name}, {dataset}: iteration {last}/{settings.iterations}  loss {row['loss']:.4f}{shown}", flush=True)
    bar.close()
    for variable, value in zip(method.meta_variables(), best, strict=True):
        variable.assign(value)
    _save_learner(method, meaning, progress, folder)
    return method


def open_learner(folder: Path) -> GradientMethod:
    """What `meta_train` has left in `folder`. Raises InputError if it has not, or not all of it."""
    if not (folder / LEARNER).is_file():
        raise InputError(f"{folder}: expected a finished meta-training, with {LEARNER}, received none.")
    learner = read_json(folder / LEARNER)
    return method_class(learner["method"])(load_model(folder / MODEL), learner["rates"], learner["steps"])


def _make_step(method: GradientMethod, optimizer: keras.optimizers.Optimizer, ways: int) -> Callable:
    """Compiled: a batch of episodes -> mean loss; changes the method's variables."""
    variables = method.meta_variables()
    gradients_of_task = [tf.TensorSpec(each.shape) for each in variables]

    @tf.function(reduce_retracing=True)
    def step(*episodes):
        # One episode after the other, each in a graph that is made once; several at a time where there are cores.
        gradients, losses = tf.map_fn(
            lambda task: method.task_gradients(task, ways),
            episodes,
            fn_output_signature=(gradients_of_task, tf.TensorSpec([])),
            parallel_iterations=4,
        )
        optimizer.apply([tf.reduce_mean(each, 0) for each in gradients], variables)
        return tf.reduce_mean(losses)

    return step


def _batch(sampler: EpisodeSampler, iteration: int, size: int) -> tuple:
    """Episodes of an iteration, stacked; a pure function of its number, so that a resumed run sees the same."""
    drawn = [sampler.draw(iteration * size + place) for place in range(size)]
    return tuple(tf.constant(np.stack([getattr(each, part.name) for each in drawn])) for part in fields(Episode))


def _meaning(name: str, dataset: str, split: ClassSplit, settings: FewShot) -> dict:
    """All that decides the result, to tell one meta-training from another."""
    parts = {part: list(each.class_names) for part, each in
             (("train", split.train), ("validation", split.validation)) if each}  # fmt: skip
    kept = {key: value for key, value in asdict(settings).items() if key in TRAINING}
    kept["widths"] = list(kept["widths"])
    return {"method": name, "data": dataset, "classes": parts, "images": checksum(split.train.examples), **kept}


def _check_same(before: dict, now: dict, folder: Path) -> None:
    different = [key for key, value in now.items() if before.get(key) != value]
    if different:
        raise InputError(f"{folder} holds another meta-training; different: {', '.join(different)}. "
                         "Give the same options, or another --output.")  # fmt: skip


def _save_learner(method: GradientMethod, meaning: dict, progress: dict, folder: Path) -> None:
    write_whole(folder / MODEL, lambda path: method.model.save(path))
    learner = {
        "method": method.name,
        "steps": method.steps,
        "rates": method.rates,
        "meta_training": meaning,
        "seconds": round(progress["seconds"], 1),
        "history": progress["history"],
        "environment": describe_environment(),
    }
    write_json(folder / LEARNER, learner)
