"""Which classes go where, and what an episode is made of."""

import numpy as np
import pytest

from pipelines.errors import InputError
from pipelines.sources import Source, open_source
from pipelines.splits import training_pool
from tests.tfcifar.fewshot.conftest import colours
from tfcifar.fewshot.cifar_fs import CIFAR_FS
from tfcifar.fewshot.class_split import split_by_class
from tfcifar.fewshot.episodes import EpisodeSampler


def test_no_class_and_no_image_is_in_two_parts_and_labels_are_the_places_of_the_names(source):
    split = split_by_class(source, "4/2/2", seed=1)
    parts = (split.train, split.validation, split.test)
    assert [len(part.class_names) for part in parts] == [4, 2, 2]
    assert sorted(name for part in parts for name in part.class_names) == sorted(source.class_names)
    pool = training_pool(source)
    for part in parts:
        for label, name in enumerate(part.class_names):
            expected = pool.images[pool.labels == source.class_names.index(name)]
            np.testing.assert_array_equal(part.examples.images[part.examples.labels == label], expected)


def test_the_seed_draws_the_classes_and_a_second_part_may_be_left_out(source):
    first = split_by_class(source, "4/0/4", seed=0)
    assert first.validation is None
    assert first.test.class_names == split_by_class(source, "4/0/4", seed=0).test.class_names
    assert {split_by_class(source, "4/0/4", seed=seed).test.class_names for seed in range(9)} != {
        first.test.class_names
    }


@pytest.mark.parametrize("text", ["6/2", "7/1/2", "5/0/4", "1/2/2", "6/0/1", "all"])
def test_splits_that_cannot_be_are_refused(source, text):
    with pytest.raises(InputError, match=r"class split: expected"):
        split_by_class(source, text)


def test_cifar_fs_is_a_partition_of_the_hundred_classes_as_published(source):
    """Counts of Bertinetto et al. 2019; two classes of each part as listed there."""
    assert {part: len(names) for part, names in CIFAR_FS.items()} == {"train": 64, "validation": 16, "test": 20}
    assert len({name for names in CIFAR_FS.values() for name in names}) == 100
    assert {"whale", "baby"} <= set(CIFAR_FS["test"])
    assert {"otter", "sea"} <= set(CIFAR_FS["validation"])
    names = tuple(sorted(name for part in CIFAR_FS.values() for name in part))
    hundred = Source("cifar100", names, (16, 16, 3), colours(100, 2), None, source.load_test)
    assert split_by_class(hundred, "cifar-fs").test.class_names == CIFAR_FS["test"]
    with pytest.raises(InputError, match=r"cifar-fs is one of CIFAR-100; colours has no class"):
        split_by_class(source, "cifar-fs")


def test_an_episode_has_its_shots_and_queries_of_each_class_and_no_image_twice(part):
    sampler = EpisodeSampler(part, ways=3, shots=2, queries=4, seed=0)
    for number in range(20):
        episode = sampler.draw(number)
        assert np.bincount(episode.support_labels).tolist() == [2, 2, 2]
        assert np.bincount(episode.query_labels).tolist() == [4, 4, 4]
        drawn = np.concatenate([episode.support_images, episode.query_images])
        assert len(np.unique(drawn.reshape(len(drawn), -1), axis=0)) == 18
        labels = np.concatenate([episode.support_labels, episode.query_labels])
        originals = [_class_of(part, image) for image in drawn]
        assert len({(label, original) for label, original in zip(labels, originals, strict=True)}) == 3


def test_an_episode_is_a_function_of_seed_and_number_and_classes_take_turns(part):
    sampler = EpisodeSampler(part, 2, 1, 1, seed=3)
    first, again = sampler.draw(5), EpisodeSampler(part, 2, 1, 1, seed=3).draw(5)
    np.testing.assert_array_equal(first.support_images, again.support_images)
    assert not np.array_equal(first.support_images, EpisodeSampler(part, 2, 1, 1, seed=4).draw(5).support_images)
    pairs = {tuple(_class_of(part, image) for image in sampler.draw(number).support_images) for number in range(100)}
    assert len(pairs) == 12  # 4 classes, 2 places


def test_flipped_images_are_mirror_images_of_those_that_are_not(part):
    plain, flipped = (EpisodeSampler(part, 4, 6, 1, seed=0, flip=flip).draw(0).support_images for flip in (False, True))
    mirrored = [np.array_equal(b, a[:, ::-1]) for a, b in zip(plain, flipped, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(plain, flipped, strict=True)]
    assert all(np.logical_xor(mirrored, same))
    assert 4 <= sum(mirrored) <= 20


def test_too_many_classes_or_images_are_refused_by_name(part):
    with pytest.raises(InputError, match=r"ways: expected 2 to 4"):
        EpisodeSampler(part, 5, 1, 1, 0)
    with pytest.raises(
        InputError, match=r"class a: expected at least 13 images, for 5 shots and 8 queries, received 12"
    ):
        EpisodeSampler(part, 2, 5, 8, 0)


def test_the_synthetic_source_has_as_many_classes_as_asked():
    split = split_by_class(open_source("synthetic:30", image_size=8), "20/4/6")
    episode = EpisodeSampler(split.test, 6, 20, 15, 0).draw(0)
    assert episode.support_images.shape == (120, 8, 8, 3)


def _class_of(part, image) -> int:
    (place,) = np.flatnonzero((part.examples.images == image).all((1, 2, 3)))
    return int(part.examples.labels[place])
