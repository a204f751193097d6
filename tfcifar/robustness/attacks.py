"""Two attacks with bounded changes of each value, to see how much a network hangs on tiny changes of its input.

Sanity figures, not a defence evaluation: that takes stronger attacks, adapted to the defence (Croce and Hein 2020,
arXiv:2003.01690). A network without adversarial training is expected to fall to nearly no accuracy under PGD.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfcifar.evaluation.metrics import classification_metrics
from tfcifar.models.feature_maps import images_to_differentiate, images_to_predict
from tfcifar.robustness import EPSILONS

STEPS = 10
BATCH = 100  # images a gradient step at most: see `images_to_differentiate`
Gradients = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def loss_gradients(model: keras.Model) -> Gradients:
    """A function (images float32 [n, h, w, 3] in 0..255, labels int [n]) -> (cross-entropies [n], gradients to the
    images), in batches."""
    batch_size = min(BATCH, images_to_differentiate(model))

    @tf.function(reduce_retracing=True)
    def of_batch(pixels, labels):
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            logits = tf.cast(model(pixels, training=False), tf.float32)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return losses, tape.gradient(losses, pixels)

    def gradients(images, labels):
        parts = [slice(start, start + batch_size) for start in range(0, len(images), batch_size)]
        pairs = [of_batch(tf.constant(images[part], tf.float32), tf.constant(labels[part])) for part in parts]
        return tuple(np.concatenate(arrays) for arrays in zip(*pairs, strict=True))

    return gradients


def fgsm(images: np.ndarray, gradients: np.ndarray, epsilon: float) -> np.ndarray:
    """Each value changed by `epsilon`, the way its gradient points (Goodfellow et al. 2015, arXiv:1412.6572).

    Args:
        images: [n, h, w, 3] in 0..255.
        gradients: of the loss at `images`.
        epsilon: of 255.

    Returns:
        float32 [n, h, w, 3] in 0..255.
    """
    return np.clip(images + np.float32(epsilon) * np.sign(gradients), 0, 255)


def pgd(
    gradients: Gradients, images: np.ndarray, labels: np.ndarray, epsilon: float, steps: int = STEPS, seed: int = 0
) -> np.ndarray:
    """Projected gradient ascent on the loss, from a random start (Madry et al. 2018, arXiv:1706.06083).

    Steps are of 2.5 * epsilon / steps. Of each image the point with the highest loss is taken, the image itself
    included, so that no loss is below that of the image.

    Args:
        gradients: see `loss_gradients`.
        images: [n, h, w, 3] in 0..255.
        labels: int [n].
        epsilon: of 255; no value changes by more.

    Returns:
        float32 [n, h, w, 3] in 0..255.
    """
    clean = images.astype(np.float32)
    low, high = np.maximum(clean - epsilon, 0), np.minimum(clean + epsilon, 255)
    worst, highest = clean.copy(), gradients(clean, labels)[0]
    start = np.random.RandomState(seed).uniform(-epsilon, epsilon, clean.shape).astype(np.float32)
    points = np.clip(clean + start, low, high)
    for step in range(steps + 1):
        losses, slopes = gradients(points, labels)
        worse = losses > highest
        worst[worse], highest[worse] = points[worse], losses[worse]
        if step < steps:
            points = np.clip(points + np.float32(2.5 * epsilon / steps) * np.sign(slopes), low, high)
    return worst


def attack_rows(model: keras.Model, images: np.ndarray, labels: np.ndarray, name: str = "") -> list[dict]:
    """Accuracy (a fraction) and mean loss (nats) under both attacks, of each of EPSILONS, and without one.

    Args:
        images: uint8 [n, h, w, 3].
        labels: int [n].
        name: of the run, beside the progress.

    Returns:
        Rows of `attack` ("none", "fgsm" or "pgd_10"), `epsilon` (of 255), `accuracy`, `loss`.
    """
    gradients = loss_gradients(model)
    clean = images.astype(np.float32)
    slopes = gradients(clean, labels)[1]
    rows = [{"attack": "none", "epsilon": 0, **_judge(model, clean, labels)}]
    for epsilon in tqdm(EPSILONS, desc=f"attacks on {name}", unit="epsilon", disable=None):
        attacked = {"fgsm": fgsm(clean, slopes, epsilon), f"pgd_{STEPS}": pgd(gradients, clean, labels, epsilon)}
        for attack, points in attacked.items():
            rows.append({"attack": attack, "epsilon": epsilon, **_judge(model, points, labels)})
    return rows


def _judge(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> dict:
    logits = model.predict(images, batch_size=min(BATCH, images_to_predict(model)), verbose=0)
    metrics = classification_metrics(logits, labels, [str(i) for i in range(logits.shape[1])])
    return {"accuracy": round(metrics["accuracy"], 6), "loss": round(metrics["loss"], 6)}
