"""What a network computes from images just before and after its last layer."""

from collections.abc import Iterator

import keras
import numpy as np
from tqdm import tqdm

from pipelines.disk_images import Images
from pipelines.errors import InputError
from tfcifar.models.feature_maps import images_to_predict
from tfcifar.models.multi_task import CLASSES


def with_features(model: keras.Model) -> keras.Model:
    """`model` with two outputs: the input of its logits layer, and the logits.

    Raises:
        InputError: it has no layer called "logits".
    """
    names = [layer.name for layer in model.layers]
    if CLASSES not in names:
        raise InputError(f"features: expected a model with a layer named {CLASSES}, received {', '.join(names)}.")
    return keras.Model(model.input, [model.get_layer(CLASSES).input, model.output])


def features_and_logits(model: keras.Model, images: Images, description: str) -> tuple[np.ndarray, np.ndarray]:
    """Compute both outputs of a model of `with_features`.

    Args:
        images: [n, h, w, 3], 0..255.
        description: of the progress bar.

    Returns:
        float32 [n, d] and float32 [n, k].
    """
    parts = batches(images, images_to_predict(model), description)
    features, logits = zip(*(model.predict_on_batch(batch) for batch in parts), strict=True)
    return np.concatenate(features).astype(np.float32), np.concatenate(logits).astype(np.float32)


def batches(images: Images, batch_size: int, description: str) -> Iterator[np.ndarray]:
    """Consecutive parts of `images`, with a progress bar."""
    for start in tqdm(range(0, len(images), batch_size), desc=description, unit="batch", leave=False, disable=None):
        yield images[start : start + batch_size]
