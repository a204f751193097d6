"""Conv-4, the network of the few-shot literature: four blocks of one convolution each. Small enough to learn to learn.

With strides instead of pooling and 3x3 kernels, as for Omniglot in Finn, Abbeel and Levine 2017 (arXiv:1703.03400);
with group normalization (Wu and He 2018, arXiv:1803.08494) instead of batch normalization: what is said of an image
then does not depend on the images beside it, as it silently does where the statistics are those of a batch of queries.
"""

from collections.abc import Sequence

import keras
from keras import layers

from pipelines.preprocess import standardize

CHANNELS_A_GROUP = 8


def block(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """A convolution to half the size, normalized."""
    x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False, name=f"{name}_conv")(x)
    groups = filters // CHANNELS_A_GROUP if filters % CHANNELS_A_GROUP == 0 else 1
    x = layers.GroupNormalization(groups, epsilon=1e-5, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def conv4(
    image_shape: tuple[int, int, int],
    num_classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    dropout: float = 0.0,
    widths: Sequence[int] = (32, 32, 32, 32),
) -> keras.Model:
    """Images [n, h, w, 3] in 0..255 -> float32 logits [n, num_classes]; 30 k parameters and 1.0 M MACs by default.

    At 32 px: maps of 16, 8, 4 and 2 px, of which all positions go into the head.
    """
    inputs = keras.Input(image_shape, name="images")
    x = standardize(mean, std)(inputs)
    for index, filters in enumerate(widths, start=1):
        x = block(x, filters, name=f"block{index}")
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name="conv4")
