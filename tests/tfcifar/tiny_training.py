"""Trainings of seconds, and how to interrupt them."""

import keras
import numpy as np
import pytest

from pipelines.augment_config import Augment
from tfcifar.models.normalization import FusedBatchNormalization
from tfcifar.models.transfer import Upscale
from tfcifar.recipe import Model, Recipe
from tfcifar.run_dir import RunDir
from tfcifar.training import callbacks
from tfcifar.training.trainer import train

AUGMENT = Augment(flip="random", crop_padding=1)


def recipe(**changes) -> Recipe:
    tiny = Recipe("tiny", Model("small_cnn", dropout=0.2, widths=(4,)), epochs=2, batch_size=15, augment=AUGMENT)
    return tiny.replace(mixed_precision="float32").replace(**changes)


def interrupt_after(epochs: int, monkeypatch) -> None:
    """Let the state of epoch `epochs` be saved, and then let the user press Ctrl-C."""
    save_state = callbacks.save_state

    def save_and_be_interrupted(folder, epoch, *rest):
        save_state(folder, epoch, *rest)
        if epoch == epochs:
            monkeypatch.setattr(callbacks, "save_state", save_state)
            raise KeyboardInterrupt

    monkeypatch.setattr(callbacks, "save_state", save_and_be_interrupted)


def resumed_run(config, splits, run_dir, stop_after, monkeypatch) -> None:
    interrupt_after(stop_after, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(config, splits, run_dir)
    train(config, splits, run_dir, resume=True)


def assert_same_state(undisturbed: RunDir, resumed: RunDir, file: str, **tolerance: float) -> None:
    with np.load(undisturbed.checkpoints / file) as expected, np.load(resumed.checkpoints / file) as found:
        assert expected.files == found.files
        for name in expected.files[1:]:  # the first is the header, which holds times
            np.testing.assert_allclose(found[name], expected[name], **tolerance)


def tiny_transfer(image_shape, num_classes, weights, image_size, dropout):
    """A transfer model in small: a nested backbone of four layers, and a head."""
    inner = keras.Input((image_size or image_shape[0], image_size or image_shape[1], 3))
    x = keras.layers.Conv2D(4, 3, name="conv1")(inner)
    x = FusedBatchNormalization(momentum=0.9, name="norm")(x)
    x = keras.layers.Conv2D(4, 3, name="conv2")(x)
    inputs = keras.Input(image_shape)
    resized = Upscale(image_size, image_size)(inputs) if image_size else inputs
    x = keras.Model(inner, x, name="backbone")(resized)
    x = keras.layers.Dropout(dropout)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, keras.layers.Dense(num_classes, name="logits")(x))
