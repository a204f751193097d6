"""Corruptions against independent implementations and closed forms, and what decides their random numbers."""

import numpy as np
import pytest
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from PIL import Image, ImageEnhance
from scipy import ndimage

from pipelines.corruptions import CHUNK, FUNCTIONS, corrupt
from pipelines.corruptions_blur import along_line
from pipelines.corruptions_digital import _affine_places, _sampled
from pipelines.corruptions_frost import panes
from pipelines.corruptions_names import CORRUPTIONS, EXTRA, SEVERITIES, STANDARD
from pipelines.corruptions_resample import clipped_zoom, resized
from pipelines.corruptions_weather import plasma
from pipelines.errors import InputError
from pipelines.synthetic import generate

GREY = np.full((4, 32, 32, 3), 128, np.uint8)
# Whose parameters trade one effect for another.
NOT_BY_DISTANCE = ("glass_blur", "elastic_transform", "spatter", "saturate")


@pytest.fixture(scope="module")
def images():
    return generate(24, 10, 32, seed=0).images


def distance(one, other) -> float:
    return float(np.sqrt(np.mean((one.astype(float) - other) ** 2)))


def point() -> np.ndarray:
    """One white pixel on black: what blurs make of it is their kernel."""
    images = np.zeros((1, 32, 32, 3), np.uint8)
    images[:, 16, 16] = 255
    return images


def test_there_are_15_standard_corruptions_and_4_extra_each_with_a_function():
    assert (len(STANDARD), len(EXTRA)) == (15, 4)
    assert tuple(FUNCTIONS) == CORRUPTIONS == STANDARD + EXTRA


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_an_image_depends_on_its_id_and_on_nothing_else_of_its_batch(images, corruption):
    batch = images[:6]
    before = batch.copy()
    whole = corrupt(batch, corruption, 3, seed=1)
    assert whole.dtype == np.uint8
    assert whole.shape == batch.shape
    np.testing.assert_array_equal(batch, before)
    order = np.array([4, 0, 5])
    np.testing.assert_array_equal(corrupt(batch[order], corruption, 3, seed=1, ids=order), whole[order])
    random = corruption not in ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression",
                                "gaussian_blur", "saturate")  # fmt: skip
    assert np.array_equal(corrupt(batch, corruption, 3, seed=2), whole) != random
    assert np.array_equal(corrupt(batch, corruption, 3, seed=1, ids=np.arange(6) + 6), whole) != random


def test_batches_beyond_a_chunk_are_corrupted_to_their_end():
    many = np.repeat(GREY[:1, :8, :8], CHUNK + 2, axis=0)
    whole = corrupt(many, "gaussian_noise", 5)
    np.testing.assert_array_equal(whole[-2:], corrupt(many[-2:], "gaussian_noise", 5, ids=np.array([CHUNK, CHUNK + 1])))


@pytest.mark.parametrize("corruption", CORRUPTIONS)
@pytest.mark.parametrize("size", [(24, 40), (64, 64)])
def test_other_sizes_are_corrupted_too(corruption, size):
    batch = np.random.default_rng(0).integers(0, 256, (2, *size, 3)).astype(np.uint8)
    assert corrupt(batch, corruption, 1).shape == batch.shape
    assert corrupt(batch[:, :8, :8], corruption, 5).shape == (2, 8, 8, 3)
    assert distance(corrupt(batch, corruption, 5), batch) > 5


@pytest.mark.parametrize("corruption", sorted(set(CORRUPTIONS) - set(NOT_BY_DISTANCE)))
def test_the_distance_from_the_original_rises_with_the_severity(images, corruption):
    weak, middle, strong = (distance(corrupt(images, corruption, severity), images) for severity in (1, 3, 5))
    assert 0 < weak < middle < strong


def test_noise_has_the_deviation_of_the_paper():
    """On grey of 128 of 255: Gaussian c, Poisson sqrt(x / c), speckle x * c."""
    grey, level = np.full((16, 32, 32, 3), 128, np.uint8), 128 / 255
    for severity, gaussian, photons, speckle in ((1, 0.04, 500, 0.06), (3, 0.08, 100, 0.12), (5, 0.10, 50, 0.20)):
        for corruption, expected in (
            ("gaussian_noise", gaussian),
            ("shot_noise", np.sqrt(level / photons)),
            ("speckle_noise", level * speckle),
        ):
            noise = corrupt(grey, corruption, severity) / 255 - level
            assert noise.std() == pytest.approx(expected, rel=0.02)
            assert abs(noise.mean()) < 5 * expected / np.sqrt(noise.size) + 1 / 255 / 2


@pytest.mark.parametrize(("severity", "share"), [(1, 0.01), (5, 0.07)])
def test_impulse_noise_makes_a_share_of_the_values_black_or_white(severity, share):
    grey = np.full((16, 32, 32, 3), 128, np.uint8)
    noisy = corrupt(grey, "impulse_noise", severity)
    assert set(np.unique(noisy)) == {0, 128, 255}
    spread = np.sqrt(share / 2 / noisy.size)
    for value in (0, 255):
        assert np.mean(noisy == value) == pytest.approx(share / 2, abs=5 * spread)


def test_gaussian_blur_of_a_point_is_a_gaussian():
    kernel = corrupt(point(), "gaussian_blur", 5)[0, :, :, 0]
    y, x = np.mgrid[-16:16, -16:16]
    expected = 255 * np.exp(-(x**2 + y**2) / 2) / (2 * np.pi)  # severity 5: standard deviation 1
    np.testing.assert_allclose(kernel, expected, atol=1.2)


def test_defocus_blur_of_a_point_is_a_disk():
    """Severity 4: radius 1, a cross of five pixels. Severity 5: radius 1.5, a square of nine."""
    cross = corrupt(point(), "defocus_blur", 4)[0, 15:18, 15:18, 0]
    np.testing.assert_array_equal(cross, [[0, 51, 0], [51, 51, 51], [0, 51, 0]])
    square = corrupt(point(), "defocus_blur", 5)[0, :, :, 0]
    assert (square[15:18, 15:18] == 28).all()  # 255 / 9
    assert np.count_nonzero(square) == 9


def test_a_point_in_motion_is_half_a_gaussian_along_the_line():
    image = point().astype(np.float32)
    weights = np.exp(-(np.arange(7) ** 2) / (2 * 2.0**2))
    expected = 255 * weights / weights.sum()
    right, down = along_line(np.concatenate([image, image]), 3, 2.0, np.array([0.0, 90.0]))[..., 0]
    np.testing.assert_allclose(right[16, 16:9:-1], expected, rtol=1e-5)  # each pixel looks ahead to the right
    np.testing.assert_allclose(down[16:9:-1, 16], expected, rtol=1e-5)
    assert np.count_nonzero(right) == np.count_nonzero(down) == 7


@pytest.mark.parametrize("factor", [1.0, 1.07, 1.25, 2.25])
def test_clipped_zoom_is_that_of_scipy(factor):
    image = np.random.default_rng(0).random((32, 32), np.float32)
    shown = int(np.ceil(32 / factor))
    first = (32 - shown) // 2
    zoomed = ndimage.zoom(image[first : first + shown, first : first + shown], factor, order=1)
    trimmed = (len(zoomed) - 32) // 2
    expected = zoomed[trimmed : trimmed + 32, trimmed : trimmed + 32]
    np.testing.assert_allclose(clipped_zoom(image, factor), expected, atol=1e-5)
    np.testing.assert_array_equal(resized(image, 32, 32), image)


@pytest.mark.parametrize("axis", [1, 2])
def test_glass_blur_takes_half_of_the_colours_from_one_pixel_before(axis):
    """Severity 1 does not smooth yet (a deviation of 0.05 pixels), so that each value is still one of the image's."""
    slope = np.broadcast_to(np.arange(32, dtype=np.uint8)[:, None], (8, 32, 32, 3)).copy()  # along axis 2
    moved = (slope.swapaxes(axis, 2).astype(int) - corrupt(slope.swapaxes(axis, 2), "glass_blur", 1)).swapaxes(axis, 2)
    assert set(np.unique(moved)) == {0, 1}
    assert not moved[:, :, :2].any()
    assert 0.47 < moved[:, 2:, 2:].mean() < 0.53


def test_glass_blur_moves_more_with_two_rounds_and_smooths_more_with_a_larger_sigma(images):
    corrupted = {severity: corrupt(images, "glass_blur", severity) for severity in SEVERITIES}
    rough = {severity: np.abs(np.diff(each.astype(int), axis=1)).mean() for severity, each in corrupted.items()}
    assert distance(corrupted[4], images) > distance(corrupted[2], images)
    assert distance(corrupted[5], images) > distance(corrupted[3], images)
    assert rough[1] > rough[3] < rough[2]
    assert rough[4] > rough[5]


def test_an_affine_map_brings_three_points_to_where_they_were():
    moves = np.random.default_rng(0).uniform(-2, 2, (5, 3, 2))
    rows, columns = _affine_places(32, 32, np.zeros((1, 3, 2)))
    np.testing.assert_allclose(rows[0], np.mgrid[:32, :32][0], atol=1e-9)
    moves = np.round(moves)  # to whole pixels, where the places can be read off
    rows, columns = _affine_places(32, 32, moves)
    for i in range(5):
        for (x, y), (dx, dy) in zip([(26, 26), (26, 6), (6, 6)], moves[i].astype(int), strict=True):
            assert columns[i, y + dy, x + dx] == pytest.approx(x)
            assert rows[i, y + dy, x + dx] == pytest.approx(y)


def test_images_are_sampled_as_by_scipys_affine_transform(images):
    matrix, offset = np.array([[0.9, 0.2], [-0.1, 1.1]]), np.array([1.5, -2.0])
    places = np.einsum("ij,jyx->iyx", matrix, np.mgrid[:32, :32]) + offset[:, None, None]
    values = images[:1].astype(np.float32)
    found = _sampled(values, places[None, 0], places[None, 1], "mirror")
    expected = ndimage.affine_transform(values[0, ..., 1], matrix, offset, order=1, mode="mirror")
    np.testing.assert_allclose(found[0, ..., 1], expected, atol=1e-3)


def test_elastic_transform_bends_what_severity_one_only_shears():
    """Of a slope of brightness an affine map leaves a plane, where no border is mirrored."""
    slope = np.broadcast_to((np.arange(64) * 4).astype(np.uint8)[:, None], (8, 64, 64, 3))
    y, x = np.mgrid[24:40, 24:40]
    plane = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1)
    for severity, low, high in ((1, 0, 0.35), (5, 1, 10)):  # rounding has a deviation of 0.29
        bent = corrupt(slope, "elastic_transform", severity)[:, 24:40, 24:40, 0].reshape(8, -1).T.astype(float)
        fitted = plane @ np.linalg.lstsq(plane, bent, rcond=None)[0]
        assert low < (bent - fitted).std() < high


@pytest.mark.parametrize(("severity", "added"), [(1, 0.05), (3, 0.15), (5, 0.3)])
def test_brightness_raises_the_value_of_hsv(images, severity, added):
    hsv = rgb_to_hsv(images / 255)
    hsv[..., 2] = np.minimum(hsv[..., 2] + added, 1)
    np.testing.assert_allclose(corrupt(images, "brightness", severity), 255 * hsv_to_rgb(hsv), atol=0.51)
    black = np.zeros((1, 8, 8, 3), np.uint8)
    assert (corrupt(black, "brightness", severity) == round(255 * added)).all()


@pytest.mark.parametrize(
    ("severity", "factor", "added"), [(1, 0.3, 0), (2, 0.1, 0), (3, 1.5, 0), (4, 2, 0.1), (5, 2.5, 0.2)]
)
def test_saturate_scales_the_saturation_of_hsv(images, severity, factor, added):
    batch = np.concatenate([images[:4], GREY])  # grey, whose hue both take for red
    hsv = rgb_to_hsv(batch / 255)
    hsv[..., 1] = np.clip(hsv[..., 1] * factor + added, 0, 1)
    np.testing.assert_allclose(corrupt(batch, "saturate", severity), 255 * hsv_to_rgb(hsv), atol=0.51)


@pytest.mark.parametrize(("severity", "factor"), [(1, 0.75), (5, 0.15)])
def test_contrast_of_a_grey_image_is_that_of_pillow(images, severity, factor):
    grey = np.repeat(images[:4].mean(-1, keepdims=True).astype(np.uint8), 3, axis=-1)
    corrupted = corrupt(grey, "contrast", severity).astype(float)
    for image, found in zip(grey, corrupted, strict=True):
        expected = np.asarray(ImageEnhance.Contrast(Image.fromarray(image)).enhance(factor), float)
        assert np.abs(found - expected).max() <= 2  # Pillow rounds the mean and cuts off


@pytest.mark.parametrize(("severity", "left"), [(1, 30), (3, 27), (5, 20)])
def test_pixelate_leaves_as_many_different_rows_and_columns_as_the_paper_says(severity, left):
    random = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)
    pixelated = corrupt(random, "pixelate", severity)[0]
    assert len(np.unique(pixelated, axis=0)) == len(np.unique(pixelated, axis=1)[0]) == left


def test_jpeg_artefacts_are_those_of_the_quality_of_the_paper(images):
    from io import BytesIO

    file = BytesIO()
    Image.fromarray(images[0]).save(file, "JPEG", quality=40)
    np.testing.assert_array_equal(corrupt(images[:1], "jpeg_compression", 5)[0], np.asarray(Image.open(file)))


def test_plasma_of_two_by_two_points_by_hand():
    noise = np.array([[[0.5, 0.2], [-0.1, 0.4]]])
    # The corner is 0; the middle 0 + 0.4; each side the mean of two corners and two middles (0.2) + its noise.
    heights = np.array([[0, 0.2e4 + 0.2e4], [0.2e4 - 0.1e4, 0.4e4]])
    np.testing.assert_allclose(plasma(noise, 2.0)[0], heights / 0.4e4, atol=1e-6)


def test_fog_keeps_the_brightest_value_within_the_image_and_lightens_the_dark():
    dark = np.zeros((2, 32, 32, 3), np.uint8)
    dark[:, 0, 0] = 200
    foggy = corrupt(dark, "fog", 3)
    assert foggy.max() <= 200
    assert foggy.mean() > 20


def test_snow_lightens_and_falls_from_both_sides():
    snowy = corrupt(GREY, "snow", 3).astype(int)
    assert (snowy >= 128).all()
    np.testing.assert_allclose(snowy, snowy[:, ::-1, ::-1], atol=1)  # on grey, the second layer is the first turned


def test_ice_repeats_at_its_borders_and_has_dark_and_light():
    ice = panes()
    assert ice.shape == (5, 256, 256)
    assert 0 <= ice.min() < 0.1
    assert 0.9 < ice.max() <= 1
    across, inside = np.abs(ice[:, 0] - ice[:, -1]).mean(), np.abs(np.diff(ice, axis=1)).mean()
    assert across < 1.2 * inside
    assert not np.allclose(ice[0], ice[1])


def test_spatter_grows_with_the_severity_of_each_liquid():
    distances = {severity: distance(corrupt(GREY, "spatter", severity), GREY) for severity in SEVERITIES}
    assert 0 < distances[1] < distances[2] < distances[3]
    assert 0 < distances[4] < distances[5]


def test_spatter_is_water_up_to_severity_three_and_mud_beyond():
    water, mud = corrupt(GREY, "spatter", 3).astype(int), corrupt(GREY, "spatter", 5).astype(int)
    assert (water >= 128).all()
    assert (water[..., 1] == water[..., 2]).all()  # pale turquoise: as much green as blue, less red
    assert (water[..., 0] < water[..., 1]).any()
    assert (mud <= 128).all()
    assert (mud.reshape(-1, 3) == [63, 42, 20]).all(1).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((GREY, "gausian_noise", 1), r"corruption: no such name: gausian_noise\. Did you mean gaussian_noise\?"),
        ((GREY, "fog", 6), r"severity: expected 1, 2, 3, 4 or 5, received 6\."),
        ((GREY, "fog", 0), "severity: expected"),
        ((GREY.astype(np.float32), "fog", 1), r"images: expected uint8 .* received float32 \[4, 32, 32, 3\]\."),
        ((GREY[:, :4], "fog", 1), "at least 8 pixels a side"),
        ((GREY, "fog", 1, 0, np.arange(3)), r"ids: expected 4, one for each image, received shape \[3\]\."),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        corrupt(*arguments)
