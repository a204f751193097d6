"""Explain a trained run on its validation images: overlays for right and wrong predictions, and scores of methods."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from tfcifar.evaluation.metrics import softmax
from tfcifar.evaluation.openings import model_digest
from tfcifar.evaluation.tta import predict_logits
from tfcifar.explain.methods import explain
from tfcifar.explain.scores import deletion_insertion, rank_correlation, with_random_weights
from tfcifar.models.saved import load_model
from tfcifar.recipe_data import open_splits
from tfcifar.recipe_json import load_json
from tfcifar.reporting.explanations import plot_overlays
from tfcifar.run_dir import RunDir, read_json, write_csv, write_json
from tfcifar.training.trainer import check_same_data

RANDOM = "random"  # a map of noise: what a method must beat


def explain_run(
    run_dir: RunDir, methods: list[str], layer: str | None, shown: int, scored: int, seed: int = 0
) -> list[dict]:
    """Write explain/right.png, explain/wrong.png and explain/scores.csv into the run directory.

    The maps are for the predicted class. The test split stays closed.

    Args:
        methods: of METHODS.
        layer: for the Grad-CAMs, None: the last rectifier with at least 4x4 positions.
        shown: images a figure, the most confident ones, of as many classes as there are.
        scored: images of the validation split, drawn by `seed`.

    Scores that explain/scores.json has of an earlier call are not computed again.

    Returns:
        Rows of scores.csv: run, method, images, deletion and insertion (mean area under the probability of the
        predicted class, 0..1) and sanity (mean rank correlation with the map of the same network with random weights;
        "" where there is none).

    Raises:
        InputError: no such layer, or the data is not what the run was trained on.
    """
    recipe = load_json(run_dir.recipe)
    splits, data = open_splits(recipe.data)
    check_same_data(run_dir, splits)
    model = load_model(run_dir.model)
    if data.train_on_validation:
        print(f"NOTE: {run_dir.name} was trained on the validation images too, which are shown and scored here.")
    images, labels = splits.validation.images, splits.validation.labels
    probabilities = softmax(predict_logits(model, images, "none"))
    predicted, confidence = probabilities.argmax(-1), probabilities.max(-1)

    for name, chosen in (("right", predicted == labels), ("wrong", predicted != labels)):
        picked = one_of_each_class(predicted, confidence, np.flatnonzero(chosen), shown)
        if len(picked):
            maps = {method: explain(method, model, images[picked], predicted[picked], layer) for method in methods}
            titles = [
                f"{splits.class_names[labels[i]]} → {splits.class_names[predicted[i]]}\n{confidence[i]:.0%} sure"
                for i in picked
            ]
            plot_overlays(images[picked], maps, titles, run_dir.explanations / f"{name}.png")

    rng = np.random.default_rng(seed)
    drawn = np.sort(rng.permutation(len(images))[:scored])
    images, predicted = images[drawn], predicted[drawn]
    randomized, noise = with_random_weights(model, seed), rng.random(images.shape[:3])
    settings = {"model": model_digest(run_dir), "images": len(images), "seed": seed, "layer": layer}
    kept = KeptScores(run_dir.explanations / "scores.json", settings)
    for method in tqdm([*methods, RANDOM], desc=f"scores of {run_dir.name}", unit="method", disable=None):
        if method in kept.rows:
            continue
        sanity = None
        if method == RANDOM:
            scored_maps = noise
        else:
            scored_maps = explain(method, model, images, predicted, layer)
            of_random = explain(method, randomized, images, predicted, layer)
            correlations = rank_correlation(scored_maps, of_random)
            sanity = None if np.isnan(correlations).all() else float(np.nanmean(correlations))
        deletion, insertion = deletion_insertion(model, images, predicted, scored_maps)
        row = {
            "run": run_dir.name,
            "method": method,
            "images": len(images),
            "deletion": round(float(deletion.mean()), 4),
            "insertion": round(float(insertion.mean()), 4),
            "sanity": "" if sanity is None else round(sanity, 4),
        }
        kept.add(row)
    rows = [kept.rows[method] for method in [*methods, RANDOM]]
    write_csv(run_dir.explanations / "scores.csv", rows)
    return rows


class KeptScores:
    """Rows of scores.csv by their method, kept as each is done: an interrupted command does not begin again.

    settings: what they depend on; rows of others are dropped.
    """

    def __init__(self, path: Path, settings: dict):
        kept = read_json(path) if path.is_file() else {}
        self.path, self.settings = path, settings
        self.rows: dict[str, dict] = kept["rows"] if kept.get("settings") == settings else {}

    def add(self, row: dict) -> None:
        self.rows[row["method"]] = row
        write_json(self.path, {"settings": self.settings, "rows": self.rows})


def one_of_each_class(classes: np.ndarray, confidence: np.ndarray, candidates: np.ndarray, count: int) -> np.ndarray:
    """Indices of up to `count` candidates, the surest first of each class, then the second of each, and so on."""
    by_confidence = candidates[np.argsort(-confidence[candidates], kind="stable")]
    turn = np.zeros(len(by_confidence), int)
    seen: dict[int, int] = {}
    for place, index in enumerate(by_confidence):
        turn[place] = seen[classes[index]] = seen.get(classes[index], -1) + 1
    return by_confidence[np.argsort(turn, kind="stable")][:count]
