"""The table of models. One architecture per file; nothing heavy is imported until a model is built."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

    from tfcifar.recipe import Model


@dataclass(frozen=True)
class Entry:
    builder: str  # "module:function"
    description: str
    pretrained: bool = False  # an ImageNet backbone, with weights from Keras
    depthwise: bool = False  # memory-bound on a CPU, where half precision makes it slower
    native_size: int = 32  # pixels, for the listed MACs
    attention: tuple[str, ...] = ()  # the kinds that it can be built with, the first by default
    alphas: tuple[float, ...] = ()  # the widths that Keras has ImageNet weights for

    @property
    def module(self) -> str:
        """Where it is built: models of one module have heads of one kind."""
        return self.builder.partition(":")[0]

    def load(self):
        return getattr(importlib.import_module(self.module), self.builder.partition(":")[2])


MODELS = {
    "small_cnn": Entry(
        "tfcifar.models.small_cnn:small_cnn", "three stages of two convolutions; trains in minutes on a CPU"
    ),
    "conv4": Entry("tfcifar.models.conv4:conv4", "four strided convolutions; the network of few-shot learning"),
    "fast_cnn": Entry("tfcifar.models.fast_cnn:fast_cnn", "whitened patches, identity convolutions: learns fastest"),
    "fast_cnn_wide": Entry("tfcifar.models.fast_cnn:fast_cnn_wide", "fast_cnn with 128, 384 and 384 channels"),
    "fast_cnn_deep": Entry(
        "tfcifar.models.fast_cnn:fast_cnn_deep", "128, 384 and 512 channels, three convolutions a block, residual"
    ),
    "fast_cnn_late": Entry(
        "tfcifar.models.fast_cnn:fast_cnn_late",
        "fast_cnn_deep with a later pooling: more accurate for its size, slower",
    ),
    "fast_cnn_late_1": Entry("tfcifar.models.fast_cnn:fast_cnn_late_1", "the same in its last block only"),
    "separable_cnn": Entry(
        "tfcifar.models.separable_cnn:separable_cnn", "separable convolutions, residual: deep for its bytes"
    ),
    "residual_cnn": Entry(
        "tfcifar.models.residual_cnn:residual_cnn", "residual stages 64-128-256-512, max and average pooling"
    ),
    "attention_cnn": Entry(
        "tfcifar.models.residual_cnn:attention_cnn",
        "residual_cnn with attention: se (default) or cbam in each block, mhsa on small maps",
        attention=("se", "cbam", "mhsa"),
    ),
    "resnet8": Entry("tfcifar.models.resnet:resnet8", "ResNet-8 of MLPerf Tiny: three stages of one block"),
    "resnet8_x2.5": Entry("tfcifar.models.resnet:resnet8_wide", "ResNet-8 with 40, 80 and 160 channels"),
    "resnet20": Entry("tfcifar.models.resnet:resnet20", "ResNet-20 of He et al. 2015: three stages of three blocks"),
    "resnet50": Entry(
        "tfcifar.models.transfer:resnet50", "ResNet50 of He et al. 2015, ImageNet weights", True, False, 224
    ),
    "mobilenet_v2": Entry(
        "tfcifar.models.transfer:mobilenet_v2",
        "MobileNetV2 of Sandler et al. 2018, ImageNet weights",
        True,
        True,
        96,
        alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    ),
    "mobilenet": Entry(
        "tfcifar.models.transfer:mobilenet",
        "MobileNet of Howard et al. 2017, ImageNet weights",
        True,
        True,
        96,
        alphas=(0.25, 0.5, 0.75, 1.0),
    ),
    "mobilenet_v3_small": Entry(
        "tfcifar.models.transfer:mobilenet_v3_small",
        "MobileNetV3-Small of Howard et al. 2019, ImageNet weights",
        True,
        True,
        96,
        alphas=(0.75, 1.0),
    ),
    "efficientnet_b0": Entry(
        "tfcifar.models.transfer:efficientnet_b0",
        "EfficientNet-B0 of Tan and Le 2019, ImageNet weights",
        True,
        True,
        96,
    ),
}


def build_model(
    config: "Model", image_shape: tuple[int, int, int], num_classes: int, mean: Sequence[float], std: Sequence[float]
) -> "keras.Model":
    """Build the Keras model that `config` (a recipe's Model) describes.

    Args:
        image_shape: (height, width, 3) of the data set.
        mean, std: per-channel statistics of the training split, in [0, 1] units; own architectures normalize
            with them, ImageNet backbones as they were trained.

    Returns:
        A functional `keras.Model`: images [n, height, width, 3] with values 0..255 (uint8 or float) -> float32
        logits [n, num_classes]. Normalization is part of the model.
    """
    entry = MODELS[config.name]
    build = entry.load()
    if entry.pretrained:
        return build(
            image_shape,
            num_classes,
            weights=config.weights,
            image_size=config.image_size or entry.native_size,
            dropout=config.dropout,
            **({"alpha": config.alpha} if config.alpha else {}),
        )
    options: dict[str, Any] = {"widths": config.widths} if config.widths else {}
    if config.attention:
        options["attention"] = config.attention
    return build(image_shape, num_classes, mean=mean, std=std, dropout=config.dropout, **options)
