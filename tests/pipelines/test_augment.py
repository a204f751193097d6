"""What each augmentation means, against NumPy, SciPy and Keras."""

import math

import keras
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import tensorflow as tf

from pipelines import augment as aug
from pipelines.augment_config import Augment
from pipelines.augment_erase import box_mask
from pipelines.augment_geometry import affine, rotation
from pipelines.augment_random import beta

SEED = tf.constant([7, 3])
BATCH = 64
CLASSES = 10
IDS = np.arange(BATCH)


@pytest.fixture(scope="module")
def images():
    """Non-square, each pixel of its own value."""
    return np.random.default_rng(0).uniform(0, 255, [BATCH, 12, 16, 3]).astype(np.float32)


@pytest.fixture(scope="module")
def labels():
    return np.eye(CLASSES, dtype=np.float32)[np.arange(BATCH) % CLASSES]


def test_random_flip_mirrors_about_half_of_the_images_exactly(images):
    out = aug.random_flip(images, SEED).numpy()
    flipped = [np.array_equal(new, old[:, ::-1]) for new, old in zip(out, images, strict=True)]
    kept = [np.array_equal(new, old) for new, old in zip(out, images, strict=True)]
    assert sum(flipped) + sum(kept) == BATCH
    assert 16 <= sum(flipped) <= 48


def test_alternating_flip_shows_every_example_both_ways_in_consecutive_epochs(images):
    views = [aug.alternating_flip(images, IDS, epoch, SEED).numpy() for epoch in range(3)]
    np.testing.assert_array_equal(views[1], views[0][:, :, ::-1])
    np.testing.assert_array_equal(views[2], views[0])


@pytest.mark.parametrize("seed", [(0, 0), (1, 0), (12345, 6)])
def test_alternating_flip_starts_with_half_of_consecutive_ids(seed):
    ids = tf.range(10_000, dtype=tf.int64)
    pixels = tf.tile([[[[0.0], [1.0]]]], [10_000, 1, 1, 1])
    flipped = aug.alternating_flip(pixels, ids, 0, tf.constant(seed))[:, 0, 0, 0].numpy()
    assert abs(flipped.mean() - 0.5) < 0.02  # 4 standard deviations
    assert abs(np.mean(flipped[1:] == flipped[:-1]) - 0.5) < 0.02  # neighbours are independent


def test_alternating_flip_depends_on_the_example_and_not_on_its_place_or_batch(images):
    config = Augment(flip="alternating")
    order = np.random.default_rng(1).permutation(BATCH)
    first, _ = aug.augment_batch(images, np.eye(BATCH), IDS, 0, tf.constant([7, 0]), config)
    later, _ = aug.augment_batch(images[order], np.eye(BATCH), IDS[order], 0, tf.constant([7, 99]), config)
    np.testing.assert_array_equal(later, first.numpy()[order])


@pytest.mark.parametrize("mode", ["reflect", "constant"])
def test_crop_is_one_of_the_windows_of_the_padded_image_and_all_occur(mode):
    padding, count = 2, 512
    image = np.random.default_rng(0).uniform(1, 255, [6, 8, 3]).astype(np.float32)
    padded = np.pad(image, [(padding, padding), (padding, padding), (0, 0)], mode)
    windows = {padded[y : y + 6, x : x + 8].tobytes() for y in range(5) for x in range(5)}
    out = aug.crop_translate(np.stack([image] * count), SEED, padding, mode).numpy()
    assert {crop.tobytes() for crop in out} == windows


def test_shift_moves_by_at_most_the_fraction_of_each_side():
    image = np.zeros([20, 40, 1], np.float32)
    image[10, 20] = 1
    out = aug.shift(np.stack([image] * 512), SEED, 0.1, "constant").numpy()
    _, rows, columns, _ = np.nonzero(out)
    assert set(rows) == set(range(8, 13))
    assert set(columns) == set(range(16, 25))


def test_rotation_by_a_right_angle_is_exact():
    square = np.random.default_rng(0).uniform(0, 255, [2, 9, 9, 3]).astype(np.float32)
    out = affine(square, rotation(tf.constant([math.pi / 2, -math.pi / 2])))
    np.testing.assert_allclose(out[0], np.rot90(square[0]), atol=1e-2)
    np.testing.assert_allclose(out[1], np.rot90(square[1], -1), atol=1e-2)


def test_rotation_agrees_with_scipy_away_from_the_border(images):
    image = scipy.ndimage.gaussian_filter(images[0], (1, 1, 0))
    expected = scipy.ndimage.rotate(image, 15, reshape=False, order=1)
    out = affine(image[np.newaxis], rotation(tf.constant([math.radians(15)])))[0].numpy()
    np.testing.assert_allclose(out[4:-4, 4:-4], expected[4:-4, 4:-4], atol=0.01)


def test_rotate_draws_one_angle_per_image_within_the_limit():
    # A ramp to the right; after a turn by t its slope is cos t to the right and sin t up.
    ramp = np.broadcast_to(np.arange(16, dtype=np.float32)[:, np.newaxis], [BATCH, 16, 16, 1])
    out = aug.rotate(ramp, SEED, 15).numpy()[..., 0]
    slope = (out[:, 8, 8] - out[:, 8, 7]) + 1j * (out[:, 8, 8] - out[:, 7, 8])
    degrees = np.degrees(np.angle(slope))
    assert np.abs(degrees).max() <= 15.01
    assert len(np.unique(degrees.round(3))) > BATCH // 2
    assert degrees.min() < -8
    assert degrees.max() > 8


def test_color_jitter_scales_each_image_by_its_own_brightness_within_the_range(images):
    out = aug.color_jitter(images / 2, SEED, brightness=0.4, contrast=0, saturation=0).numpy()
    factors = out / (images / 2)
    per_image = factors.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(factors, np.broadcast_to(per_image[:, None, None, None], factors.shape), rtol=1e-2)
    assert per_image.min() >= 0.6
    assert per_image.max() <= 1.4
    assert len(np.unique(per_image.round(4))) > BATCH // 2


def test_color_jitter_contrast_keeps_the_mean_and_hue_and_saturation_keep_the_luma(images):
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    middle = 110 + images / 12  # far from the limits, so that nothing is clipped
    contrast = aug.color_jitter(middle, SEED, brightness=0, contrast=0.5, saturation=0).numpy()
    np.testing.assert_allclose((contrast @ luma).mean((1, 2)), (middle @ luma).mean((1, 2)), atol=0.05)
    assert np.ptp(contrast.std((1, 2, 3)) / middle.std((1, 2, 3))) > 0.5
    chroma = aug.color_jitter(middle, SEED, brightness=0, contrast=0, saturation=0.5, hue=0.2).numpy()
    np.testing.assert_allclose(chroma @ luma, middle @ luma, atol=0.1)
    assert np.abs(chroma - middle).max() > 1


def test_color_jitter_of_a_gray_image_changes_no_color(images):
    gray = np.repeat(images[..., :1], 3, axis=-1)
    out = aug.color_jitter(gray, SEED, brightness=0, contrast=0, saturation=0.5, hue=0.5).numpy()
    np.testing.assert_allclose(out, gray, atol=0.1)
    assert aug.color_jitter(images[..., :1], SEED, 0.3, 0.3, 0.3).shape == (BATCH, 12, 16, 1)


def test_cutout_paints_a_square_that_the_border_may_cut():
    ones = np.ones([512, 12, 16, 1], np.float32)
    holes = aug.cutout(ones, SEED, 6, fill=0.0).numpy()[..., 0] == 0
    rows, columns = holes.any(axis=2).sum(axis=1), holes.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(holes.sum(axis=(1, 2)), rows * columns)  # a full rectangle
    assert (rows.min(), rows.max()) == (3, 6)
    assert (columns.min(), columns.max()) == (3, 6)


def test_random_erasing_replaces_one_rectangle_of_the_given_share_of_images():
    size, count = 32, 1000
    blank = np.full([count, size, size, 3], -1, np.float32)
    erased = (aug.random_erasing(blank, SEED, 0.3).numpy() >= 0).all(axis=-1)
    hit = erased.any(axis=(1, 2))
    assert abs(hit.mean() - 0.3) < 0.06  # 4 standard deviations
    rows, columns = erased[hit].any(axis=2).sum(axis=1), erased[hit].any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(erased[hit].sum(axis=(1, 2)), rows * columns)
    area = rows * columns / size**2
    assert 0.015 < area.min() < 0.06
    assert 0.3 < area.max() < 0.42
    assert 0.25 < (rows / columns).min() < 0.5
    assert 2 < (rows / columns).max() < 4


def test_beta_draws_follow_the_beta_distribution():
    draws = beta(tf.zeros([2000, 1]), SEED, 0.2).numpy()
    assert scipy.stats.kstest(draws, scipy.stats.beta(0.2, 0.2).cdf).pvalue > 0.01


def test_mixup_keeps_label_mass_and_mixes_pixels_by_the_same_factor(images):
    identities = np.eye(BATCH, dtype=np.float32)  # each image its own class: labels show shares and partners
    mixed, soft = (t.numpy() for t in aug.mixup(images, identities, SEED, 1.0))
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(mixed, np.einsum("ij,jhwc->ihwc", soft, images), rtol=1e-4)
    assert len(np.unique(np.diag(soft))) > BATCH // 2


def test_cutmix_label_weight_is_the_exact_area_pasted():
    shades = np.broadcast_to(np.arange(BATCH, dtype=np.float32)[:, None, None, None], [BATCH, 12, 16, 3])
    mixed, soft = (t.numpy() for t in aug.cutmix(shades, np.eye(BATCH, dtype=np.float32), SEED, 1.0))
    for index in range(BATCH):
        own = mixed[index] == index
        np.testing.assert_allclose(soft[index, index], own.mean(), atol=1e-6)
        np.testing.assert_allclose(soft[index, index - 1], (mixed[index] == shades[index - 1]).mean(), atol=1e-6)
        box = ~own[..., 0]
        assert box.sum() == box.any(axis=0).sum() * box.any(axis=1).sum()  # one rectangle


def test_smooth_labels_means_what_keras_means(labels):
    logits = np.random.default_rng(0).normal(size=labels.shape).astype(np.float32)
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)(labels, logits)
    smooth = aug.smooth_labels(labels, 0.1)
    ours = keras.losses.CategoricalCrossentropy(from_logits=True)(smooth, logits)
    assert float(ours) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("mode", ["reflect", "constant"])
def test_crops_of_bytes_are_bytes_of_the_same_windows(images, mode):
    pixels = images.astype(np.uint8)
    crops = aug.crop_translate(pixels, SEED, 3, mode)
    assert crops.dtype == tf.uint8
    np.testing.assert_array_equal(crops, aug.crop_translate(pixels.astype(np.float32), SEED, 3, mode))
    padded = np.pad(pixels[5], [(3, 3), (3, 3), (0, 0)], mode)
    windows = {padded[y : y + 12, x : x + 16].tobytes() for y in range(7) for x in range(7)}
    assert crops.numpy()[5].tobytes() in windows


@pytest.mark.parametrize("channels", [1, 3])
def test_box_mask_is_one_inside_the_box_in_every_channel(channels):
    top, left, rows, columns = [-2, 3, 10], [4, -1, 14], [5, 4, 9], [3, 4, 6]
    expected = np.zeros([3, 12, 16, channels], np.float32)
    for index in range(3):
        y, x = top[index], left[index]
        expected[index, max(y, 0) : y + rows[index], max(x, 0) : x + columns[index]] = 1
    found = box_mask(np.zeros([3, 12, 16, 3]), *map(tf.constant, (top, left, rows, columns)), channels)
    np.testing.assert_array_equal(found, expected)
