"""Small models of every registered kind, with weights that tell one from another."""

import keras
import numpy as np

from tfcifar.models import MODELS, build_model
from tfcifar.recipe import Model

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)
SMALL_WIDTHS = {"small_cnn": (4, 6, 8), "residual_cnn": (4, 8), "attention_cnn": (4, 6, 8), "fast_cnn": (6, 8, 8)}


def build(name: str, attention=None) -> keras.Model:
    keras.utils.set_random_seed(0)
    widths = next((each for known, each in SMALL_WIDTHS.items() if name.startswith(known)), ())
    size = {"image_size": 32} if MODELS[name].pretrained else {}
    return randomized(build_model(Model(name, attention=attention, widths=widths, **size), (32, 32, 3), 5, MEAN, STD))


def randomized(model: keras.Model) -> keras.Model:
    """With statistics and scales that are neither 0 nor 1, so that a swap of weights shows."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("gamma", "moving_variance", "scale"):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        elif weight.name in ("beta", "moving_mean", "bias", "embedding"):
            weight.assign(random.normal(0, 0.3, weight.shape))
    return model


def images(model: keras.Model, count=3) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *model.input_shape[1:])).astype("float32")


def outputs(model, pictures: np.ndarray) -> np.ndarray:
    """What a Keras or tf_keras model says of them, without the graph that `predict` makes first, in a second."""
    return np.asarray(model(pictures, training=False))
