"""What a classifier's last layer decides by: the features under its logits."""

import keras
import numpy as np
from tqdm import tqdm

from pipelines.datasets import EVAL_BATCH_SIZE
from tfcifar.evaluation.tta import predict_logits
from tfcifar.models.multi_task import CLASSES

CHUNK = 10 * EVAL_BATCH_SIZE  # images between two steps of the progress bar


def extract_features(model: keras.Model, images: np.ndarray, what: str) -> np.ndarray:
    """The features of `images` (uint8 [n, h, w, 3]) under the logits of `model`, float32 [n, d].

    what: names the images in the progress bar.
    """
    features = keras.Model(model.input, model.get_layer(CLASSES).input)
    chunks = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    bar = tqdm(chunks, desc=f"features of {what}", unit="chunk")
    return np.concatenate([predict_logits(features, chunk, "none", EVAL_BATCH_SIZE) for chunk in bar])
