"""Common corruptions of images, at five severities: what a classifier meets outside the laboratory.

Source: Hendrycks and Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (arXiv:1903.12261), with the parameters of CIFAR-10-C. The images are not those of CIFAR-10-C: random
numbers, the frost (see `corruptions_frost`) and details of the libraries are others, and values are rounded to the
nearest where the original cuts them off.
"""

import numpy as np

from pipelines import corruptions_blur as blur
from pipelines import corruptions_digital as digital
from pipelines import corruptions_noise as noise
from pipelines import corruptions_weather as weather
from pipelines.corruptions_names import CORRUPTIONS, SEVERITIES
from pipelines.corruptions_random import Draws
from pipelines.corruptions_spatter import spatter
from pipelines.errors import InputError, check, unknown

CHUNK = 250  # images at a time: the working arrays stay small enough for the processor's caches
SMALLEST = 8  # pixels a side

FUNCTIONS = {
    function.__name__: function
    for function in (
        noise.gaussian_noise,
        noise.shot_noise,
        noise.impulse_noise,
        blur.defocus_blur,
        blur.glass_blur,
        blur.motion_blur,
        blur.zoom_blur,
        weather.snow,
        weather.frost,
        weather.fog,
        weather.brightness,
        digital.contrast,
        digital.elastic_transform,
        digital.pixelate,
        digital.jpeg_compression,
        noise.speckle_noise,
        blur.gaussian_blur,
        spatter,
        digital.saturate,
    )
}


def corrupt(
    images: np.ndarray, corruption: str, severity: int, seed: int = 0, ids: np.ndarray | None = None
) -> np.ndarray:
    """`images` under one corruption.

    An image's result depends on nothing but the image, its id, the corruption, the severity and the seed: neither on
    the batch that it comes in nor on its place there.

    Args:
        images: uint8 [n, h, w, 3], RGB, at least 8 pixels a side. Lengths that the paper gives in pixels are for 32,
            and grow with the shorter side; far below 32 the blurs of less than a pixel do nothing.
        corruption: of CORRUPTIONS.
        severity: 1 to 5.
        seed: of all random numbers, 0..2**32-1.
        ids: int [n], at least 0, which example of its data set each image is; None: 0, 1, 2, ...

    Returns:
        uint8 [n, h, w, 3].

    Raises:
        InputError: no such corruption or severity, or other images or ids than these.
    """
    if corruption not in FUNCTIONS:
        raise unknown("corruption", str(corruption), CORRUPTIONS)
    check(severity in SEVERITIES, "severity", "1, 2, 3, 4 or 5", severity)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or min(images.shape[1:3]) < SMALLEST:
        raise InputError(
            f"images: expected uint8 [n, h, w, 3] of at least {SMALLEST} pixels a side, "
            f"received {images.dtype} {list(images.shape)}."
        )
    ids = np.arange(len(images)) if ids is None else np.asarray(ids)
    if ids.shape != (len(images),):
        raise InputError(f"ids: expected {len(images)}, one for each image, received shape {list(ids.shape)}.")
    corrupted = np.empty_like(images)
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        draws = Draws(corruption, severity, seed, ids[part])
        values = FUNCTIONS[corruption](images[part].astype(np.float32) / 255, severity, draws)
        corrupted[part] = np.rint(np.clip(values, 0, 1) * 255)
    return corrupted
