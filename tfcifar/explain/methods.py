"""All methods with the same arguments."""

from collections.abc import Callable

import keras
import numpy as np

from tfcifar.explain.activations import target_layer
from tfcifar.explain.gradcam import grad_cam, grad_cam_plus_plus
from tfcifar.explain.saliency import guided_saliency, occlusion, smooth_grad
from tfcifar.models.feature_maps import images_to_differentiate

NEEDS_LAYER = {"grad_cam": grad_cam, "grad_cam++": grad_cam_plus_plus}
AT_PIXELS = {"smooth_grad": smooth_grad, "guided_saliency": guided_saliency, "occlusion": occlusion}


def explain(
    name: str, model: keras.Model, images: np.ndarray, classes: np.ndarray, layer: str | None = None
) -> np.ndarray:
    """The maps of method `name`, one of METHODS.

    Args:
        images: [n, h, w, 3], 0..255.
        classes: int [n], whose evidence is asked for.
        layer: for the Grad-CAMs; None: see `target_layer`.

    Returns:
        float32 [n, h, w], 0..1, larger where the image speaks for its class.
    """
    method: Callable = NEEDS_LAYER.get(name) or AT_PIXELS[name]
    options = {"layer": target_layer(model, layer)} if name in NEEDS_LAYER else {}
    batch_size = images_to_differentiate(model)
    starts = range(0, len(images), batch_size)
    parts = [slice(start, start + batch_size) for start in starts]
    return np.concatenate([method(model, images[part], classes[part], **options) for part in parts])
