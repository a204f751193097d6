"""Train and judge every method on every data set of a benchmark, from where it was interrupted."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import InputError
from pipelines.sources import open_source
from tfcifar.arrays import read_cache, write_arrays
from tfcifar.evaluation.openings import model_digest
from tfcifar.evaluation.run_grid import slug
from tfcifar.fewshot import META_LEARNED
from tfcifar.fewshot.class_split import ClassSplit, split_by_class
from tfcifar.fewshot.episodes import EpisodeSampler, training_sampler, validation_sampler
from tfcifar.fewshot.judge import accuracies
from tfcifar.fewshot.meta_train import LEARNER, NotFiniteError, meta_train
from tfcifar.fewshot.methods import Method, method_class
from tfcifar.fewshot.pretrain import CHOSEN, pretrain
from tfcifar.fewshot.settings import FewShot
from tfcifar.models.saved import load_model
from tfcifar.run_dir import RunDir, read_json

TEST_SEED = 20170309  # of the episodes that judge; another than any seed of training


@dataclass(frozen=True)
class Pool:
    """What a draw of classes has given: how much there is to learn from, and the classes that judge."""

    train_classes: int
    train_images: int
    test_classes: tuple[str, ...]
    test_images: int  # of the smallest class


@dataclass(frozen=True)
class Judged:
    """A method on one draw of the classes of a data set with so many shots.

    accuracies: float64 [episodes], on the same episodes for all methods; None where its training has failed.
    training_seconds: behind the network that it starts from; learn_seconds: to learn one episode.
    """

    data: str
    draw: int
    pool: Pool
    ways: int
    shots: int
    method: str
    accuracies: np.ndarray | None
    training_seconds: float
    learn_seconds: float


def run_benchmark(settings: FewShot, data_dir: str | None, output: Path) -> list[Judged]:
    """Everything that `settings` asks for; `output` keeps what is done. A method whose loss is not finite has failed,
    and the others go on.

    Raises:
        InputError: a data set that cannot be had, or with too few classes or images; or `output` holds another
            benchmark.
    """
    open_once = functools.cache(lambda dataset: open_source(dataset, data_dir, settings.image_size))
    draws = [(data, draw) for data in settings.data for draw in range(settings.draws)]
    for data, draw in draws:  # fails before training
        split, drawn = _split(open_once, data, draw, settings)
        _test_samplers(split, drawn)
        training_sampler(split, drawn)
        validation_sampler(split, drawn)
    found = []
    for data, draw in draws:
        split, drawn = _split(open_once, data, draw, settings)
        found += _run_draw(data, draw, split, drawn, output / slug(data) / (f"draw{draw}" if draw else ""))
    return found


def _split(open_once: Callable, data: str, draw: int, settings: FewShot) -> tuple[ClassSplit, FewShot]:
    """A draw of classes, and the settings with its seeds."""
    drawn = settings.replace(split_seed=settings.split_seed + draw, seed=settings.seed + draw)
    dataset, _, text = data.rpartition("@")
    return split_by_class(open_once(dataset), text, drawn.split_seed), drawn


def _run_draw(data: str, draw: int, split: ClassSplit, settings: FewShot, folder: Path) -> list[Judged]:
    pool = pool_of(split)
    shown = f"{data}, draw {draw}" if draw else data
    print(f"{shown}: {pool.train_images:,} images of {pool.train_classes} meta-train classes; "
          f"meta-test classes {', '.join(pool.test_classes)} -> {folder}", flush=True)  # fmt: skip
    found = []
    for name in settings.methods:
        try:
            method, seconds, digest = _trained(name, data, split, settings, folder)
        except NotFiniteError as error:
            print(f"{shown}: {error}", flush=True)
            method, seconds, digest = None, error.seconds, ""
        for sampler in _test_samplers(split, settings):
            values, learn = None, 0.0
            if method is not None:
                path = folder / "episodes" / f"{name}-{sampler.ways}way-{sampler.shots}shot.npz"
                values, learn = _judge(method, sampler, settings.episodes, digest, path)
                print(f"{shown}: {name}, {sampler.shots} shots: {values.mean():.4f}", flush=True)
            found.append(Judged(data, draw, pool, sampler.ways, sampler.shots, name, values, seconds, learn))
    return found


def pool_of(split: ClassSplit) -> Pool:
    smallest = int(np.bincount(split.test.examples.labels).min())
    return Pool(len(split.train.class_names), len(split.train.examples), split.test.class_names, smallest)


def _test_samplers(split: ClassSplit, settings: FewShot) -> list[EpisodeSampler]:
    """One for each number of shots."""
    ways = min(settings.ways, len(split.test.class_names))
    return [EpisodeSampler(split.test, ways, shots, settings.queries, TEST_SEED) for shots in settings.shots]


def _trained(name: str, data: str, split: ClassSplit, settings: FewShot, folder: Path) -> tuple[Method, float, str]:
    """A method ready to learn, the seconds of training behind it, and a digest of what it starts from."""
    if name in META_LEARNED:
        method = meta_train(name, data, split, settings, folder / name)
        return method, read_json(folder / name / LEARNER)["seconds"], model_digest(RunDir(folder / name))
    run_dir = pretrain(data, split, settings, folder / "pretrain")
    seconds = read_json(run_dir.timing)["seconds"]
    if (run_dir.path / CHOSEN).is_file():
        seconds += read_json(run_dir.path / CHOSEN)["seconds"]
    return method_class(name)(load_model(run_dir.model)), seconds, model_digest(run_dir)


def _judge(method: Method, sampler: EpisodeSampler, episodes: int, digest: str, path: Path) -> tuple[np.ndarray, float]:
    """As `accuracies`; kept in `path`, with the digest of the model that it was measured with."""
    asked: dict[str, Any] = {"model": digest, "episodes": episodes, "queries": sampler.queries}
    if (kept := read_cache(path)) is not None:
        before = {key: kept[key].item() for key in asked}
        if before != asked:
            raise InputError(f"{path} was measured otherwise ({before}, now {asked}); give another --output.")
        return kept["accuracies"], float(kept["learn_seconds"])
    shown = f"{method.name}, {sampler.shots} shots"
    values, seconds = accuracies(method, sampler, episodes, shown)
    arrays = {"accuracies": values, "learn_seconds": seconds, **asked}
    write_arrays(path, {name: np.asarray(value) for name, value in arrays.items()})
    return values, seconds
