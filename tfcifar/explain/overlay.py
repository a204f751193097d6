"""A picture for people: the image with the map of an explanation laid over it."""

import numpy as np
from PIL import Image

from pipelines.image_folder import fit_image

HEAT = "inferno"
OPACITY = 0.6  # of the map; the image below stays readable
SHORTER_SIDE = 320  # pixels; the map is coarse, more would show nothing


def overlay_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) of an overlay, for a map of height x width: its proportions, the shorter side SHORTER_SIDE."""
    factor = SHORTER_SIDE / min(height, width)
    return round(height * factor), round(width * factor)


def overlay(picture: np.ndarray, heat: np.ndarray) -> Image.Image:
    """The part of `picture` that a model saw, in grey, under its map.

    Args:
        picture: uint8 [h, w, 3] of any size, before it was fitted to the model; or fitted to `overlay_size`.
        heat: float [h', w'], 0..1, in the model's size.

    Returns:
        RGB, of the map's proportions, its shorter side SHORTER_SIDE.
    """
    from matplotlib import colormaps

    height, width = overlay_size(*heat.shape)
    seen = fit_image(picture, height, width)
    large = Image.fromarray(heat.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    colours = 255 * colormaps[HEAT](np.array(large))[..., :3]
    return Image.fromarray((OPACITY * colours + (1 - OPACITY) * seen.mean(-1, keepdims=True)).astype(np.uint8))
