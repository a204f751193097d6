"""Digital: contrast, elastic deformation, pixelation, JPEG compression and saturation.

Signatures and sources as in `corruptions_noise`.
"""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image
from scipy import ndimage

BOX = Image.Resampling.BOX


def contrast(images, severity, draws):
    """Each colour drawn towards its mean over the image."""
    kept = (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1]
    means = images.mean((1, 2), keepdims=True)
    return (images - means) * kept + means


def saturate(images, severity, draws):
    """The saturation of HSV scaled and raised; hue and value stay. A grey pixel has the hue 0: raised, it is red."""
    factor, added = ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2))[severity - 1]
    value = images.max(-1, keepdims=True)
    chroma = value - images.min(-1, keepdims=True)
    saturation = np.divide(chroma, value, out=np.zeros_like(value), where=value > 0)
    # How far each colour is from the highest, 0..1: what hue means here.
    red = np.broadcast_to(np.array([0, 1, 1], np.float32), images.shape)
    distance = np.divide(value - images, chroma, out=red.copy(), where=np.broadcast_to(chroma > 0, images.shape))
    return value * (1 - np.clip(factor * saturation + added, 0, 1) * distance)


def jpeg_compression(images, severity, draws):
    quality = (80, 65, 58, 50, 40)[severity - 1]

    def compressed(picture: Image.Image) -> Image.Image:
        file = BytesIO()
        picture.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return _each_picture(images, compressed)


def pixelate(images, severity, draws):
    """Smaller and back again, each pixel the mean of a box."""
    share = (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1]

    def pixelated(picture: Image.Image) -> Image.Image:
        small = [max(1, int(share * side)) for side in picture.size]
        return picture.resize(small, BOX).resize(picture.size, BOX)

    return _each_picture(images, pixelated)


def _each_picture(images: np.ndarray, change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    pictures = (Image.fromarray(image) for image in np.rint(images * 255).astype(np.uint8))
    return np.stack([np.asarray(change(picture)) for picture in pictures]).astype(np.float32) / 255


def elastic_transform(images, severity, draws):
    """A random affine map, then a random smooth displacement of each pixel (Simard, Steinkraus and Platt 2003).

    Borders are mirrored. Lengths are shares of the image's size: the displacement's amplitude and smoothness, and how
    far each of the three points goes that define the affine map.
    """
    amplitude, sigma, moved = ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05),
                               (0.1, 0.03, 0.03))[severity - 1]  # fmt: skip
    _, height, width, _ = images.shape
    size = min(height, width)
    rows, columns = _affine_places(height, width, draws.uniform(-moved * size, moved * size, 3, 2))
    images = _sampled(images, rows, columns, "mirror")
    noise = draws.uniform(-1, 1, 2, height, width)
    shifts = ndimage.gaussian_filter(noise, (0, 0, sigma * size, sigma * size), mode="reflect", truncate=3)
    places = np.mgrid[:height, :width] + amplitude * size * shifts
    return _sampled(images, places[:, 0], places[:, 1], "reflect")


def _affine_places(height: int, width: int, moves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel comes from, rows and columns [n, h, w], if three points around the middle go by `moves`.

    moves: float [n, 3, 2], (x, y) in pixels.
    """
    third = min(height, width) // 3
    points = np.array([width // 2, height // 2]) + third * np.array([[1, 1], [1, -1], [-1, -1]])
    ones = np.ones((len(moves), 3, 1))
    # The map from where the points have gone back to where they were: [x, y, 1] @ map = (x, y) before.
    back = np.linalg.solve(np.concatenate([points + moves, ones], axis=2), np.broadcast_to(points, moves.shape))
    y, x = np.mgrid[:height, :width]
    before = np.stack([x, y, np.ones_like(x)], axis=-1) @ back[:, None]
    return before[..., 1], before[..., 0]


def _sampled(images: np.ndarray, rows: np.ndarray, columns: np.ndarray, border: str) -> np.ndarray:
    """Images at `rows` and `columns` [n, h, w], bilinear; `border` as in scipy.ndimage."""
    out = np.empty_like(images)
    for image, target, places in zip(images, out, zip(rows, columns, strict=True), strict=True):
        for channel in range(3):
            ndimage.map_coordinates(image[..., channel], places, target[..., channel], order=1, mode=border)
    return out
