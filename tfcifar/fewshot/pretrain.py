"""The network that all methods start from or are compared with, trained on meta-train classes only."""

import shutil
import time
from pathlib import Path

import keras

from pipelines.augment_config import Augment
from pipelines.datasets import steps_per_epoch
from pipelines.errors import InputError
from pipelines.sources import Examples, Source
from pipelines.splits import Splits, channel_statistics, checksum
from tfcifar.fewshot.class_split import ClassPart, ClassSplit
from tfcifar.fewshot.episodes import EpisodeSampler, validation_sampler
from tfcifar.fewshot.judge import accuracies
from tfcifar.fewshot.methods.prototype import Prototype
from tfcifar.fewshot.settings import FewShot
from tfcifar.models import build_model
from tfcifar.models.saved import load_model
from tfcifar.recipe import Data, Model, Optimizer, Recipe, Schedule
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir, read_json, write_json, write_whole
from tfcifar.training.trainer import check_same_data, train

CHOSEN = "chosen.json"


def pretrain(dataset: str, split: ClassSplit, settings: FewShot, folder: Path) -> RunDir:
    """Train an ordinary classifier of the meta-train classes, on all of their images; or go on with it.

    The episodes of meta-validation classes choose an epoch, as they choose an iteration of meta-training: of those
    after each quarter, the one with the best accuracy by class means. Without such classes the last is kept.

    Raises:
        InputError: `folder` holds another run.
    """
    splits = _splits(split.source, split.train)
    batch_size = min(settings.pretrain_batch, len(splits.train))
    epochs = max(2, round(settings.pretrain_steps / steps_per_epoch(splits.train, batch_size)))
    recipe = Recipe(
        name="pretrain",
        data=Data(dataset, train_on_validation=True),  # other classes choose: `_choose_epoch`
        model=Model("conv4", widths=settings.widths),
        augment=Augment(flip="random"),  # what the episodes of meta-training have too
        optimizer=Optimizer("adamw", learning_rate=settings.pretrain_rate, weight_decay=0.01),
        schedule=Schedule("cosine", warmup_epochs=min(1.0, epochs / 4)),
        mixed_precision="float32",
        epochs=epochs,
        batch_size=batch_size,
        seed=settings.seed,
    )
    run_dir = RunDir(folder)
    if not run_dir.timing.is_file():
        train(recipe, splits, run_dir, resume=True, callbacks=[_KeepEpochs(run_dir, epochs)])
    elif load_json(run_dir.recipe) != recipe:
        raise InputError(f"{folder} holds a finished run of another recipe; give another --output.")
    check_same_data(run_dir, splits)
    if (sampler := validation_sampler(split, settings)) is not None:
        _choose_epoch(run_dir, epochs, sampler, settings.validation_episodes)
    return run_dir


class _KeepEpochs(keras.callbacks.Callback):
    """Keeps the models after each quarter of the epochs but the last, each when the next epoch begins: then it is
    whole, and a run that was interrupted in between comes by again.
    """

    def __init__(self, run_dir: RunDir, epochs: int):
        super().__init__()
        self.run_dir, self.epochs = run_dir, epochs

    def on_epoch_begin(self, epoch, logs=None):
        if epoch in _quarters(self.epochs):
            _keep(self.run_dir, epoch)


def _quarters(epochs: int) -> list[int]:
    return sorted({max(1, round(epochs * part / 4)) for part in (1, 2, 3, 4)})


def _kept(run_dir: RunDir, epoch: int) -> Path:
    return run_dir.path / "epochs" / f"epoch_{epoch}.keras"


def _keep(run_dir: RunDir, epoch: int) -> None:
    path = _kept(run_dir, epoch)
    if not path.is_file():  # model.keras may be of the epoch after, where that was interrupted at its very end
        write_whole(path, lambda temporary: shutil.copyfile(run_dir.model, temporary))


def _choose_epoch(run_dir: RunDir, epochs: int, sampler: EpisodeSampler, episodes: int) -> None:
    """Make the best of the kept models that of the run; chosen.json says which and why."""
    asked = {"ways": sampler.ways, "shots": sampler.shots, "queries": sampler.queries, "seed": sampler.seed,
             "episodes": episodes}  # fmt: skip
    record = run_dir.path / CHOSEN
    if record.is_file() and read_json(record)["asked"] == asked:
        return
    started = time.perf_counter()
    _keep(run_dir, epochs)
    found = {}
    for epoch in _quarters(epochs):
        method = Prototype(load_model(_kept(run_dir, epoch)))
        found[epoch] = float(accuracies(method, sampler, episodes)[0].mean())
    best = max(found, key=lambda epoch: (found[epoch], epoch))
    write_whole(run_dir.model, lambda temporary: shutil.copyfile(_kept(run_dir, best), temporary))
    seconds = round(time.perf_counter() - started, 1)
    write_json(record, {"epoch": best, "validation_accuracy": found, "asked": asked, "seconds": seconds})


def new_network(split: ClassSplit, settings: FewShot) -> keras.Model:
    """The same network with fresh weights: where meta-training starts."""
    keras.utils.set_random_seed(settings.seed)
    mean, std = channel_statistics(split.train.examples.images)
    classes = len(split.train.class_names)
    return build_model(Model("conv4", widths=settings.widths), split.source.image_shape, classes, mean, std)


def _splits(source: Source, part: ClassPart) -> Splits:
    images, labels = part.examples.images, part.examples.labels
    inner = Source(f"{source.name} (meta-train)", part.class_names, source.image_shape, part.examples, None, None)
    nothing = Examples(images[:0], labels[:0])
    return Splits(inner, part.examples, nothing, {"train": checksum(part.examples)}, *channel_statistics(images))
