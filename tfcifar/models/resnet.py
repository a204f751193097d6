"""The small residual networks of the literature, for students: ResNet-8 of MLPerf Tiny, ResNet-20 of He et al.

He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition" (arXiv:1512.03385, section 4.2); Banbury et al.,
"MLPerf Tiny Benchmark" (arXiv:2106.07597), whose image classification (IC) has three stages of one block.
"""

from collections.abc import Sequence
from functools import partial

import keras
from keras import layers

from pipelines.preprocess import standardize
from tfcifar.models.convolution import FastConv2D
from tfcifar.models.normalization import FusedBatchNormalization


def conv_norm(x: keras.KerasTensor, filters: int, kernel: int, name: str, stride: int = 1) -> keras.KerasTensor:
    x = FastConv2D(filters, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return FusedBatchNormalization(momentum=0.9, name=f"{name}_norm")(x)


def block(x: keras.KerasTensor, filters: int, stride: int, name: str) -> keras.KerasTensor:
    """relu(x + norm(conv(relu(norm(conv(x)))))); a 1x1 convolution brings x to the size of what is added."""
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        shortcut = conv_norm(x, filters, 1, f"{name}_shortcut", stride)
    x = layers.ReLU(name=f"{name}_relu1")(conv_norm(x, filters, 3, f"{name}_1", stride))
    x = conv_norm(x, filters, 3, f"{name}_2")
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([x, shortcut]))


def resnet(
    image_shape: tuple[int, int, int],
    num_classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    dropout: float = 0.0,
    widths: Sequence[int] = (16, 32, 64),
    blocks: int = 1,
) -> keras.Model:
    """Images [n, h, w, 3] in 0..255 -> float32 logits [n, num_classes].

    Args:
        widths: channels of each stage; all but the first begin with a stride of 2.
        blocks: residual blocks in each stage.

    ResNet-8 has 78 thousand parameters and 12.5 million MACs at 32 px, ResNet-20 has 272 thousand and 41 million.
    """
    inputs = keras.Input(image_shape, name="images")
    x = standardize(mean, std)(inputs)
    x = layers.ReLU(name="stem_relu")(conv_norm(x, widths[0], 3, "stem"))
    for stage, filters in enumerate(widths, start=1):
        for index in range(1, blocks + 1):
            x = block(x, filters, 2 if stage > 1 and index == 1 else 1, f"stage{stage}_block{index}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name=f"resnet{6 * blocks + 2}")


resnet8 = partial(resnet, blocks=1)
resnet8_wide = partial(resnet, blocks=1, widths=(40, 80, 160))
resnet20 = partial(resnet, blocks=3)
