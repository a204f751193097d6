"""Evaluated runs without a training: logits drawn at random, or a network whose logits can be said by hand."""

import hashlib
import json
from pathlib import Path

import numpy as np

from tfcifar import recipes
from tfcifar.evaluation.metrics import classification_metrics
from tfcifar.evaluation.openings import model_digest
from tfcifar.reporting.figures import plot_confusion
from tfcifar.run_dir import RunDir, write_json

CLASSES = ["cat", "dog", "frog"]
SIZES = {"validation": 300, "test": 240}
# Noise on what a member sees, by split. On validation "sharp" is the best, on test "late" would be.
NOISE = {"sharp": (1.0, 1.6), "late": (1.4, 0.8), "rough": (2.0, 2.0)}


def write_run(path: Path, noise: tuple[float, float], seed: int) -> Path:
    """What ensembles and reports need of an evaluated run; its model file holds no model."""
    path.mkdir(parents=True)
    random = np.random.default_rng(seed)
    model = path.name.encode()
    (path / "model.keras").write_bytes(model)
    arrays = {"model": np.array(hashlib.sha256(model).hexdigest())}
    for (split, n), width in zip(SIZES.items(), noise, strict=True):
        labels = np.arange(n) % 3
        arrays[f"{split}_labels"] = labels
        arrays[f"{split}_logits"] = (4 * np.eye(3)[labels] + 2 * random.normal(0, width, (n, 3))).astype(np.float32)
    np.savez(path / "predictions.npz", **arrays)
    metrics = {
        "dataset": "shapes", "model": "small_cnn", "parameters": 1000, "macs": 50, "train_seconds": 10.0, "pflop": 0.25,
        "validation_accuracy": 0.5,
        **classification_metrics(arrays["test_logits"], arrays["test_labels"], CLASSES),
    }  # fmt: skip
    environment = {
        "command": "python -m tfcifar.train",
        "hardware": "2 cores",
        "commit": "abc1234",
        "data": {"class_names": CLASSES},
    }
    for name, content in (("metrics", metrics), ("environment", environment), ("timing", {})):
        (path / f"{name}.json").write_text(json.dumps(content))
    (path / "recipe.json").write_text(recipes.load("smoke", "cpu").replace(name=path.name, seed=seed).to_json())
    plot_confusion(metrics["confusion"], CLASSES, path / "figures" / "confusion_matrix.png")
    return path


def write_colour_run(path: Path) -> Path:
    """A run whose network's logits are the means of red, green and blue, times 8; it sees 8x8 pixels.

    Of its 600 validation images 40 are wrong, and unsure.
    """
    import keras

    path.mkdir()
    run_dir = RunDir(path)
    write_json(run_dir.recipe, {})
    write_json(run_dir.timing, {})
    write_json(run_dir.environment, {"data": {"class_names": CLASSES}})
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    x = keras.layers.Conv2D(3, 1, use_bias=False)(keras.layers.Rescaling(8 / 255)(inputs))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    model.layers[2].set_weights([np.eye(3, dtype=np.float32)[None, None]])
    model.save(run_dir.model)
    labels = np.arange(600) % 3
    logits = 8 * np.eye(3, dtype=np.float32)[labels]
    logits[:40] = 0.1 * np.eye(3)[(labels[:40] + 1) % 3]
    arrays = {"validation_logits": logits, "validation_labels": labels}
    np.savez(run_dir.predictions, model=np.array(model_digest(run_dir)), **arrays)
    return path
