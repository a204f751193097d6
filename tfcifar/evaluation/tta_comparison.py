"""Which test-time views are worth their cost for a run: all of them on its validation split."""

import time

from tqdm import tqdm

from pipelines.errors import InputError
from tfcifar.evaluation.metrics import classification_metrics
from tfcifar.evaluation.statistics import comparison_columns
from tfcifar.evaluation.tta import VIEWS, predict_logits
from tfcifar.models.feature_maps import images_to_predict
from tfcifar.models.saved import load_model
from tfcifar.recipe_data import open_splits
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir, write_csv
from tfcifar.training.trainer import check_same_data


def compare_views(run_dir: RunDir) -> list[dict]:
    """Predict the validation images with each of VIEWS, and write tta.csv. The test split stays closed.

    Returns:
        A row for each choice of views: `run`, `views`, `passes` (of the network over the images), `seconds` (of all,
        measured here), `n`, `accuracy`, `low`, `high` (its 95% interval), `nll` (nats), `ece`, and of the comparison
        with "none" on the same images `difference`, `difference_low`, `difference_high`, `p_value`, `verdict`.

    Raises:
        InputError: the run was trained on the validation images, or on other data.
    """
    splits, data = open_splits(load_json(run_dir.recipe).data)
    check_same_data(run_dir, splits)
    if data.train_on_validation:
        raise InputError(
            f"--compare-tta: {run_dir.path} was trained on the validation images, by which views are compared; "
            "expected a run that was not (data.train_on_validation off)."
        )
    model, images, labels = load_model(run_dir.model), splits.validation.images, splits.validation.labels
    # What is traced and allocated at the first call is no view's cost; a last, smaller batch is traced once more.
    batch_size = images_to_predict(model)
    predict_logits(model, images[-(batch_size + len(images) % batch_size) :], "none")
    rows, plain = [], None
    for views in tqdm(VIEWS, desc=f"views of {run_dir.name}", unit="choice", disable=None):
        started = time.perf_counter()
        logits = predict_logits(model, images, views)
        seconds = time.perf_counter() - started
        found, right = classification_metrics(logits, labels, splits.class_names), logits.argmax(-1) == labels
        low, high = found["accuracy_ci95"]
        rows.append(
            {
                "run": run_dir.name,
                "views": views,
                "passes": len(VIEWS[views]),
                "seconds": round(seconds, 2),
                "n": found["n"],
                "accuracy": found["accuracy"],
                "low": low,
                "high": high,
                "nll": found["loss"],
                "ece": found["ece"],
                **comparison_columns(right, plain),
            }
        )
        plain = right if plain is None else plain
    write_csv(run_dir.tta, rows)
    return rows
