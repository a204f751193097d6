"""Spatter: drops of water or splashes of mud on the lens.

Signature and source as in `corruptions_noise`; the layer is made for 32 px and enlarged with the image.
"""

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage

from pipelines.corruptions_resample import length_scale, reference_shape, resized

WATER = np.array([175, 238, 238], np.float32) / 255  # pale turquoise
MUD = np.array([63, 42, 20], np.float32) / 255
RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32)  # light from the upper left
FARTHEST = 20  # pixels from a rim, beyond which it no longer counts


def spatter(images, severity, draws):
    mean, std, sigma, threshold, strength, mud = (
        (0.62, 0.1, 0.7, 0.70, 0.5, False),
        (0.65, 0.1, 0.8, 0.70, 0.5, False),
        (0.65, 0.3, 1.0, 0.69, 0.5, False),
        (0.65, 0.1, 0.7, 0.69, 0.6, True),
        (0.65, 0.1, 0.5, 0.68, 0.6, True),
    )[severity - 1]
    _, height, width, _ = images.shape
    layer = ndimage.gaussian_filter(
        draws.normal(mean, std, *reference_shape(height, width)), (0, sigma, sigma), mode="nearest"
    )
    layer = resized(layer, height, width)
    scale = length_scale(height, width)
    if mud:
        splashes = (layer > threshold).astype(np.float32)
        splashes = ndimage.gaussian_filter(splashes, (0, strength * scale, strength * scale), mode="nearest")
        splashes = np.where(splashes < 0.8, 0, splashes)[..., None]
        return images * (1 - splashes) + MUD * splashes
    drops = np.where(layer < threshold, 0, layer)
    relief = np.stack([_relief(drop > 0, scale) for drop in drops]) * drops
    highest = relief.max((1, 2), keepdims=True)
    share = strength * np.divide(relief, highest, out=np.zeros_like(relief), where=highest > 0)
    return images + share[..., None] * WATER


def _relief(inside: np.ndarray, scale: float) -> np.ndarray:
    """How bright drops are by their distance from a rim, lit from one side: float32 [h, w] in 0..255.

    The original looks for rims with Canny's method, in a layer of 0 and more than 170 of 255, where each rim is an
    edge: here they are the outermost pixels of the drops. Distances are exact where the original's are approximate.
    """
    rims = inside & ~ndimage.binary_erosion(inside, border_value=1)
    if not rims.any():
        return np.zeros(inside.shape, np.float32)
    distance = np.minimum(ndimage.distance_transform_edt(~rims) / scale, FARTHEST)
    smooth = ndimage.uniform_filter(distance, 3, mode="mirror").astype(np.uint8)
    equalized = np.asarray(ImageOps.equalize(Image.fromarray(smooth)), np.float32)
    lit = np.clip(ndimage.correlate(equalized, RELIEF, mode="mirror"), 0, 255)
    return ndimage.uniform_filter(lit, 3, mode="mirror")
