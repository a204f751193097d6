"""Generated images of textured shapes: a data set that is always at hand, free to publish, and quick to learn.

Each image shows one shape at a random place, scale and rotation, in random colours and texture, on a background
with a gradient, clutter and noise. No pixel tells the class by itself: a linear classifier on the raw pixels
stays far below a small CNN (the figures are in tests/pipelines/test_synthetic.py).

Shapes are signed distance functions, negative inside, in a frame where they fill about the unit disc; see
Inigo Quilez, https://iquilezles.org/articles/distfunctions2d/.
"""

from collections.abc import Callable

import numpy as np

from pipelines.errors import InputError
from pipelines.examples import Examples, Source

NUM_TRAIN, NUM_TEST = 5000, 1000
DEFAULT_SIZE = 32  # pixels, like CIFAR
TRAIN_SEED, TEST_SEED = 1, 2
CHUNK = 500  # images at a time: the working arrays stay small enough for the processor's caches


def _box(u, v, half_width, half_height):
    return np.maximum(np.abs(u) - half_width, np.abs(v) - half_height)


def _disc(u, v, centre, radius):
    return np.hypot(u - centre, v) - radius


def _polygon(u, v, sides, inner):
    """A regular polygon, inner = 1, or a star whose edges are drawn in by 1 / inner at their middle."""
    angle = np.mod(np.arctan2(v, u), 2 * np.pi / sides) - np.pi / sides
    radius = np.hypot(u, v)
    edge = np.cos(np.pi / sides) * (1 + (inner - 1) * (1 - np.abs(angle) * sides / np.pi))
    return radius * (np.cos(angle) if inner == 1 else 1.0) - edge


SHAPES = {
    "disc": lambda u, v: _disc(u, v, 0, 0.85),
    "ring": lambda u, v: np.abs(np.hypot(u, v) - 0.7) - 0.2,
    "triangle": lambda u, v: _polygon(u, v, 3, 1),
    "square": lambda u, v: _box(u, v, 0.75, 0.75),
    "frame": lambda u, v: np.abs(_box(u, v, 0.65, 0.65)) - 0.18,
    "star": lambda u, v: _polygon(u, v, 5, 0.5),
    "cross": lambda u, v: np.minimum(_box(u, v, 0.95, 0.25), _box(u, v, 0.25, 0.95)),
    "bar": lambda u, v: _box(u, v, 1.0, 0.28),
    "crescent": lambda u, v: np.maximum(_disc(u, v, 0, 0.9), -_disc(u, v, 0.45, 0.7)),
    "pair": lambda u, v: np.minimum(_disc(u, v, -0.55, 0.42), _disc(u, v, 0.55, 0.42)),
}

# Values 0..1 that mix two colours inside the shape; u, v as for the shapes.
TEXTURES = {
    "plain": lambda u, v: np.zeros_like(u),
    "stripes": lambda u, v: np.sin(9 * u) > 0,
    "checks": lambda u, v: np.sin(7 * u) * np.sin(7 * v) > 0,
    "gradient": lambda u, v: np.clip(0.5 + 0.6 * u, 0, 1),
    "dots": lambda u, v: np.cos(9 * u) + np.cos(9 * v) > 0.7,
    "rings": lambda u, v: np.sin(12 * np.hypot(u, v)) > 0,
    "rays": lambda u, v: np.sin(6 * np.arctan2(v, u)) > 0,
    "half": lambda u, v: u > 0,
    "core": lambda u, v: np.hypot(u, v) < 0.45,
    "waves": lambda u, v: np.sin(8 * u + 2 * np.sin(5 * v)) > 0,
}
MAX_CLASSES = len(SHAPES) * len(TEXTURES)


def open_synthetic(dataset: str = "synthetic", image_size: int | None = None) -> Source:
    """Generate the data set: 5,000 training images and, when `load_test` is called, 1,000 test images.

    Up to 10 classes are the SHAPES, with any texture. With more, class k is shape k % 10 with texture k // 10.

    Args:
        dataset: "synthetic" (10 classes) or "synthetic:<num_classes>" with 2..100 classes.
        image_size: pixels, at least 8; None: 32.

    Raises:
        InputError: another number of classes or size.
    """
    _, colon, count = dataset.partition(":")
    num_classes = int(count) if count.isdecimal() else 0 if colon else len(SHAPES)
    if not 2 <= num_classes <= MAX_CLASSES:
        raise InputError(f"dataset: expected synthetic:<num_classes> with 2..{MAX_CLASSES}, received {dataset}.")
    size = image_size or DEFAULT_SIZE
    if size < 8:
        raise InputError(f"image_size: expected at least 8 pixels for synthetic images, received {size}.")
    shapes, textures = list(SHAPES), list(TEXTURES)
    names = shapes if num_classes <= len(shapes) else [f"{t}_{s}" for t in textures for s in shapes]
    return Source(
        name=dataset,
        class_names=tuple(names[:num_classes]),
        image_shape=(size, size, 3),
        train=generate(NUM_TRAIN, num_classes, size, TRAIN_SEED),
        validation=None,
        load_test=lambda: generate(NUM_TEST, num_classes, size, TEST_SEED),
    )


def generate(count: int, num_classes: int, size: int, seed: int) -> Examples:
    """`count` images, uint8 [count, size, size, 3], with classes 0..num_classes-1 in equal shares, shuffled."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count, dtype=np.int64) % num_classes)
    images = np.empty((count, size, size, 3), np.uint8)
    for start in range(0, count, CHUNK):
        part = labels[start : start + CHUNK]
        textures = rng.integers(len(TEXTURES), size=len(part))
        if num_classes > len(SHAPES):
            textures = part // len(SHAPES)
        images[start : start + CHUNK] = _draw(rng, part % len(SHAPES), textures, size)
    return Examples(images, labels)


def _draw(rng: np.random.Generator, shapes: np.ndarray, textures: np.ndarray, size: int) -> np.ndarray:
    """uint8 [n, size, size, 3] for shape and texture numbers, int [n] each."""
    n = len(shapes)

    def uniform(low, high, *dims):
        return rng.uniform(low, high, (n, *dims)).astype(np.float32)

    axis = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1  # pixel centres in -1..1
    x, y = axis[None, None, :], axis[None, :, None]
    image = _background(uniform, x, y)
    ground = uniform(0, 0.4, 1, 1, 3)
    image += ground

    scale = uniform(0.5, 0.75, 1, 1)
    place, turn = uniform(-0.3, 0.3, 2, 1, 1), uniform(-1.2, 1.2, 1, 1)
    u, v = _frame(x - place[:, 0], y - place[:, 1], turn, scale)
    distance, mix = np.empty_like(u), np.empty_like(u)
    for number, shape in enumerate(SHAPES.values()):
        chosen = shapes == number
        distance[chosen] = shape(u[chosen], v[chosen])
    for number, texture in enumerate(TEXTURES.values()):
        chosen = textures == number
        mix[chosen] = texture(u[chosen], v[chosen])
    # One pixel of soft edge, as a camera would give.
    mask = np.clip(0.5 - distance * scale * (size / 2), 0, 1)[..., None]
    # Both colours are lighter than the ground in every channel, so that every shape can be seen; which of the
    # two is the lighter one differs from channel to channel, so that textures differ in hue as well.
    light, lighter = uniform(0.2, 0.35, 1, 1, 3), uniform(0.4, 0.6, 1, 1, 3)
    swap = uniform(0, 1, 1, 1, 3) < 0.5
    colour_1, colour_2 = ground + np.where(swap, lighter, light), ground + np.where(swap, light, lighter)
    image += mask * (colour_1 + mix[..., None] * (colour_2 - colour_1) - image)
    image += rng.standard_normal(image.shape, np.float32) * uniform(0.01, 0.06, 1, 1, 1)
    return (np.clip(image, 0, 1) * 255).round().astype(np.uint8)


def _frame(x, y, turn, scale):
    """Coordinates in a frame turned by `turn` radians and enlarged by `scale`."""
    cos, sin = np.cos(turn) / scale, np.sin(turn) / scale
    return x * cos + y * sin, y * cos - x * sin


def _background(uniform: Callable, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Offsets from the ground colour, float32 [n, size, size, 3]: a gradient and three blots of clutter."""
    slope = uniform(-0.15, 0.15, 2, 1, 1, 3)
    image = slope[:, 0] * x[..., None] + slope[:, 1] * y[..., None]
    for _ in range(3):
        centre, radius = uniform(-1, 1, 2, 1, 1), uniform(0.08, 0.2, 1, 1)
        inside = np.hypot(x - centre[:, 0], y - centre[:, 1]) < radius
        image += inside[..., None] * uniform(-0.3, 0.3, 1, 1, 3)
    return image
