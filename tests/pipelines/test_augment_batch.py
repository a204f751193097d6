"""The composition: one function of a batch and a seed, and the settings that it accepts."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from pipelines import augment as aug
from pipelines.augment_config import Augment
from pipelines.augment_random import split
from pipelines.errors import InputError

SEED = (7, 3)
BATCH = 64
CLASSES = 10
EVERYTHING = {
    "flip": "alternating",
    "crop_padding": 4,
    "shift_fraction": 0.1,
    "rotation_degrees": 15,
    "augmix_chains": 3,
    "randaugment_layers": 2,
    "color_jitter": 0.4,
    "erasing_probability": 0.5,
    "cutout_size": 8,
    "mixup_alpha": 0.2,
    "cutmix_alpha": 1.0,
    "label_smoothing": 0.1,
}


@pytest.fixture(scope="module")
def batch():
    """uint8 and not square, as from a folder of images."""
    images = np.random.default_rng(0).integers(0, 256, [BATCH, 24, 32, 3]).astype(np.uint8)
    return images, np.eye(CLASSES, dtype=np.float32)[np.arange(BATCH) % CLASSES], np.arange(BATCH)


def augment(batch, seed=SEED, epoch=0, **config):
    images, labels, ids = batch
    out = aug.augment_batch(images, labels, ids, epoch, tf.constant(seed, tf.int64), Augment(**config))
    return [tensor.numpy() for tensor in out]


def test_everything_off_changes_nothing(batch):
    images, labels = augment(batch)
    np.testing.assert_array_equal(images, batch[0])
    np.testing.assert_array_equal(labels, batch[1])
    assert images.dtype == np.float32


def test_everything_on_runs_in_a_graph_with_unknown_batch_size_and_keeps_ranges(batch):
    signature = [
        tf.TensorSpec([None, 24, 32, 3], tf.uint8),
        tf.TensorSpec([None, CLASSES]),
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([], tf.int64),
        tf.TensorSpec([2], tf.int64),
    ]
    config = Augment(**EVERYTHING)
    graph = tf.function(lambda *args: aug.augment_batch(*args, config), input_signature=signature)
    for count in (1, 3, BATCH):
        images, labels = graph(*(part[:count] for part in batch), 5, SEED)
        assert images.shape == (count, 24, 32, 3)
        assert images.dtype == tf.float32
        assert float(tf.reduce_min(images)) >= -1e-3  # rounding of products, no more
        assert float(tf.reduce_max(images)) <= 255 + 1e-3
        np.testing.assert_allclose(tf.reduce_sum(labels, axis=1), 1, atol=1e-6)
    assert graph.get_concrete_function().output_shapes[0].as_list() == [None, 24, 32, 3]


@pytest.mark.parametrize("field", sorted(EVERYTHING))
def test_each_setting_has_an_effect_that_the_seed_alone_decides(batch, field):
    config = {field: EVERYTHING[field]}
    once, again, other = (augment(batch, seed, **config) for seed in (SEED, SEED, (8, 3)))
    for first, second in zip(once, again, strict=True):
        np.testing.assert_array_equal(first, second)
    changed = 1 if field == "label_smoothing" else 0
    assert not np.array_equal(once[changed], batch[changed])
    if field != "label_smoothing":  # it draws nothing
        assert not np.array_equal(once[0], other[0])


def test_one_more_operation_leaves_the_draws_of_the_others(batch):
    crop_then_flip, _ = augment(batch, crop_padding=4, flip="random")
    crop, _ = augment(batch, crop_padding=4)
    for both, one in zip(crop_then_flip, crop, strict=True):
        assert np.array_equal(both, one) or np.array_equal(both, one[:, ::-1])
    # Each operation's seed is the one that it had before there were more operations: recorded runs stay what they are.
    seed = tf.constant(SEED, tf.int64)
    for count in (9, 10):
        np.testing.assert_array_equal(crop, aug.crop_translate(batch[0], split(seed, count)[0], padding=4))


def test_mixup_and_cutmix_share_the_batches_evenly(batch):
    images, labels, ids = (part[:8] for part in batch)
    uniform = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None, None, None] * 30, images.shape)
    both = tf.function(
        lambda seed: aug.augment_batch(uniform, labels, ids, 0, seed, Augment(mixup_alpha=1.0, cutmix_alpha=1.0))
    )
    # Of images of one shade each, a mixup has one shade again, a cutmix two.
    outcomes = [both(tf.constant([0, step]))[0].numpy() for step in range(100)]
    cutmix = [bool((np.ptp(images, axis=(1, 2, 3)) > 1).any()) for images in outcomes]
    assert 30 <= sum(cutmix) <= 70


def test_a_share_of_the_images_is_mixed_as_all_are_and_the_rest_stays(batch):
    images = batch[0]
    runs = [augment(batch, (0, step), cutmix_alpha=1.0, mix_probability=0.25) for step in range(40)]
    everything = [augment(batch, (0, step), cutmix_alpha=1.0) for step in range(40)]
    mixed = 0
    for (some, their_labels), (every, all_labels) in zip(runs, everything, strict=True):
        for i in range(len(images)):
            changed = not np.array_equal(some[i], images[i])
            mixed += changed
            np.testing.assert_array_equal(some[i], every[i] if changed else images[i])
            if changed:
                np.testing.assert_array_equal(their_labels[i], all_labels[i])
    assert 0.15 < mixed / (40 * len(images)) < 0.35


def test_xla_draws_the_same_numbers(batch):
    images, labels, ids = batch
    # All but rotation, AugMix and RandAugment, which XLA cannot compile.
    without = ("rotation_degrees", "augmix_chains", "randaugment_layers")
    config = Augment(**{name: value for name, value in EVERYTHING.items() if name not in without})

    def run(seed):
        return aug.augment_batch(images, labels, ids, 0, seed, config)

    seed = tf.constant(SEED)
    for plain, compiled in zip(tf.function(run)(seed), tf.function(run, jit_compile=True)(seed), strict=True):
        np.testing.assert_allclose(plain, compiled, atol=1e-3)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("crop_padding", -1, "augment.crop_padding: expected a whole number of 0 or more, received -1."),
        ("crop_padding", 2.5, "augment.crop_padding: expected a whole number of 0 or more, received 2.5."),
        ("cutout_size", True, "augment.cutout_size: expected a whole number"),
        ("erasing_probability", 1.5, "augment.erasing_probability: expected a number from 0 to 1, received 1.5."),
        ("randaugment_magnitude", 31, "augment.randaugment_magnitude: expected a number from 0 to 30"),
        ("augmix_chains", 2.0, "augment.augmix_chains: expected a whole number of 0 or more, received 2.0."),
        ("augmix_severity", 11, "augment.augmix_severity: expected a number from 0 to 10, received 11."),
        ("mixup_alpha", float("nan"), "augment.mixup_alpha: expected a number of 0 or more, received nan."),
        ("cutmix_alpha", "1", "augment.cutmix_alpha: expected a number of 0 or more, received '1'."),
        ("flip", "randon", "augment.flip: no such name: randon. Did you mean random?"),
    ],
)
def test_bad_settings_are_refused_by_name(field, value, expected):
    with pytest.raises(InputError) as error:
        Augment(**{field: value})
    assert str(error.value).startswith(expected)


def test_what_does_not_fit_the_batch_is_refused(batch):
    images, labels, ids = batch
    with pytest.raises(InputError, match="fewer pixels than the image has"):
        augment(batch, crop_padding=24)
    with pytest.raises(InputError, match="one-hot rows"):
        augment((images, ids, ids))
    with pytest.raises(InputError, match="1 or 3 channels"):
        augment((images[..., :2], labels, ids), color_jitter=0.1)
    with pytest.raises(InputError, match="Did you mean reflect"):
        aug.crop_translate(images.astype(np.float32), tf.constant(SEED), 2, "reflekt")


def test_the_settings_load_without_tensorflow():
    code = "import sys, pipelines.augment_config; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_crop_and_flip_in_one_gather_show_windows_of_the_padded_image_and_all_of_them():
    image = np.random.default_rng(0).integers(0, 256, [6, 8, 3]).astype(np.uint8)
    padded = np.pad(image, [(2, 2), (2, 2), (0, 0)], "reflect").astype(np.float32)
    windows = [padded[y : y + 6, x : x + 8] for y in range(5) for x in range(5)]
    views = {view.tobytes() for window in windows for view in (window, window[:, ::-1])}
    copies = np.stack([image] * 1000), np.eye(CLASSES)[np.zeros(1000, int)], np.arange(1000)
    for flip in ("random", "alternating"):
        out, _ = augment(copies, crop_padding=2, flip=flip)
        assert {view.tobytes() for view in out} == views


def test_next_epoch_mirrors_what_the_crop_cut_out(batch):
    # The crop comes before the flip: with the same draws, the other epoch shows the same window the other way.
    even, odd = (
        augment(batch, epoch=epoch, crop_padding=4, shift_fraction=0.1, flip="alternating") for epoch in (0, 1)
    )
    np.testing.assert_array_equal(odd[0], even[0][:, :, ::-1])


def test_moves_in_one_gather_equal_one_numpy_indexing_after_the_other():
    from pipelines.augment_geometry import move

    random = np.random.default_rng(0)
    images = random.integers(0, 256, [5, 6, 8, 3]).astype(np.uint8)
    moves = [(random.integers(0, 6, [5, 6]), random.integers(0, 8, [5, 8])) for _ in range(3)]
    expected = images
    for rows, columns in moves:
        expected = np.stack([image[np.ix_(*index)] for image, *index in zip(expected, rows, columns, strict=True)])
    found = move(tf.constant(images), *(tuple(tf.constant(part, tf.int32) for part in pair) for pair in moves))
    assert found.dtype == tf.uint8
    np.testing.assert_array_equal(found, expected)


def test_bytes_and_floats_come_out_the_same(batch):
    images, *rest = batch
    as_floats = images.astype(np.float32), *rest
    for left, right in zip(augment(batch, **EVERYTHING), augment(as_floats, **EVERYTHING), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("gpus", [[], ["GPU:0"]])
def test_with_a_gpu_no_bytes_are_gathered_which_only_the_cpu_can_do(batch, gpus, monkeypatch):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind=None: gpus)
    images, labels, ids = batch
    config = Augment(flip="alternating", crop_padding=4)
    graph = tf.function(lambda images: aug.augment_batch(images, labels, ids, 0, tf.constant(SEED), config)[0])
    operations = graph.get_concrete_function(tf.TensorSpec(images.shape, tf.uint8)).graph.get_operations()
    gathered = {operation.inputs[0].dtype for operation in operations if operation.type == "GatherV2"}
    assert (tf.uint8 in gathered) == (not gpus)
