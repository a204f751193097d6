"""JSON values, raw bytes and image files -> uint8 images of a model's shape. All that is wrong with them is a 400."""

import base64
import binascii
import gc
import json
import math
from typing import Any

import numpy as np

from pipelines.errors import InputError
from pipelines.image_folder import fit_image, read_image
from tfcifar.explain.overlay import overlay_size
from tfcifar.serving.errors import bad_request
from tfcifar.serving.served import ServedModel

JPEG, JPEG_SCAN = b"\xff\xd8", b"\xff\xda"  # how the file, and each scan in it, begin
MAX_SCANS = 100  # programs write a dozen; each may cost as much time as a whole image and take no more than 40 bytes


def read_json_object(body: bytes) -> dict:
    """A JSON object. Raises RequestError: anything else."""
    gc.disable()  # it would look through all that has been read again and again: up to five times as slow
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise bad_request(f"body: expected JSON, received something else: {str(error)[:200]}") from None
    finally:
        gc.enable()
    if not isinstance(content, dict):
        raise bad_request("body: expected a JSON object, received another JSON value.")
    return content


def images_from_json(value: Any, model: ServedModel, shape: list[int] | None = None) -> np.ndarray:
    """Nested lists of numbers 0..255 -> uint8 [n, *image_shape].

    Args:
        shape: given beside the numbers, which may then be flat; None: the nesting says it.

    Raises:
        RequestError: other types, numbers or shapes.
    """
    nesting = _nesting(value)
    shape = nesting if shape is None else shape
    check_shape(shape, model)  # before NumPy looks at millions of numbers that are no images
    if math.prod(nesting) != math.prod(shape):
        raise bad_request(f"data: expected {math.prod(shape)} numbers for shape {shape}, received others.")
    # As Python's objects first: one long text among numbers would make NumPy give every number as much room.
    numbers = np.array(value, object)
    if list(numbers.shape) != nesting:
        raise bad_request(f"data: expected numbers nested as {_expected(model)}, received a ragged array.")
    flat = numbers.ravel()
    if set(map(type, flat)) != {int} or not 0 <= flat.min() <= flat.max() <= 255:
        raise bad_request("data: expected whole numbers 0..255, received others.")
    return numbers.reshape(shape).astype(np.uint8)


def images_from_bytes(data: memoryview, shape: list[int], model: ServedModel) -> np.ndarray:
    """Raw uint8, row by row -> [n, *image_shape], a view. Raises RequestError."""
    check_shape(shape, model)
    if len(data) != math.prod(shape):
        raise bad_request(f"binary data: expected {math.prod(shape)} bytes for shape {shape}, received {len(data)}.")
    return np.frombuffer(data, np.uint8).reshape(shape)


def check_shape(shape: list[int], model: ServedModel) -> None:
    """Raises RequestError unless `shape` is [n, *image_shape] with 1..max_images images."""
    if tuple(shape[1:]) != model.image_shape:
        raise bad_request(f"shape: expected {_expected(model)}, received {list(shape)[:10]}.")
    if not 1 <= shape[0] <= model.max_images:
        raise bad_request(f"shape: expected 1 to {model.max_images} images in a request, received {shape[0]}.")


def image_from_file(content: bytes, model: ServedModel, max_pixels: int) -> tuple[np.ndarray, tuple[int, int]]:
    """An image file's bytes -> uint8 [1, *image_shape], fitted as `predict` does, and its (height, width).

    Raises:
        RequestError: not an image, or one that is too large; what the file claims to be does not matter.
    """
    picture = _picture_from_file(content, max_pixels)
    return fit_image(picture, *model.image_shape[:2])[None], picture.shape[:2]


def image_and_seen_from_file(content: bytes, model: ServedModel, max_pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """As `image_from_file`, and what the model sees of the picture in the size of an overlay: uint8 [h, w, 3].

    Both in one call: the picture in its own size, which may be a hundred times as large, waits for nobody.
    """
    picture = _picture_from_file(content, max_pixels)
    height, width, _ = model.image_shape
    return fit_image(picture, height, width)[None], fit_image(picture, *overlay_size(height, width))


def _picture_from_file(content: bytes, max_pixels: int) -> np.ndarray:
    """An image file's bytes -> uint8 [h, w, 3], in its own size. Raises RequestError, as `image_from_file`."""
    if content.startswith(JPEG) and content.count(JPEG_SCAN) > MAX_SCANS:
        raise bad_request(f"image: expected a JPEG of at most {MAX_SCANS} scans, received more.")
    try:
        return read_image(content, max_pixels)
    except InputError as error:
        raise bad_request(str(error)) from None


def decode_base64(value: Any) -> bytes:
    """The bytes in TensorFlow Serving's {"b64": "..."}. Raises RequestError."""
    if not isinstance(value, str):
        raise bad_request('b64: expected {"b64": "base64 of an image file"}.')
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise bad_request("b64: expected base64, received something else.") from None


def _nesting(value: Any) -> list[int]:
    """The shape of nested lists, if they all are as long as the first of their level."""
    sizes = []
    while isinstance(value, list):
        sizes.append(len(value))
        value = value[0] if value else None
    return sizes


def _expected(model: ServedModel) -> str:
    return f"[n, {', '.join(map(str, model.image_shape))}]"
