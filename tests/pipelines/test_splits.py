import numpy as np
import pytest

from pipelines.errors import InputError
from pipelines.sources import Examples, Source
from pipelines.splits import channel_statistics, checksum, make_splits, open_test_split


def examples(counts):
    """counts[c] images of class c, interleaved at random; each image's pixels spell its own number."""
    labels = np.random.RandomState(0).permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int64)
    images = np.zeros((len(labels), 2, 2, 3), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.arange(len(labels)) % 256, np.arange(len(labels)) // 256
    return Examples(images, labels)


def numbers(part):
    return set((part.images[:, 0, 0, 0].astype(int) + 256 * part.images[:, 0, 0, 1].astype(int)).tolist())


def source(counts=(50, 50), validation=None, test=(5, 5)):
    names = tuple(f"class_{c}" for c in range(len(counts)))
    load_test = (lambda: examples(test)) if test else None
    return Source("toy", names, (2, 2, 3), examples(counts), validation, load_test)


def test_ten_percent_of_each_class_validate_and_nothing_is_lost_or_shared():
    splits = make_splits(source((50, 200)))
    assert np.bincount(splits.validation.labels).tolist() == [5, 20]
    assert np.bincount(splits.train.labels).tolist() == [45, 180]
    assert numbers(splits.train) | numbers(splits.validation) == set(range(250))
    assert not numbers(splits.train) & numbers(splits.validation)


def test_labels_stay_with_their_images():
    toy = source((50, 200))
    splits = make_splits(toy)
    for part in (splits.train, splits.validation):
        where = part.images[:, 0, 0, 0].astype(int) + 256 * part.images[:, 0, 0, 1].astype(int)
        assert (toy.train.labels[where] == part.labels).all()


def test_seed_fixes_the_split():
    assert make_splits(source(), split_seed=3).checksums == make_splits(source(), split_seed=3).checksums
    assert make_splits(source(), split_seed=3).checksums != make_splits(source(), split_seed=4).checksums


def test_split_is_the_same_on_every_machine_and_release():
    # Written down when the split was defined: a change here would invalidate every run on record.
    assert sorted(numbers(make_splits(source((20, 20))).validation)) == [12, 22, 30, 35]


def test_a_fraction_of_the_training_images_is_stratified_and_leaves_validation_as_it_is():
    whole, part = make_splits(source((50, 200))), make_splits(source((50, 200)), train_fraction=0.2)
    assert np.bincount(part.train.labels).tolist() == [9, 36]
    assert numbers(part.train) < numbers(whole.train)
    assert part.checksums["validation"] == whole.checksums["validation"]
    with pytest.raises(InputError, match=r"train_fraction: expected above 0, at most 1, received 0"):
        make_splits(source(), train_fraction=0)


def test_official_validation_part_is_used():
    official = examples((7, 7))
    splits = make_splits(source(validation=official))
    assert splits.validation is official
    assert len(splits.train) == 100


def test_source_without_test_gives_fifteen_percent_whatever_the_arguments():
    toy = source((100, 200), test=None)
    test, test_checksum = open_test_split(toy)
    assert np.bincount(test.labels).tolist() == [15, 30]
    for arguments in ({}, {"split_seed": 9}, {"validation_fraction": 0.5}, {"train_on_validation": True}):
        splits = make_splits(toy, **arguments)
        assert numbers(splits.train) | numbers(splits.validation) | numbers(test) == set(range(300))
        assert not numbers(test) & (numbers(splits.train) | numbers(splits.validation))
    assert open_test_split(toy)[1] == test_checksum == checksum(test)


def test_test_part_is_not_loaded_by_make_splits():
    def explode():
        raise AssertionError("the test part was read")

    toy = source()
    make_splits(Source(toy.name, toy.class_names, toy.image_shape, toy.train, None, explode))


def test_train_on_validation_joins_both_and_still_returns_validation():
    apart, joined = make_splits(source()), make_splits(source(), train_on_validation=True)
    assert numbers(joined.train) == set(range(100))
    assert joined.checksums["validation"] == apart.checksums["validation"]


def test_channel_statistics_match_numpy_in_double_precision():
    images = np.random.default_rng(0).integers(0, 256, (50, 4, 5, 3), np.uint8)
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(mean, (images / 255).mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, (images / 255).std(axis=(0, 1, 2)), rtol=1e-12)


def test_checksum_tells_pixels_labels_and_order():
    part = examples((4, 4))
    sums = {checksum(part), checksum(part.take(np.arange(8)[::-1]))}
    sums.add(checksum(Examples(part.images, 1 - part.labels)))
    sums.add(checksum(Examples(255 - part.images, part.labels)))
    assert len(sums) == 4


def test_too_few_images_in_a_class_are_refused():
    with pytest.raises(InputError, match=r"class class_1: 1 image\(s\) left to split, needed at least 2"):
        make_splits(source((10, 1)))
    with pytest.raises(InputError, match="class class_1: 1 image"):  # two, of which one went to test
        make_splits(source((10, 2), test=None))


def test_label_out_of_range_is_refused_in_every_part():
    toy = source((5, 5, 5))
    two = ("a", "b")
    with pytest.raises(InputError, match=r"toy train: expected labels 0\.\.1, received 2"):
        make_splits(Source("toy", two, (2, 2, 3), toy.train, None, None))
    bad = Source("toy", two, (2, 2, 3), examples((5, 5)), toy.train, lambda: toy.train)
    with pytest.raises(InputError, match="toy validation: expected labels"):
        make_splits(bad)
    with pytest.raises(InputError, match="toy test: expected labels"):
        open_test_split(bad)


@pytest.mark.parametrize("arguments", [{"validation_fraction": 0.0}, {"validation_fraction": 1.0}, {"split_seed": -1}])
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(InputError, match=f"{next(iter(arguments))}: expected"):
        make_splits(source(), **arguments)


def test_examples_refuse_wrong_types_and_lengths():
    images, labels = np.zeros((2, 4, 4, 3), np.uint8), np.zeros(2, np.int64)
    with pytest.raises(InputError, match="images: expected uint8"):
        Examples(images.astype(np.float32), labels)
    with pytest.raises(InputError, match=r"labels: expected int64 \[2\]"):
        Examples(images, labels[:1])
