"""The parts of a batch that several devices read are together what one device reads, augmentation included."""

import numpy as np
import pytest
import tensorflow as tf

from pipelines.augment import augment_batch, augmix, rand_augment
from pipelines.augment_config import Augment
from pipelines.augment_random import drawing_for
from pipelines.datasets import make_eval_dataset, make_train_dataset
from pipelines.errors import InputError
from pipelines.sharding import Shares
from pipelines.sources import Examples

COUNT, CLASSES, BATCH = 50, 5, 12  # 4 full batches, 2 examples left over
EVERYTHING = Augment(
    flip="alternating",
    crop_padding=2,
    erasing_probability=0.5,
    cutout_size=2,
    mixup_alpha=0.4,
    cutmix_alpha=1.0,
    mix_probability=0.7,
    label_smoothing=0.1,
)
NUMBERED = Augment(flip="alternating")  # of images of one value, which thus show which examples a batch holds


@pytest.fixture(scope="module")
def examples() -> Examples:
    images = np.random.RandomState(0).randint(0, 256, (COUNT, 8, 8, 3)).astype(np.uint8)
    return Examples(images, np.arange(COUNT, dtype=np.int64) % CLASSES)


@pytest.fixture(scope="module")
def numbered() -> Examples:
    images = np.broadcast_to(np.arange(COUNT, dtype=np.uint8)[:, None, None, None], (COUNT, 8, 8, 3)).copy()
    return Examples(images, np.arange(COUNT, dtype=np.int64) % CLASSES)


def batches(examples, augment, **options) -> list:
    return list(make_train_dataset(examples, CLASSES, augment, BATCH, 3, 1, 2, **options).as_numpy_iterator())


def joined(parts_of_workers: list[list], count: int) -> list:
    """Whole batches, from what each worker reads: the parts of its devices, one after the other."""
    local = count // len(parts_of_workers)
    steps = len(parts_of_workers[0]) // local
    parts_of_steps = [
        [part for parts in parts_of_workers for part in parts[step * local : (step + 1) * local]]
        for step in range(steps)
    ]
    return [[np.concatenate(element) for element in zip(*parts, strict=True)] for parts in parts_of_steps]


def test_workers_read_what_one_process_reads_with_the_same_augmentation(examples):
    workers, devices_of_each = 2, 3
    count = workers * devices_of_each
    whole = batches(examples, EVERYTHING)
    shares = [Shares(w * devices_of_each, (w + 1) * devices_of_each, count) for w in range(workers)]
    parts = [batches(examples, EVERYTHING, shares=each) for each in shares]
    assert {len(images) for worker in parts for images, _ in worker} == {BATCH // count}
    for expected, found in zip(whole, joined(parts, count), strict=True):
        for left, right in zip(expected, found, strict=True):
            np.testing.assert_allclose(left, right, rtol=0, atol=1e-3)  # of 255: sums may be in another order


@pytest.mark.parametrize("operation", [lambda images, seed: augmix(images, seed, 3, 3),
                                       lambda images, seed: rand_augment(images, seed, 2, 9)])  # fmt: skip
def test_operations_that_draw_several_times_an_image_draw_the_same_for_a_part(examples, operation):
    images, seed, rows = tf.constant(examples.images[:9], tf.float32), tf.constant([1, 2]), [8, 0, 1]
    whole = operation(images, seed)
    with drawing_for(tf.constant(rows), 9):
        part = operation(tf.gather(images, rows), seed)
    np.testing.assert_allclose(part, tf.gather(whole, rows), rtol=0, atol=1e-3)


def test_augmentation_on_the_device_sees_the_same_parts(examples):
    augment = Augment(flip="random", crop_padding=2, erasing_probability=0.5, mixup_alpha=0.4)
    in_chain = batches(examples, augment)
    for (images, labels), raw in zip(
        in_chain, batches(examples, augment, shares=Shares(1, 2, 3), augment_on_device=True), strict=True
    ):
        *batch, rows, batch_size = raw
        on_device = augment_batch(*batch, augment, rows, batch_size)
        np.testing.assert_allclose(images[4:8], on_device[0], rtol=0, atol=1e-3)
        np.testing.assert_allclose(labels[4:8], on_device[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_example_is_read_once_an_epoch_by_one_worker(numbered, count):
    read = [
        np.concatenate(
            [images[:, 0, 0, 0] for images, _ in batches(numbered, NUMBERED, shares=Shares(worker, worker + 1, count))]
        )
        for worker in range(count)
    ]
    together = np.concatenate(read)
    assert len(together) == len(set(together)) == COUNT // BATCH * BATCH


def test_a_partner_is_read_beside_a_part_only_where_images_are_mixed(numbered):
    shares = Shares(1, 2, 4)
    plain = batches(numbered, Augment(), shares=shares, augment_on_device=True)
    mixed = batches(numbered, Augment(mixup_alpha=1.0), shares=shares, augment_on_device=True)
    whole = batches(numbered, Augment(), augment_on_device=True)
    for own, own_and_partner, batch in zip(plain, mixed, whole, strict=True):
        np.testing.assert_array_equal(own[2], batch[2][3:6])
        np.testing.assert_array_equal(own_and_partner[2], batch[2][2:6])


@pytest.mark.parametrize(("total", "batch_size", "count"), [(50, 20, 3), (7, 500, 2), (4, 500, 4)])
def test_validation_is_shared_without_a_device_that_has_nothing(numbered, total, batch_size, count):
    some = numbered.take(np.arange(total))
    parts = [
        list(make_eval_dataset(some, CLASSES, batch_size, True, Shares(w, w + 1, count)).as_numpy_iterator())
        for w in range(count)
    ]
    sizes = [len(labels) for worker in parts for _, labels in worker]
    assert len({len(worker) for worker in parts}) == 1
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1
    seen = np.concatenate([images[:, 0, 0, 0] for worker in parts for images, _ in worker])
    assert sorted(seen) == list(range(total))


def test_a_batch_that_cannot_be_shared_is_refused(numbered):
    with pytest.raises(InputError, match="batch_size: expected a multiple of 5, the devices that share each batch"):
        batches(numbered, Augment(), shares=Shares(0, 1, 5))
    with pytest.raises(InputError, match="validation: expected at least 3 images"):
        make_eval_dataset(numbered.take(np.arange(2)), CLASSES, shares=Shares(0, 1, 3))
