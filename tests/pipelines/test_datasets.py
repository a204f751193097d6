"""What training and evaluation are shown: every example, in which order, and the same again after a resume."""

import numpy as np
import pytest
import tensorflow as tf

from pipelines.augment import augment_batch
from pipelines.augment_config import Augment
from pipelines.datasets import make_eval_dataset, make_train_dataset, steps_per_epoch
from pipelines.errors import InputError
from pipelines.sources import Examples

COUNT, CLASSES, BATCH = 50, 5, 8  # 6 full batches, 2 examples left over
STEPS = 6
AUGMENT = Augment(
    flip="alternating", crop_padding=2, erasing_probability=0.5, mixup_alpha=0.2, cutmix_alpha=1.0, label_smoothing=0.1
)


@pytest.fixture(scope="module")
def examples() -> Examples:
    """Image i is filled with the value i: a batch shows which examples it holds."""
    images = np.broadcast_to(np.arange(COUNT, dtype=np.uint8)[:, None, None, None], (COUNT, 6, 8, 3)).copy()
    return Examples(images, np.arange(COUNT, dtype=np.int64) % CLASSES)


def batches(examples, augment=None, seed=0, first=0, last=1, **options) -> list:
    ds = make_train_dataset(examples, CLASSES, augment or Augment(), BATCH, seed, first, last, **options)
    return list(ds.as_numpy_iterator())


def ids_of(batches) -> np.ndarray:
    return np.concatenate([images[:, 0, 0, 0] for images, *_ in batches]).astype(int)


def assert_equal_batches(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right)


def test_an_epoch_shows_each_example_at_most_once_and_leaves_out_the_remainder_only(examples):
    ids = ids_of(batches(examples))
    assert len(ids) == len(set(ids)) == STEPS * BATCH
    assert steps_per_epoch(examples, BATCH) == STEPS


def test_what_one_epoch_leaves_out_another_shows(examples):
    assert set(ids_of(batches(examples, last=4))) == set(range(COUNT))


def test_images_keep_their_labels(examples):
    for images, labels in batches(examples):
        assert (images.dtype, labels.dtype, images.shape) == (np.float32, np.float32, (BATCH, 6, 8, 3))
        np.testing.assert_array_equal(labels, np.eye(CLASSES)[images[:, 0, 0, 0].astype(int) % CLASSES])


def test_each_epoch_and_each_seed_has_an_order_of_its_own(examples):
    two_epochs = ids_of(batches(examples, last=2)).reshape(2, -1)
    orders = [*two_epochs, ids_of(batches(examples, seed=1))]
    assert len({tuple(order) for order in orders}) == 3
    assert all(tuple(order) != tuple(sorted(order)) for order in orders)


def test_the_same_seed_gives_the_same_batches_again(examples):
    assert_equal_batches(batches(examples, AUGMENT, seed=3), batches(examples, AUGMENT, seed=3))


@pytest.mark.parametrize("on_device", [False, True])
def test_a_run_that_resumes_at_an_epoch_sees_what_it_would_have_seen(examples, on_device):
    whole = batches(examples, AUGMENT, seed=3, last=4, augment_on_device=on_device)
    resumed = batches(examples, AUGMENT, seed=3, first=2, last=4, augment_on_device=on_device)
    assert_equal_batches(resumed, whole[2 * STEPS :])


def test_augmentation_differs_between_batches_and_epochs(examples):
    constant = Examples(np.tile(np.arange(8, dtype=np.uint8)[:, None], (COUNT, 6, 1, 3)), examples.labels)
    shown = batches(constant, Augment(crop_padding=3), last=2)
    assert len({images.tobytes() for images, _ in shown}) == 2 * STEPS


def test_batches_augmented_in_the_training_step_equal_those_of_the_chain(examples):
    chain = batches(examples, AUGMENT, seed=3, last=2)
    device = batches(examples, AUGMENT, seed=3, last=2, augment_on_device=True)
    assert device[0][0].dtype == np.uint8
    augmented = [augment_batch(*map(tf.constant, batch), AUGMENT) for batch in device]
    for (images, labels), (expected_images, expected_labels) in zip(augmented, chain, strict=True):
        np.testing.assert_allclose(images, expected_images, atol=1e-3)
        np.testing.assert_allclose(labels, expected_labels, atol=1e-6)


def test_batches_for_the_device_carry_examples_epoch_and_number_of_the_batch(examples):
    found = batches(examples, seed=3, first=1, last=3, augment_on_device=True)
    for number, (images, _, example_ids, epoch, seed) in enumerate(found, start=STEPS):
        np.testing.assert_array_equal(example_ids, images[:, 0, 0, 0])
        assert epoch == number // STEPS
        assert seed.tolist() == [3, number]


def test_integer_labels_are_the_classes(examples):
    for images, labels in batches(examples, Augment(flip="random"), integer_labels=True):
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(labels, images[:, 0, 0, 0].astype(int) % CLASSES)


@pytest.mark.parametrize("integer_labels", [False, True])
def test_shapes_are_static_so_that_the_training_step_is_traced_once(examples, integer_labels):
    ds = make_train_dataset(examples, CLASSES, AUGMENT, BATCH, 0, 0, 1, integer_labels=integer_labels)
    images, labels = ds.element_spec
    assert images.shape == (BATCH, 6, 8, 3)
    assert labels.shape == ((BATCH,) if integer_labels else (BATCH, CLASSES))


def test_a_batch_larger_than_the_data_is_refused(examples):
    with pytest.raises(InputError, match="batch_size: expected at most the 50 training images, received 51"):
        make_train_dataset(examples, CLASSES, Augment(), 51, 0, 0, 1)
    assert steps_per_epoch(examples, 50) == 1


@pytest.mark.parametrize("integer_labels", [False, True])
def test_evaluation_keeps_the_order_and_the_last_smaller_batch(examples, integer_labels):
    ds = make_eval_dataset(examples, CLASSES, batch_size=20, integer_labels=integer_labels)
    images, labels = zip(*ds.as_numpy_iterator(), strict=True)
    assert [len(batch) for batch in images] == [20, 20, 10]
    np.testing.assert_array_equal(np.concatenate(images), examples.images)
    expected = examples.labels if integer_labels else np.eye(CLASSES, dtype=np.float32)[examples.labels]
    np.testing.assert_array_equal(np.concatenate(labels), expected)
    assert labels[0].dtype == expected.dtype
    assert images[0].dtype == np.uint8
