"""Let a trained run predict, with dropout and without, its own images and foreign ones; keep what it gave."""

import hashlib
from pathlib import Path

import keras
import numpy as np

from pipelines.errors import InputError
from pipelines.sources import Examples
from pipelines.splits import Splits
from tfcifar.evaluation.metrics import softmax
from tfcifar.evaluation.openings import model_digest, open_test_on_record
from tfcifar.models.features import features_and_logits, with_features
from tfcifar.models.saved import load_model
from tfcifar.recipe_data import open_splits
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir
from tfcifar.training.trainer import check_same_data
from tfcifar.uncertainty import MC_DROPOUT, SINGLE
from tfcifar.uncertainty.detectors import TrainingFeatures, fit_features, foreign_scores
from tfcifar.uncertainty.foreign_images import COUNT, GENERATED, OWN, folder_images, generated_images
from tfcifar.uncertainty.mc_dropout import dropout_rates, sample_probabilities, sampling_rates, with_active_dropout
from tfcifar.uncertainty.outputs import Outputs, judge, load_outputs, save_outputs


def measure_run(
    run_dir: RunDir,
    split: str = "validation",
    samples: int = 30,
    dropout: float | None = None,
    folders: dict[str, Path] | None = None,
    fitted: int | None = None,
    seed: int = 0,
) -> Outputs:
    """The outputs of the run's model, kept in uncertainty/outputs_SPLIT.npz and read from there the next time.

    "test" opens the test split, on the record, unless outputs of this very model and these settings are there. It
    takes the validation images along, to choose thresholds by, where the run was not trained on them.

    Args:
        split: "validation" or "test".
        samples: passes with dropout; 0: none of it.
        dropout: rate of Dropout layers that were trained at 0.
        folders: of foreign images, by name.
        fitted: training images, drawn by `seed`, whose features Mahalanobis and kNN know; None: all.
        seed: of the masks too.

    Raises:
        InputError: the run was trained on the validation images and is to be judged by them, no dropout to sample,
            or the data is not what the run was trained on.
    """
    check_split([run_dir], split)
    splits, data = open_splits(load_json(run_dir.recipe).data)
    check_same_data(run_dir, splits)
    model = load_model(run_dir.model)
    digest = model_digest(run_dir)
    brought = {name: folder_images(folder, *model.input_shape[1:3]) for name, folder in (folders or {}).items()}
    settings = {
        "model_sha256": digest,
        "dataset": splits.source.name,
        "split": split,
        "samples": samples,
        "trained_dropout": dropout_rates(model),
        "dropout": sampling_rates(model, dropout, run_dir.name) if samples else {},
        "fitted": min(fitted or len(splits.train), len(splits.train)),
        "seed": seed,
        "foreign": _foreign_kinds(splits, brought),
        "folders": {name: hashlib.sha256(images.data).hexdigest() for name, images in brought.items()},
    }
    path = run_dir.uncertainty / f"outputs_{split}.npz"
    known = load_outputs(path)
    if known and known.settings == settings:
        return known
    examples = {}
    if not data.train_on_validation:
        examples["validation"] = splits.validation
    if split == "test":
        test, _ = open_test_on_record(run_dir, splits.source, digest, "none", "uncertainty")
        examples["test"] = test
    outputs = _compute(model, splits.train, examples, brought, settings)
    save_outputs(outputs, path)
    return outputs


def check_split(run_dirs: list[RunDir], split: str) -> None:
    """Raises InputError where a run is to be judged by images that it was trained on."""
    for run_dir in run_dirs:
        if split == "validation" and load_json(run_dir.recipe).data.train_on_validation:
            raise InputError(
                f"--split: expected test, received validation; {run_dir.name} was trained on the validation images, on "
                "which it makes fewer mistakes than on others."
            )


def _foreign_kinds(splits: Splits, brought: dict[str, np.ndarray]) -> dict[str, int]:
    """The kinds of foreign images and how many of each; none that the network was made for."""
    generated = [name for name in GENERATED if splits.source.name.split(":")[0] != name]
    return dict.fromkeys(generated, COUNT) | {name: len(images) for name, images in brought.items()}


def _compute(
    model: keras.Model, train: Examples, examples: dict[str, Examples], brought: dict[str, np.ndarray], settings: dict
) -> Outputs:
    looking = with_features(model)
    own, foreign, judged = settings["split"], {}, {}
    training = _fit(looking, train, settings["fitted"], settings["seed"])
    for split, each in examples.items():
        features, logits = features_and_logits(looking, each.images, f"{split} images")
        judged[split] = {SINGLE: judge(softmax(logits)[None], each.labels)}
        if split == own:
            foreign[OWN] = foreign_scores(features, logits, training)
    for name, count in settings["foreign"].items():
        images = brought[name] if name in brought else generated_images(name, count, *model.input_shape[1:3])
        outputs = features_and_logits(looking, images, f"{name} images")
        foreign[name] = foreign_scores(*outputs, training)
    if settings["samples"]:
        sampler = with_active_dropout(model, settings["dropout"], settings["seed"])
        for split, each in examples.items():
            description = f"{split} images, {settings['samples']} passes"
            sampled = sample_probabilities(sampler, each.images, settings["samples"], description)
            judged[split][MC_DROPOUT] = judge(sampled, each.labels)
    labels = {split: each.labels for split, each in examples.items()}
    return Outputs(settings, labels, judged, foreign)


def _fit(looking: keras.Model, train: Examples, count: int, seed: int) -> TrainingFeatures:
    drawn = np.sort(np.random.default_rng(seed).permutation(len(train))[:count])
    images = train.images if count == len(train) else train.images[drawn]
    features, _ = features_and_logits(looking, images, "training images")
    return fit_features(features, train.labels[drawn])
