"""A plain convolutional network: what a few minutes on two CPU cores can train."""

from collections.abc import Sequence

import keras
from keras import layers

from pipelines.preprocess import standardize
from tfcifar.models.normalization import FusedBatchNormalization


def stage(x: keras.KerasTensor, filters: int, dropout: float, name: str) -> keras.KerasTensor:
    """Two 3x3 convolutions with BatchNorm and ReLU, then max-pooling to half the size."""
    for index in (1, 2):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv{index}")(x)
        x = FusedBatchNormalization(momentum=0.9, name=f"{name}_norm{index}")(x)
        x = layers.ReLU(name=f"{name}_relu{index}")(x)
    x = layers.MaxPooling2D(2, padding="same", name=f"{name}_pool")(x)
    return layers.SpatialDropout2D(dropout, name=f"{name}_dropout")(x) if dropout else x


def small_cnn(
    image_shape: tuple[int, int, int],
    num_classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    dropout: float = 0.0,
    widths: Sequence[int] = (32, 64, 128),
) -> keras.Model:
    """Images [n, h, w, 3] in 0..255 -> float32 logits [n, num_classes]; 0.3 M parameters by default."""
    inputs = keras.Input(image_shape, name="images")
    x = standardize(mean, std)(inputs)
    for index, filters in enumerate(widths, start=1):
        # Early stages see little of the image and need little regularization.
        x = stage(x, filters, dropout * (index - 1) / len(widths), name=f"stage{index}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name="small_cnn")
