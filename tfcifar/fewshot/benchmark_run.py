"""Train and judge every method on every data set of a benchmark, from where it was interrupted."""

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
from tfcifar.fewshot.episodes import EpisodeSampler
from tfcifar.fewshot.judge import accuracies
from tfcifar.fewshot.meta_train import LEARNER, meta_train
from tfcifar.fewshot.methods import Method, method_class
from tfcifar.fewshot.pretrain import pretrain
from tfcifar.fewshot.settings import FewShot
from tfcifar.models.saved import load_model
from tfcifar.run_dir import RunDir, read_json

TEST_SEED = 20170309  # of the episodes that judge; another than any seed of training


@dataclass(frozen=True)
class Judged:
    """A method on a data set with so many shots.

    accuracies: float64 [episodes], on the same episodes for all methods. training_seconds: behind the network that it
    starts from; learn_seconds: to learn one episode.
    """

    data: str
    ways: int
    shots: int
    method: str
    accuracies: np.ndarray
    training_seconds: float
    learn_seconds: float


def run_benchmark(settings: FewShot, data_dir: str | None, output: Path) -> list[Judged]:
    """Everything that `settings` asks for; `output` keeps what is done.

    Raises:
        InputError: a data set that cannot be had, or with too few classes or images; or `output` holds another
            benchmark.
    """
    found = []
    for each in settings.data:
        dataset, _, text = each.rpartition("@")
        split = split_by_class(open_source(dataset, data_dir, settings.image_size), text, settings.split_seed)
        folder = output / slug(each)
        samplers = {shots: _test_sampler(split, settings, shots) for shots in settings.shots}  # fails before training
        print(f"{each}: {len(split.train.examples):,} images of {len(split.train.class_names)} meta-train classes; "
              f"meta-test classes {', '.join(split.test.class_names)} -> {folder}", flush=True)  # fmt: skip
        for name in settings.methods:
            method, seconds, digest = _trained(name, each, split, settings, folder)
            for shots, sampler in samplers.items():
                path = folder / "episodes" / f"{name}-{sampler.ways}way-{shots}shot.npz"
                values, learn = _judge(method, sampler, settings.episodes, digest, path)
                found.append(Judged(each, sampler.ways, shots, name, values, seconds, learn))
                print(f"{each}: {name}, {shots} shots: {values.mean():.4f}", flush=True)
    return found


def _test_sampler(split: ClassSplit, settings: FewShot, shots: int) -> EpisodeSampler:
    ways = min(settings.ways, len(split.test.class_names))
    return EpisodeSampler(split.test, ways, shots, settings.queries, TEST_SEED)


def _trained(name: str, data: str, split: ClassSplit, settings: FewShot, folder: Path) -> tuple[Method, float, str]:
    """A method ready to learn, the seconds of training behind it, and a digest of what it starts from."""
    if name in META_LEARNED:
        method = meta_train(name, data, split, settings, folder / name)
        return method, read_json(folder / name / LEARNER)["seconds"], model_digest(RunDir(folder / name))
    run_dir = pretrain(data, split, settings, folder / "pretrain")
    seconds = read_json(run_dir.timing)["seconds"]
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
