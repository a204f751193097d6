"""From a trained run to the near-duplicates between test and training and within training. Remembers its search."""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from pipelines.sources import Examples
from pipelines.splits import training_pool
from tfcifar.arrays import read_cache, write_arrays
from tfcifar.data_quality.duplicate_report import TEST_TRAIN, TRAIN_TRAIN, write_duplicates
from tfcifar.data_quality.near_duplicates import Described, describe, find_pairs
from tfcifar.environment import record_command
from tfcifar.evaluation.openings import model_digest, open_test_on_record
from tfcifar.models.features import features_and_logits, with_features
from tfcifar.models.saved import load_model
from tfcifar.recipe_data import open_splits
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir, read_json, write_json
from tfcifar.training.trainer import check_same_data


@dataclass(frozen=True)
class Duplicates:
    """What a search has found.

    lines: in words.
    test_labels: int64 [n]; duplicated: bool [n], whether the test image has a near-duplicate in training.
    """

    lines: list[str]
    test_labels: np.ndarray
    duplicated: np.ndarray


def search_duplicates(run_dir: RunDir, output: Path, threshold: float, shown: int) -> Duplicates:
    """Write duplicates.csv, duplicates.json, duplicates.npz and the page into `output`.

    Training means all images that may be trained on: of training and validation. The test split is opened on the
    record, and not again where `output` holds this very search.

    Args:
        run_dir: whose model gives the features.
        threshold: see `find_pairs`.
        shown: how many pairs of each kind the page shows; the table has all.

    Raises:
        InputError: the data is not what the run was trained on.
    """
    digest = model_digest(run_dir)
    search = {"model": digest, "threshold": threshold, "shown": shown}
    record, arrays = output / "duplicates.json", output / "duplicates.npz"
    kept = read_cache(arrays)
    if kept is None or not record.is_file() or read_json(record)["search"] != search:
        splits, _ = open_splits(load_json(run_dir.recipe).data)
        check_same_data(run_dir, splits)
        model, training = with_features(load_model(run_dir.model)), training_pool(splits.source)
        test, _ = open_test_on_record(run_dir, splits.source, digest, "none", "near-duplicates")
        seen = _described(model, training, "training images")
        unseen = _described(model, test, "test images")
        found = {
            TEST_TRAIN: find_pairs(unseen, seen, threshold, "of test images"),
            TRAIN_TRAIN: find_pairs(seen, None, threshold, "within training"),
        }
        duplicated = np.zeros(len(test), bool)
        duplicated[found[TEST_TRAIN].first] = True
        record.unlink(missing_ok=True)  # of another search: until this one is whole there is none
        kept = {"test_labels": test.labels, "duplicated": duplicated}
        write_arrays(arrays, kept)
        summary = write_duplicates(found, test, training, splits.source.name, splits.class_names, shown, output)
        write_json(record, {"search": search} | summary)  # last: it says that the search is whole
        record_command(output)
    return Duplicates(read_json(record)["lines"], kept["test_labels"], kept["duplicated"])


def _described(model: keras.Model, examples: Examples, what: str) -> Described:
    features, _ = features_and_logits(model, examples.images, f"features of {what}")
    return describe(examples.images, features)
