"""A residual network for small images, with attention if asked: block -> stage -> model -> variant.

He et al. 2015, "Deep Residual Learning for Image Recognition" (arXiv:1512.03385).
"""

from collections.abc import Sequence
from functools import partial

import keras
from keras import layers

from pipelines.errors import InputError
from pipelines.preprocess import standardize
from tfcifar.models.attention import ATTENTION, self_attention
from tfcifar.models.normalization import FusedBatchNormalization
from tfcifar.models.resnet import conv_norm

LARGEST_ATTENDED = 8  # pixels: at 16, each of 256 positions would look at 256 others


def residual_block(x: keras.KerasTensor, filters: int, name: str, attention: str | None = None) -> keras.KerasTensor:
    """relu(x + norm(conv(relu(norm(conv(x)))))); a 1x1 convolution matches the channels where they differ.

    "se" and "cbam" weigh what is added, "mhsa" attends to what comes out.
    """
    shortcut = x if x.shape[-1] == filters else conv_norm(x, filters, 1, f"{name}_shortcut")
    x = conv_norm(x, filters, 3, f"{name}_1")
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = conv_norm(x, filters, 3, f"{name}_2")
    if attention in ("se", "cbam"):
        x = ATTENTION[attention](x, f"{name}_{attention}")
    x = layers.Add(name=f"{name}_add")([x, shortcut])
    x = layers.ReLU(name=f"{name}_relu2")(x)
    return self_attention(x, f"{name}_mhsa") if attention == "mhsa" and max(x.shape[1:3]) <= LARGEST_ATTENDED else x


def stage(
    x: keras.KerasTensor, filters: int, halve: bool, name: str, attention: str | None = None
) -> keras.KerasTensor:
    """Max-pooling to half the size if `halve`, then one residual block.

    Max-pooling keeps the strongest response of each 2x2 patch, where a strided convolution would throw three
    quarters of the positions away unseen.
    """
    if halve:
        x = layers.MaxPooling2D(2, padding="same", name=f"{name}_pool")(x)
    return residual_block(x, filters, f"{name}_block", attention)


def residual_cnn(
    image_shape: tuple[int, int, int],
    num_classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    dropout: float = 0.0,
    widths: Sequence[int] = (64, 128, 256, 512),
    head_units: int = 256,
    attention: str | None = None,
) -> keras.Model:
    """Images [n, h, w, 3] in 0..255 -> float32 logits [n, num_classes].

    Args:
        attention: of each block, one of tfcifar.models.attention.ATTENTION, or None.

    At 32 px the stages run at 16, 16, 8 and 4 px. Only the stem works at full size, where one residual block of 64
    channels would cost 76 million MACs, and the last stage still sees 4x4 positions: halving in each stage, to 2 px,
    would cost a third of the 197 million MACs and lose accuracy.

    The head sees both the maximum of each feature (is it anywhere?) and its average (how much of it?). Its hidden
    layer is normalized like all others: without, a rate at which the convolutions learn fast is too high for it.

    Raises:
        InputError: "mhsa", and no map is small enough for it.
    """
    inputs = keras.Input(image_shape, name="images")
    x = standardize(mean, std)(inputs)
    x = layers.ReLU(name="stem_relu")(conv_norm(x, widths[0], 3, "stem"))
    for index, filters in enumerate(widths, start=1):
        x = stage(x, filters, halve=index != 2, name=f"stage{index}", attention=attention)
    if attention == "mhsa" and max(x.shape[1:3]) > LARGEST_ATTENDED:
        raise InputError(
            f"model.attention: mhsa attends to maps of at most {LARGEST_ATTENDED}x{LARGEST_ATTENDED}, and the smallest "
            f"has {x.shape[1]}x{x.shape[2]}; expected smaller images or more widths, received "
            f"{image_shape[0]}x{image_shape[1]} px and {len(widths)} widths."
        )
    x = layers.Concatenate(name="pool")(
        [layers.GlobalMaxPooling2D(name="max_pool")(x), layers.GlobalAveragePooling2D(name="average_pool")(x)]
    )
    x = layers.Dropout(dropout, name="dropout1")(x)
    x = layers.Dense(head_units, use_bias=False, name="head")(x)
    x = layers.ReLU(name="head_relu")(FusedBatchNormalization(momentum=0.9, name="head_norm")(x))
    x = layers.Dropout(dropout, name="dropout2")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name=f"attention_cnn_{attention}" if attention else "residual_cnn")


attention_cnn = partial(residual_cnn, attention="se")
