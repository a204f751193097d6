"""Judge a trained run on the test split, once and on the record."""

import hashlib
import json
from datetime import UTC, datetime

import numpy as np

from pipelines.datasets import make_eval_dataset
from pipelines.splits import make_splits, open_test_split
from tfcifar.evaluation.calibration import reliability_bins
from tfcifar.evaluation.metrics import classification_metrics, softmax
from tfcifar.models.complexity import count_macs
from tfcifar.models.saved import load_model
from tfcifar.recipe import load_json
from tfcifar.reporting import figures
from tfcifar.run_dir import RunDir, read_history, read_json, write_csv, write_json, write_whole
from tfcifar.runs import open_recipe_source
from tfcifar.training.trainer import check_same_data


def evaluate_run(run_dir: RunDir) -> dict:
    """Write metrics.json, per_class.csv, predictions.npz and figures of the run's model.

    The test split is opened only where the run has no predictions of this very model yet, and every opening is
    a line of test_openings.jsonl.

    Returns:
        The content of metrics.json: `classification_metrics` on the test split, with run, model and data named.

    Raises:
        InputError: the data is not what the run was trained on.
    """
    recipe = load_json(run_dir.recipe)
    source, data = open_recipe_source(recipe.data)
    splits = make_splits(source, data.validation_fraction, data.split_seed, data.train_on_validation)
    check_same_data(run_dir, splits)
    model = load_model(run_dir.model)
    digest = hashlib.sha256(run_dir.model.read_bytes()).hexdigest()

    predictions = _recorded_predictions(run_dir, digest)
    if predictions is None:
        test, checksum = open_test_split(source)
        _record_opening(run_dir, digest, checksum)
        predictions = {
            "model": np.array(digest),
            "validation_logits": model.predict(make_eval_dataset(splits.validation, splits.num_classes), verbose=0),
            "validation_labels": splits.validation.labels,
            "test_logits": model.predict(make_eval_dataset(test, splits.num_classes), verbose=0),
            "test_labels": test.labels,
        }
        _plot_mistakes(run_dir, predictions, test.images, splits.class_names)
        write_whole(run_dir.predictions, lambda path: np.savez(path, **predictions))

    validation = classification_metrics(
        predictions["validation_logits"], predictions["validation_labels"], splits.class_names
    )
    metrics = {
        "run": run_dir.name,
        "dataset": source.name,
        "split": "test",
        "model": recipe.model.name,
        "parameters": model.count_params(),
        "macs": count_macs(model),
        "train_seconds": read_json(run_dir.timing)["seconds"],
        "validation_accuracy": validation["accuracy"],
        **classification_metrics(predictions["test_logits"], predictions["test_labels"], splits.class_names),
    }
    write_json(run_dir.metrics, metrics)
    write_csv(run_dir.per_class, metrics["per_class"])
    _plot(run_dir, metrics, predictions)
    return metrics


def _recorded_predictions(run_dir: RunDir, digest: str) -> dict | None:
    if not run_dir.predictions.is_file():
        return None
    with np.load(run_dir.predictions, allow_pickle=False) as file:
        predictions = {name: file[name] for name in file.files}
    return predictions if str(predictions["model"]) == digest else None


def _record_opening(run_dir: RunDir, digest: str, test_checksum: str) -> None:
    opening = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "model_sha256": digest, "test": test_checksum}
    with run_dir.test_openings.open("a", encoding="utf-8") as file:
        file.write(json.dumps(opening) + "\n")


def _plot_mistakes(run_dir: RunDir, predictions: dict, images, class_names) -> None:
    probabilities = softmax(predictions["test_logits"])
    figures.plot_mistakes(
        images,
        predictions["test_labels"],
        probabilities.argmax(-1),
        probabilities.max(-1),
        class_names,
        run_dir.figures / "mistakes.png",
    )


def _plot(run_dir: RunDir, metrics: dict, predictions: dict) -> None:
    names = [row["name"] for row in metrics["per_class"]]
    probabilities = softmax(predictions["test_logits"])
    figures.plot_curves(read_history(run_dir.history), run_dir.figures / "curves.png")
    figures.plot_confusion(metrics["confusion"], names, run_dir.figures / "confusion_matrix.png")
    figures.plot_per_class(metrics["per_class"], run_dir.figures / "per_class.png")
    bins = reliability_bins(probabilities.max(-1), probabilities.argmax(-1) == predictions["test_labels"])
    figures.plot_reliability(bins, metrics["ece"], run_dir.figures / "reliability.png")
