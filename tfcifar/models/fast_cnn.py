"""The network that learns fastest: whitened patches, identity-initialized convolutions, no scale anywhere.

- The first layer is not learned: it decorrelates 2x2 patches of the training images, so that all directions of the
  input weigh the same from the first step on.
- Pooling follows the first convolution of each block at once: what comes after costs a quarter. Where size counts more
  than time, as in `fast_cnn_late`, it comes after the second.
- Convolutions start as the identity beside random filters, so that the signal reaches the head before anything is
  learned; a third convolution in a block is residual for the same reason.
- BatchNorm has no scale (the next convolution can scale) and a low momentum, for runs of few steps.
- The maximum over positions, not the mean, goes to the head: is the feature anywhere?

After Keller Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (arXiv:2404.00498).
"""

from collections.abc import Sequence
from functools import partial

import keras
from keras import layers, ops

from pipelines.preprocess import standardize
from tfcifar.models.activations import FusedGelu
from tfcifar.models.convolution import FastConv2D
from tfcifar.models.normalization import FusedBatchNormalization
from tfcifar.models.whitening import PatchWhitening


@keras.saving.register_keras_serializable(package="tfcifar")
class PartialIdentity(keras.initializers.Initializer):
    """The first filters of a convolution pass their input channel through; the others are uniform as in PyTorch.

    At the start each block hands on what it was given, beside new features (Zagoruyko and Komodakis 2017,
    arXiv:1706.00388).
    """

    def __init__(self, seed=None):
        self.uniform = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=seed)

    def __call__(self, shape, dtype=None):
        height, width, channels, filters = shape
        passed = min(channels, filters)
        identity = ops.pad(
            ops.eye(passed, dtype=dtype)[None, None],
            [[height // 2, (height - 1) // 2], [width // 2, (width - 1) // 2], [0, channels - passed], [0, 0]],
        )
        random = self.uniform(shape, dtype)[..., passed:]
        return ops.concatenate([identity, random], axis=-1)

    def get_config(self):
        return {"seed": self.uniform.seed}


def conv(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    return FastConv2D(
        filters, 3, padding="same", use_bias=False, kernel_initializer=PartialIdentity(), name=f"{name}_conv"
    )(x)


def norm(x: keras.KerasTensor, momentum: float, name: str) -> keras.KerasTensor:
    """BatchNorm with a bias and no scale: the next convolution can scale by itself."""
    return FusedBatchNormalization(scale=False, momentum=momentum, epsilon=1e-12, name=f"{name}_norm")(x)


def block(
    x: keras.KerasTensor, filters: int, depth: int, momentum: float, name: str, pool_after: int = 1
) -> keras.KerasTensor:
    """`depth` convolutions, `pool_after` of them before the pooling; with three, what follows it is residual."""
    shortcut = x
    for index in range(1, depth + 1):
        x = conv(x, filters, f"{name}_{index}")
        if index == pool_after:
            x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
        x = norm(x, momentum, f"{name}_{index}")
        if index == 3:
            x = layers.Add(name=f"{name}_add")([x, shortcut])
        x = FusedGelu(name=f"{name}_{index}_gelu")(x)
        if index == pool_after:
            shortcut = x
    return x


def fast_cnn(
    image_shape: tuple[int, int, int],
    num_classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    dropout: float = 0.0,
    widths: Sequence[int] = (64, 256, 256),
    depth: int = 2,
    norm_momentum: float = 0.6,
    late_pooling: int = 0,
) -> keras.Model:
    """Images [n, h, w, 3] in 0..255 -> float32 logits [n, num_classes].

    At 32 px: whitening at 31, blocks at 31 -> 15, 15 -> 7 and 7 -> 3 px, then the maximum of each feature.

    Args:
        depth: convolutions in a block, 2 or 3.
        late_pooling: in so many of the last blocks behind the second convolution, which then takes four times the MACs.
        norm_momentum: low, since fast_94's runs have only a few hundred steps.
    """
    inputs = keras.Input(image_shape, name="images")
    x = standardize(mean, std)(inputs)
    x = FusedGelu(name="whitening_gelu")(PatchWhitening(name="whitening")(x))
    for index, filters in enumerate(widths, start=1):
        pool_after = 2 if index > len(widths) - late_pooling else 1
        x = block(x, filters, depth, norm_momentum, f"block{index}", pool_after)
    x = layers.GlobalMaxPooling2D(name="pool")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    # Wide weights on small features: the head keeps its direction while the features under it change fast.
    x = layers.Rescaling(1 / widths[-1], dtype="float32", name="scale")(x)
    wide = keras.initializers.RandomUniform(-(3**0.5), 3**0.5)  # standard deviation 1
    logits = layers.Dense(num_classes, use_bias=False, kernel_initializer=wide, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name="fast_cnn")


fast_cnn_wide = partial(fast_cnn, widths=(128, 384, 384))
fast_cnn_deep = partial(fast_cnn, widths=(128, 384, 512), depth=3)
fast_cnn_late = partial(fast_cnn_deep, late_pooling=2)
fast_cnn_late_1 = partial(fast_cnn_deep, late_pooling=1)
