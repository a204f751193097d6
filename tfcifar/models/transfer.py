"""Transfer models: an ImageNet backbone of keras.applications with a new head, images upscaled inside."""

import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
from keras import layers

from pipelines.errors import InputError, first_line
from pipelines.preprocess import imagenet_normalization
from tfcifar.models.file_guard import check_weights_file
from tfcifar.models.normalization import FusedBatchNormalization

# keras.applications sets 0.999 in MobileNetV2: after an epoch of fine-tuning (about 700 steps) the moving
# statistics would still be half ImageNet's, and validation would collapse while training does well.
FINE_TUNE_BATCH_NORM_MOMENTUM = 0.9
IMAGENET_STD = (0.229, 0.224, 0.225)  # of red, green and blue, in 0..1


@keras.saving.register_keras_serializable(package="tfcifar")
class Upscale(layers.Resizing):
    """`keras.layers.Resizing`, for the inside of a model.

    Keras' own is made for input chains, where `training` is True unless said otherwise, and a nested model behind it
    takes that over: `model(images)` would run the backbone's BatchNorm and Dropout as in training.
    """

    def call(self, data, training=False):
        return super().call(data, training=training)


def transfer_model(
    image_shape: tuple[int, int, int],
    num_classes: int,
    weights: str | None,
    image_size: int,
    dropout: float,
    application: Callable[..., keras.Model],
    normalization: str,
    name: str,
    alpha: float | None = None,
) -> keras.Model:
    """Images [n, h, w, 3] in 0..255 -> float32 logits [n, num_classes].

    Args:
        alpha: width of a MobileNet, in the sizes that Keras has weights for; None: 1.0.
        weights: "imagenet" (Keras' own file, from its cache or downloaded), the path of such a file, or None.
        image_size: images are resized to it (bilinear), then normalized as the backbone was trained.

    Raises:
        InputError: the weights cannot be had, or do not fit.
    """
    if alpha is not None:
        application = partial(application, alpha=alpha)
    backbone = _with_fused_normalization(
        application(include_top=False, weights=None, input_shape=(image_size,) * 2 + (3,))
    )
    if weights is not None:
        backbone.set_weights(_pretrained_weights(application, weights, name))
        if normalization == "caffe":
            # These weights expect BGR. Turning the first kernel's input channels round once is free at run time.
            first = next(layer for layer in backbone.layers if isinstance(layer, layers.Conv2D))
            first.kernel.assign(first.kernel.numpy()[:, :, ::-1, :])
        if application is keras.applications.EfficientNetB0:
            _finish_efficientnet(backbone)

    inputs = keras.Input(image_shape, name="images")
    x = inputs
    if tuple(image_shape[:2]) != (image_size, image_size):
        x = Upscale(image_size, image_size, dtype="float32", name="upscale")(x)
    x = imagenet_normalization(normalization)(x)
    x = backbone(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name=name)


resnet50 = partial(transfer_model, application=keras.applications.ResNet50, normalization="caffe", name="resnet50")
mobilenet_v2 = partial(
    transfer_model, application=keras.applications.MobileNetV2, normalization="tf", name="mobilenet_v2"
)
mobilenet = partial(transfer_model, application=keras.applications.MobileNet, normalization="tf", name="mobilenet")
mobilenet_v3_small = partial(
    transfer_model,
    application=partial(keras.applications.MobileNetV3Small, include_preprocessing=False),
    normalization="tf",
    name="mobilenet_v3_small",
)
efficientnet_b0 = partial(
    transfer_model, application=keras.applications.EfficientNetB0, normalization="none", name="efficientnet_b0"
)


def backbone_of(model: keras.Model) -> keras.Model:
    """The nested ImageNet backbone of a transfer model."""
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


def set_trainable_share(model: keras.Model, share: float) -> None:
    """Let the head and the top `share` (0..1) of the backbone's layers train; freeze the rest.

    Frozen BatchNorm layers run on their moving statistics.
    """
    backbone = backbone_of(model)
    backbone.trainable = True
    frozen = round((1 - share) * len(backbone.layers))
    # Each layer by itself: setting the backbone's flag to what it already is reaches none of its layers.
    for index, layer in enumerate(backbone.layers):
        layer.trainable = index >= frozen


def _with_fused_normalization(backbone: keras.Model) -> keras.Model:
    """The same network with the fused BatchNorm kernel (docs/performance.md: 1.5 times faster to train)."""

    def clone(layer):
        config = layer.get_config()
        if type(layer) is keras.layers.BatchNormalization:
            return FusedBatchNormalization.from_config(config | {"momentum": FINE_TUNE_BATCH_NORM_MOMENTUM})
        return type(layer).from_config(config)

    return keras.models.clone_model(backbone, clone_function=clone)


def _finish_efficientnet(backbone: keras.Model) -> None:
    """Bring EfficientNet's own normalization of its input to what its ImageNet weights were trained with.

    They expect a further division by the root of the standard deviation, for which keras.applications adds a layer
    if it loads them itself (github.com/tensorflow/tensorflow/issues/49930); in the first kernel it is free.
    """
    normalization = next(layer for layer in backbone.layers if isinstance(layer, layers.Normalization))
    normalization.finalize_state()  # it computes with a copy of its weights
    stem = backbone.get_layer("stem_conv")
    stem.kernel.assign(stem.kernel.numpy() / np.sqrt(IMAGENET_STD)[:, None])


def _pretrained_weights(application: Callable[..., keras.Model], weights: str, name: str) -> list:
    if weights != "imagenet" and not Path(weights).is_file():
        raise InputError(
            f"weights: expected 'imagenet', 'none' or a weights file of {name}, found no file at {weights}."
        )
    # At 224 px, whatever size is trained at: that file serves all sizes, and is the one that most caches hold.
    try:
        if weights != "imagenet":
            check_weights_file(Path(weights))
        return application(include_top=False, weights=weights, input_shape=(224, 224, 3)).get_weights()
    except InputError:
        raise
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"weights: {weights} does not fit {name} without its top: {first_line(error)}") from None
    except Exception as error:  # keras.utils.get_file raises a bare Exception when a download fails
        if "URL fetch failure" not in str(error):
            raise
        raise InputError(
            f"weights: the ImageNet weights of {name} are not in Keras' cache and cannot be downloaded ({error}). "
            "Download that address on another machine and pass the file with --weights PATH."
        ) from None
