"""Views of test-time augmentation, against hand-placed pixels and plain NumPy."""

import keras
import numpy as np
import pytest
from PIL import Image

from tfcifar.evaluation.tta import VIEWS, predict_logits
from tfcifar.recipe import TTA_VIEWS


@pytest.fixture(scope="module")
def images():
    """Higher than wide, so that an exchange of the axes would show."""
    return np.random.default_rng(0).integers(0, 256, (7, 6, 5, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def linear():
    """A linear classifier on the pixels, 4 classes: it tells every view from every other."""
    inputs = keras.Input((6, 5, 3))
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Flatten()(inputs)))
    kernel = np.random.default_rng(1).normal(0, 0.01, (90, 4)).astype(np.float32)
    model.set_weights([kernel, np.arange(4, dtype=np.float32)])
    return model


def expected_logits(model, images):
    kernel, bias = model.get_weights()
    return images.reshape(len(images), -1).astype(np.float64) @ kernel + bias


def test_the_views_are_those_that_a_recipe_may_name_and_their_weights_add_up_to_one():
    assert tuple(VIEWS) == TTA_VIEWS
    assert [len(views) for views in VIEWS.values()] == [1, 2, 6, 18, 10]
    assert all(sum(weight for weight, _ in views) == 1 for views in VIEWS.values())


def test_one_bright_pixel_is_found_where_the_six_views_put_it():
    inputs = keras.Input((5, 5, 1))
    pixels = keras.Model(inputs, keras.layers.Flatten()(inputs))  # the logits are the pixels
    image = np.zeros((1, 5, 5, 1), np.uint8)
    image[0, 2, 2] = 80
    expected = [
        [0, 0, 0, 0, 0],
        [0, 10, 0, 10, 0],  # up and left by one, and its mirror image: an eighth each
        [0, 0, 40, 0, 0],  # where it was, and its mirror image: a quarter each
        [0, 10, 0, 10, 0],  # down and right by one, and its mirror image
        [0, 0, 0, 0, 0],
    ]
    assert predict_logits(pixels, image, "flip_translate", 1).reshape(5, 5).tolist() == expected


def test_flip_is_the_mean_with_the_mirror_image(linear, images):
    expected = (expected_logits(linear, images) + expected_logits(linear, images[:, :, ::-1])) / 2
    np.testing.assert_allclose(
        predict_logits(linear, images, "flip", 3), expected, rtol=0, atol=1e-4
    )  # logits of order 10, in float32


def test_flip_translate_is_half_the_image_and_half_two_translations_with_reflected_border(linear, images):
    def flip_mean(views):
        return (expected_logits(linear, views) + expected_logits(linear, views[:, :, ::-1])) / 2

    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    translated = (flip_mean(padded[:, :6, :5]) + flip_mean(padded[:, 2:, 2:])) / 2
    expected = 0.5 * flip_mean(images) + 0.5 * translated
    np.testing.assert_allclose(
        predict_logits(linear, images, "flip_translate", 3), expected, rtol=0, atol=1e-4
    )  # logits of order 10, in float32


def test_one_bright_pixel_is_found_at_its_eight_neighbours_too():
    inputs = keras.Input((5, 5, 1))
    pixels = keras.Model(inputs, keras.layers.Flatten()(inputs))
    image = np.zeros((1, 5, 5, 1), np.uint8)
    image[0, 2, 2] = 160
    around = np.pad(np.full((3, 3), 10), 1)  # half of the weight in eight places: a sixteenth each
    around[2, 2] = 80
    assert predict_logits(pixels, image, "flip_translate_8", 1).reshape(5, 5).tolist() == around.tolist()


def test_multi_crop_is_half_the_image_and_half_its_four_corners_enlarged():
    inputs = keras.Input((16, 16, 1))
    pixels = keras.Model(inputs, keras.layers.Flatten()(inputs))
    image = np.random.default_rng(2).integers(0, 256, (1, 16, 16, 1)).astype(np.uint8)
    corners = [image[0, top : top + 14, left : left + 14, 0] for top in (0, 2) for left in (0, 2)]
    enlarged = [np.asarray(Image.fromarray(corner.astype(np.float32)).resize((16, 16), Image.Resampling.BILINEAR))
                for corner in corners]  # fmt: skip
    views = 0.5 * image[0, ..., 0] + 0.5 * np.mean(enlarged, axis=0)
    expected = (views + views[:, ::-1]) / 2
    np.testing.assert_allclose(
        predict_logits(pixels, image, "multi_crop", 1).reshape(16, 16), expected, rtol=0, atol=0.01
    )  # of 0..255


def test_none_is_the_plain_prediction_bit_for_bit(linear, images):
    logits = predict_logits(linear, images, "none", 3)
    assert logits.dtype == np.float32
    assert np.array_equal(logits, linear.predict(images, batch_size=3, verbose=0))


def test_the_batch_size_decides_nothing(linear, images):
    one, all_at_once = (predict_logits(linear, images, "flip_translate", size) for size in (1, 100))
    np.testing.assert_allclose(one, all_at_once, rtol=0, atol=1e-4)  # logits of order 10, in float32
