"""RandAugment's operations against Pillow, which defines them, and its draws."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from pipelines import randaugment
from pipelines.randaugment import OPERATIONS, rand_augment

LEVEL = 0.5
SIGNS = np.array([1, -1, 1, -1], np.float32)


@pytest.fixture(scope="module")
def images():
    """Smooth color gradients with little contrast, so that every operation shows; not square."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 200, [4, 4, 5, 3]).astype(np.uint8)
    return np.stack([Image.fromarray(image).resize((32, 24), Image.Resampling.BILINEAR) for image in coarse])


def run(name, images):
    out = OPERATIONS[name](tf.cast(images, tf.float32), tf.constant(LEVEL * SIGNS), LEVEL)
    return out.numpy()


def pillow(name, image, sign):
    picture, factor = Image.fromarray(image), 1 + 0.9 * LEVEL * sign
    pixels = round(150 / 331 * LEVEL * (32 if name.endswith("_x") else 24) - 0.5)
    operations = {
        "autocontrast": lambda: ImageOps.autocontrast(picture),
        "equalize": lambda: ImageOps.equalize(picture),
        "brightness": lambda: ImageEnhance.Brightness(picture).enhance(factor),
        "color": lambda: ImageEnhance.Color(picture).enhance(factor),
        "contrast": lambda: ImageEnhance.Contrast(picture).enhance(factor),
        "sharpness": lambda: ImageEnhance.Sharpness(picture).enhance(factor),
        "posterize": lambda: ImageOps.posterize(picture, 6),  # 2 of 4 bits dropped at half level
        "solarize": lambda: ImageOps.solarize(picture, 128),
        "translate_x": lambda: _affine(picture, (1, 0, sign * pixels, 0, 1, 0)),
        "translate_y": lambda: _affine(picture, (1, 0, 0, 0, 1, sign * pixels)),
    }
    return np.asarray(operations[name]())


def _affine(picture, coefficients):
    return picture.transform(picture.size, Image.Transform.AFFINE, coefficients, fillcolor=(127, 127, 127))


# Pillow rounds after each step (gray values, means, factors), ours does not: up to 2 of 255.
@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("autocontrast", 2),
        ("equalize", 0),
        ("brightness", 2),
        ("color", 2),
        ("contrast", 2),
        ("sharpness", 2),
        ("posterize", 0),
        ("solarize", 0),
        ("translate_x", 0.5),
        ("translate_y", 0.5),
    ],
)
def test_operation_agrees_with_pillow(images, name, tolerance):
    out = run(name, images)
    expected = np.stack([pillow(name, image, sign) for image, sign in zip(images, SIGNS, strict=True)])
    assert np.abs(out - expected).max() <= tolerance + 1e-3
    assert np.abs(expected.astype(float) - images).max() >= 3  # the operation did something


def test_shear_moves_rows_in_proportion_to_their_distance_from_the_centre():
    column = np.zeros([2, 21, 21, 1], np.float32)
    column[:, :, 10] = 255
    out = OPERATIONS["shear_x"](tf.constant(column), tf.constant([1.0, -1.0]), 1.0).numpy()
    assert (out[:, 10, :, 0].argmax(axis=1) == 10).all()
    assert list(out[:, 0, 5:16, 0].argmax(axis=1) + 5) == [13, 7]  # 0.3 * 10 rows = 3 pixels
    turned = OPERATIONS["shear_y"](tf.constant(column.swapaxes(1, 2)), tf.constant([1.0, -1.0]), 1.0)
    np.testing.assert_allclose(turned, out.swapaxes(1, 2), atol=1e-3)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_operation_accepts_an_empty_part_and_flat_images(name):
    empty = OPERATIONS[name](tf.zeros([0, 24, 32, 3]), tf.zeros([0]), LEVEL)
    assert empty.shape == (0, 24, 32, 3)
    flat = OPERATIONS[name](tf.fill([2, 24, 32, 1], 90.0), tf.constant([LEVEL, -LEVEL]), LEVEL)
    assert np.isfinite(flat).all()


def test_each_image_draws_its_own_operation_and_returns_to_its_place(monkeypatch):
    stamps = {f"add_{i}": lambda part, signed, level, i=i: part + i for i in range(14)}
    monkeypatch.setattr(randaugment, "OPERATIONS", stamps)
    batch = tf.range(0.0, 100_000.0, 100.0)[:, None, None, None] * tf.ones([1, 2, 2, 3])
    stamped = (rand_augment(batch, tf.constant([1, 2]), 1, 9.0) - batch)[:, 0, 0, 0].numpy()
    counts = np.bincount(stamped.astype(int), minlength=14)
    assert set(stamped) == set(range(14))
    assert counts.min() > 35  # of 71 expected: 4 standard deviations


def test_magnitude_zero_leaves_little_and_no_layers_leave_all(images):
    batch = tf.cast(images, tf.float32)
    assert rand_augment(batch, tf.constant([1, 2]), 0, 9.0) is batch
    for name in ("shear_x", "translate_y", "rotate", "brightness", "sharpness", "posterize"):
        np.testing.assert_allclose(OPERATIONS[name](batch, tf.zeros([4]), 0.0), batch, atol=1e-2)
