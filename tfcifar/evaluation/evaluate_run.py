"""Judge a finished run on the test split, every opening of it on record in test_openings.jsonl."""

from collections.abc import Sequence

import keras
import numpy as np

from pipelines.disk_images import Images
from pipelines.errors import unknown
from pipelines.splits import Splits
from tfcifar.arrays import read_cache, write_arrays
from tfcifar.environment import record_command
from tfcifar.evaluation.calibration import reliability_bins
from tfcifar.evaluation.compute import pflop_behind
from tfcifar.evaluation.metrics import classification_metrics, softmax
from tfcifar.evaluation.openings import model_digest, open_test_on_record
from tfcifar.evaluation.tta import predict_logits
from tfcifar.models.complexity import count_macs
from tfcifar.models.multi_task import GROUPS, classifier_of, has_groups, parse_groups
from tfcifar.models.saved import load_model
from tfcifar.recipe import TTA_VIEWS, Recipe
from tfcifar.recipe_data import open_splits
from tfcifar.recipe_json import load_json
from tfcifar.reporting import figures
from tfcifar.reporting.reliability import plot_reliability
from tfcifar.run_dir import RunDir, read_history, read_json, write_csv, write_json
from tfcifar.training.trainer import check_same_data


def evaluate_run(run_dir: RunDir, tta: str | None = None) -> dict:
    """Write metrics.json, per_class.csv, predictions.npz and figures of the run's model.

    The test split is opened only where the run has no predictions of this very model and these views yet, and
    every opening is a line of test_openings.jsonl.

    Args:
        tta: one of TTA_VIEWS; None: the recipe's own. The plain figures are the same with any of them.

    Returns:
        The content of metrics.json: `classification_metrics` on the test split, with run, model and data named,
        `pflop` (see `training_pflop`) and, unless the views are "none", `tta`: views, accuracy, accuracy_ci95, nll
        (nats), ece and validation_accuracy of the logits averaged over these views; with a group head also `groups`:
        names and accuracy, of the head and of the classes' probabilities added up.

    Raises:
        InputError: the data is not what the run was trained on, or no such views.
    """
    recipe = load_json(run_dir.recipe)
    views = recipe.tta if tta is None else tta
    if views not in TTA_VIEWS:
        raise unknown("tta", views, TTA_VIEWS)
    splits, data = open_splits(recipe.data)
    check_same_data(run_dir, splits)
    heads = load_model(run_dir.model, all_heads=True)
    model = classifier_of(heads)
    digest = model_digest(run_dir)

    predictions = _recorded_predictions(run_dir, digest)
    if predictions is not None and data.train_on_validation:  # from before such runs went without
        predictions = {name: each for name, each in predictions.items() if not name.startswith("validation")}
    if predictions is None or views not in ("none", str(predictions.get("tta", "none"))):
        predictions = _open_test_and_predict(
            run_dir, splits, data.train_on_validation, heads, digest, views, predictions or {}
        )

    timing, macs = read_json(run_dir.timing), count_macs(model)
    metrics = {
        "run": run_dir.name,
        "dataset": splits.source.name,
        "split": "test",
        "model": recipe.model.name,
        "parameters": model.count_params(),
        "macs": macs,
        "train_seconds": timing["seconds"],
        "pflop": pflop_behind(timing, recipe, splits, macs),
        "validation_accuracy": _validation_accuracy(predictions, "", splits.class_names),
        **({} if views == "none" else {"tta": _tta_metrics(predictions, views, splits.class_names)}),
        **_judge(predictions, "test", "", splits.class_names),
        **_group_metrics(recipe, predictions, splits.class_names),
    }
    write_json(run_dir.metrics, metrics)
    record_command(run_dir.path)
    write_csv(run_dir.per_class, metrics["per_class"])
    _plot(run_dir, metrics, predictions)
    return metrics


def _judge(predictions: dict, split: str, suffix: str, class_names: Sequence[str]) -> dict:
    """The metrics of one split's plain logits (suffix "") or averaged ones ("_tta")."""
    return classification_metrics(predictions[f"{split}_logits{suffix}"], predictions[f"{split}_labels"], class_names)


def _tta_metrics(predictions: dict, views: str, class_names: Sequence[str]) -> dict:
    test = _judge(predictions, "test", "_tta", class_names)
    return {
        "views": views,
        "accuracy": test["accuracy"],
        "accuracy_ci95": test["accuracy_ci95"],
        "nll": test["loss"],
        "ece": test["ece"],
        "validation_accuracy": _validation_accuracy(predictions, "_tta", class_names),
    }


def _group_metrics(recipe: Recipe, predictions: dict, class_names: Sequence[str]) -> dict:
    """Of a run with a group head: its accuracy, and that of the classes' probabilities added up by group."""
    if not recipe.multi_task.groups:
        return {}
    names, matrix = parse_groups(recipe.multi_task.groups, class_names)
    labels = matrix[predictions["test_labels"]].argmax(-1)
    by_classes = (softmax(predictions["test_logits"]) @ matrix).argmax(-1)
    by_head = predictions["test_group_logits"].argmax(-1)
    accuracies = {name: float(np.mean(found == labels)) for name, found in (("head", by_head), ("classes", by_classes))}
    return {"groups": {"names": names, "accuracy": accuracies}}


def _validation_accuracy(predictions: dict, suffix: str, class_names: Sequence[str]) -> float | None:
    """None where the run was trained on the validation images."""
    if f"validation_logits{suffix}" not in predictions:
        return None
    return _judge(predictions, "validation", suffix, class_names)["accuracy"]


def _open_test_and_predict(
    run_dir: RunDir,
    splits: Splits,
    trained_on_validation: bool,
    heads: keras.Model,
    digest: str,
    views: str,
    recorded: dict,
) -> dict:
    """Open the test split, on the record, and write predictions.npz; plain logits in `recorded` stay as they are."""
    test, _ = open_test_on_record(run_dir, splits.source, digest, views, "evaluation")
    model = classifier_of(heads)
    examples = {"test": test}
    if not trained_on_validation:
        examples["validation"] = splits.validation

    def logits(suffix: str, view: str) -> dict:
        return {f"{split}_logits{suffix}": predict_logits(model, each.images, view) for split, each in examples.items()}

    predictions = dict(recorded)
    if not recorded:
        labels = {f"{split}_labels": each.labels for split, each in examples.items()}
        predictions = {"model": np.array(digest), **labels, **logits("", "none")}
        if has_groups(heads):
            group_head = keras.Model(heads.input, heads.output[GROUPS])
            predictions["test_group_logits"] = predict_logits(group_head, test.images, "none")
        _plot_mistakes(run_dir, predictions, test.images, splits.class_names)
    if views != "none":
        predictions |= {"tta": np.array(views), **logits("_tta", views)}
    write_arrays(run_dir.predictions, predictions)
    return predictions


def _recorded_predictions(run_dir: RunDir, digest: str) -> dict | None:
    predictions = read_cache(run_dir.predictions)
    return predictions if predictions is not None and str(predictions["model"]) == digest else None


def _plot_mistakes(run_dir: RunDir, predictions: dict, images: Images, class_names: Sequence[str]) -> None:
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
    if run_dir.history.is_file():  # a soup has none
        figures.plot_curves(read_history(run_dir.history), run_dir.figures / "curves.png")
    figures.plot_confusion(metrics["confusion"], names, run_dir.figures / "confusion_matrix.png")
    figures.plot_per_class(metrics["per_class"], run_dir.figures / "per_class.png")
    bins = reliability_bins(probabilities.max(-1), probabilities.argmax(-1) == predictions["test_labels"])
    plot_reliability(bins, metrics["ece"], run_dir.figures / "reliability.png")
