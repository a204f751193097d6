"""Whether an exported or translated model computes what the model does from which it was made."""

from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import InputError

if TYPE_CHECKING:
    import keras

# What rounding alone may change, as a share of the range of the outputs: another graph adds the same products in
# another order, and may fuse operations that Keras rounds one by one. One rounding is 2^-24 in float32, 2^-11 in
# float16, 2^-8 in bfloat16; some tens of layers add up a few of them. A lost weight or other preprocessing changes
# outputs by a large part of their range. Seen over all models of this project: up to 7e-7 in float32, 0.003 in
# bfloat16.
TOLERANCE = {"float32": 1e-4, "float16": 0.01, "bfloat16": 0.05}


def compare(expected: np.ndarray, received: np.ndarray, precision: str, name: str) -> dict:
    """The largest difference of two arrays of outputs, such as logits.

    Args:
        precision: key of TOLERANCE, of the coarser of the two.
        name: of what gave `received`, for the error.

    Returns:
        `images` (their number), `max_difference`, `logit_range` (highest minus lowest output), `precision` and
        `tolerance` (on max_difference / logit_range).

    Raises:
        InputError: other shapes or dtypes, or a difference above the tolerance or not a number.
    """
    if received.shape != expected.shape or received.dtype != np.float32:
        raise InputError(
            f"export: expected outputs float32 {list(expected.shape)} from the {name}, received {received.dtype} "
            f"{list(received.shape)}; nothing was written."
        )
    difference, logit_range = float(np.abs(received - expected).max()), float(np.ptp(expected))
    tolerance = TOLERANCE[precision]
    if not difference <= tolerance * logit_range:  # so written, NaN fails too
        raise InputError(
            f"export: the {name}'s logits differ from the Keras model's by up to {difference:.3g}; expected at most "
            f"{tolerance * logit_range:.3g} ({tolerance:g} of their range, for {precision}). Nothing was written."
        )
    return {
        "images": len(expected),
        "max_difference": difference,
        "logit_range": logit_range,
        "precision": precision,
        "tolerance": tolerance,
    }


def compute_precision(model: "keras.Model") -> str:
    """The coarsest compute dtype among the layers of a Keras model, a key of TOLERANCE."""
    used = {layer.compute_dtype for layer in model._flatten_layers()}
    return next((dtype for dtype in ("bfloat16", "float16") if dtype in used), "float32")


def agreement(expected: np.ndarray, received: np.ndarray) -> dict:
    """How a quantized model's logits [n, k] go with those of the float model; there is no tolerance to keep.

    Returns:
        `images` (their number), `agreement` (share of them with the same class on top), `max_difference`,
        `logit_range` (highest minus lowest expected logit).
    """
    return {
        "images": len(expected),
        "agreement": float(np.mean(expected.argmax(-1) == received.argmax(-1))),
        "max_difference": float(np.abs(received - expected).max()),
        "logit_range": float(np.ptp(expected)),
    }


def parity_images(size: tuple[int, int]) -> np.ndarray:
    """uint8 [96, height, width, 3], the same on every machine: 64 of noise, 32 of shapes; never a test image."""
    from pipelines.image_folder import fit_images
    from pipelines.synthetic import generate

    height, width = size
    noise = np.random.RandomState(0).randint(0, 256, (64, height, width, 3)).astype(np.uint8)
    shapes = generate(32, num_classes=10, size=max(height, width), seed=0).images
    return np.concatenate([noise, fit_images(np.asarray(shapes), height, width)])
