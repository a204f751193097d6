"""Duplicates that were planted are found, whatever was done to them; images that only resemble each other are not."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from pipelines.sources import Examples
from tfcifar.data_quality import THRESHOLD
from tfcifar.data_quality.alignment import aligned, best_shift, shifted
from tfcifar.data_quality.duplicate_report import TEST_TRAIN, TRAIN_TRAIN, count_groups, write_duplicates
from tfcifar.data_quality.near_duplicates import Pairs, describe, find_pairs, similarity_of, structural_similarity
from tfcifar.data_quality.nearest import nearest, unit_length
from tfcifar.run_dir import read_json

COUNT = 300


def photographs(count: int, seed: int, size: int = 32) -> np.ndarray:
    """Distinct images, uint8 [count, size, size, 3], with structure at all scales, and colours that go together."""
    random = np.random.default_rng(seed)
    image = sum(
        scale * gaussian_filter(random.normal(size=(count, size, size, 1)), (0, scale, scale, 0)) for scale in (1, 2, 5)
    )
    tint = random.uniform(0.5, 1, (count, 1, 1, 3))
    return np.clip(128 + 110 * tint * image, 0, 255).astype(np.uint8)


def brighter(image):
    return np.clip(image.astype(int) + 40, 0, 255).astype(np.uint8)


def flatter(image):
    """Half of the contrast, and reddish."""
    return (image * np.array([0.55, 0.45, 0.5]) + np.array([70, 40, 50])).astype(np.uint8)


def beside(image):
    """One pixel up and one to the left; the border repeats."""
    return np.pad(image[1:, 1:], ((0, 1), (0, 1), (0, 0)), "edge")


def jpeg(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=60)
    return np.asarray(Image.open(buffer))


def framed(image):
    """Enlarged by two pixels, and cut to its old size."""
    return np.asarray(Image.fromarray(image).resize((34, 34), Image.Resampling.BICUBIC))[1:33, 1:33]


CHANGES = (brighter, flatter, beside, jpeg, framed, lambda image: image)


@pytest.fixture(scope="module")
def pool():
    return photographs(COUNT, seed=5)


@pytest.fixture(scope="module")
def noise():
    """Features of a network that has learned nothing: pixels alone must find the pairs."""
    return np.random.default_rng(0).normal(size=(COUNT + 60, 16)).astype(np.float32)


def test_planted_duplicates_are_found_between_two_sets_and_nothing_else(pool, noise):
    others = photographs(60, seed=6)
    for place, change in enumerate(CHANGES):
        others[10 * place] = change(pool[7 * place])
    found = find_pairs(describe(others, noise[:60]), describe(pool, noise[60:]), THRESHOLD)
    assert {(int(a), int(b)) for a, b in zip(found.first, found.second, strict=True)} == {
        (10 * place, 7 * place) for place in range(len(CHANGES))
    }
    assert (np.diff(found.similarity) <= 0).all()


def test_planted_duplicates_within_one_set_are_found_once_each(pool, noise):
    images = np.concatenate([pool, np.stack([change(pool[place]) for place, change in enumerate(CHANGES)])])
    found = find_pairs(describe(images, noise[: len(images)]), None, THRESHOLD)
    assert sorted(zip(found.first.tolist(), found.second.tolist(), strict=True)) == [
        (place, COUNT + place) for place in range(len(CHANGES))
    ]


def test_images_of_other_sizes_are_compared_as_well():
    large = photographs(40, seed=7, size=48)
    large[3] = brighter(large[30])
    found = find_pairs(describe(large, np.eye(40, dtype=np.float32)), None, THRESHOLD)
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == [(3, 30)]


def test_a_network_finds_what_coarse_pixels_do_not(pool):
    """Thirty brighter copies of another image are nearer in coarse pixels than the one shifted by two pixels."""
    image = pool[0]
    twin = np.pad(image[2:, 2:], ((0, 2), (0, 2), (0, 0)), "edge")
    crowd = [np.clip(image.astype(int) + level, 0, 255).astype(np.uint8) for level in range(-15, 15)]
    keys = np.stack([*crowd, twin])
    blind, seeing = np.zeros((31, 2), np.float32), np.zeros((31, 2), np.float32)
    seeing[:, 0], blind[:, 0] = -1, 1
    seeing[30] = blind[30] = (1, 0)
    blind[30] = (-1, 0)
    query = np.array([[1.0, 0.0]], np.float32)
    for features, expected in ((blind, False), (seeing, True)):
        found = find_pairs(describe(image[None], query), describe(keys, features), THRESHOLD)
        assert (30 in found.second) == expected


def test_similarity_knows_no_brightness_contrast_and_shift_but_negatives(pool):
    grey = pool[:50].mean(-1).astype(np.float32)
    itself = similarity_of(grey, grey)
    assert itself.min() > 0.9
    np.testing.assert_allclose(similarity_of(grey, 30 + 0.5 * grey), itself, atol=0.03)
    assert similarity_of(grey, np.roll(grey, (1, -2), axis=(1, 2))).min() > 0.9
    assert similarity_of(grey, 255 - grey).max() < 0.5
    assert similarity_of(grey[:25], grey[25:]).max() < 0.8


@pytest.mark.parametrize("stretch", [(1.18, 1.18), (0.85, 1.0), (1.0, 1.18)])
def test_a_stretch_of_each_side_is_undone(stretch):
    """Of a larger picture, once the middle and once what a stretch brings into the same frame."""
    large = gaussian_filter(photographs(20, seed=8, size=48).mean(-1), (0, 1, 1)).astype(np.float32)
    places = [np.arange(8.0, 40)[:, None], np.arange(8.0, 40)[None, :]]
    moved = [23.5 + (place - 23.5) / factor for place, factor in zip(places, stretch, strict=True)]
    second = np.stack([map_coordinates(each, np.broadcast_arrays(*moved), order=1) for each in large])
    first = large[:, 8:40, 8:40]
    shift = best_shift(first, second)
    before = structural_similarity(*shifted(first, second, shift))
    after = structural_similarity(*aligned(first, second, shift))
    assert before.max() < 0.9
    assert after.min() > 0.93


def test_two_ships_on_the_same_sea_are_two_images():
    """What both have, a light sky over a dark sea, is most of their contrast."""
    scene = np.where(np.arange(32)[:, None] < 16, 180.0, 80.0) + np.zeros((2, 32, 32))
    scene += gaussian_filter(np.random.default_rng(3).normal(size=(2, 32, 32)), (0, 0.5, 0.5)) * 3
    scene[0, 11:16, 4:14] = 30
    scene[1, 8:16, 17:22] = 230
    scene = scene.astype(np.float32)
    assert np.corrcoef(scene[0].ravel(), scene[1].ravel())[0, 1] > 0.7
    assert similarity_of(scene[:1], scene[1:])[0] < 0.6
    assert similarity_of(scene[:1], scene[:1])[0] > 0.85


def test_even_areas_are_no_structure():
    even = np.full((2, 32, 32), 100, np.float32)
    assert similarity_of(even, even).tolist() == [0, 0]


@pytest.mark.parametrize("same", [False, True])
def test_neighbours_are_those_of_a_search_tree(same):
    random = np.random.default_rng(1)
    keys = unit_length(random.normal(size=(1203, 8)).astype(np.float32))
    queries = keys if same else unit_length(random.normal(size=(707, 8)).astype(np.float32))
    _, expected = cKDTree(keys).query(queries, 5 + same)
    np.testing.assert_array_equal(np.sort(nearest(queries, keys, 5, same)), np.sort(expected[:, int(same) :]))


def test_there_are_never_more_neighbours_than_others():
    vectors = np.eye(3, dtype=np.float32)
    assert np.sort(nearest(vectors, vectors, 20, same=True)).tolist() == [[1, 2], [0, 2], [0, 1]]
    assert nearest(vectors, vectors[:1], 20).tolist() == [[0]] * 3
    assert nearest(vectors[:1], vectors[:1], 20, same=True).shape == (1, 0)


def test_off_a_terminal_there_is_no_progress_bar(capsys):
    nearest(np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32), 2)
    assert capsys.readouterr().err == ""


def test_the_page_shows_each_image_once_and_all_pairs_whose_labels_differ(tmp_path):
    labels = np.array([0, 0, 0, 0, 0, 1])
    examples = Examples(photographs(6, seed=9), labels.astype(np.int64))
    descending = np.linspace(0.99, 0.9, 4, dtype=np.float32)
    found = {
        TEST_TRAIN: Pairs(np.array([0, 0, 1, 0]), np.array([1, 2, 1, 5]), descending),
        TRAIN_TRAIN: Pairs(np.array([0, 0, 1, 3]), np.array([1, 2, 2, 4]), descending),
    }
    summary = write_duplicates(found, examples, examples, "toy", ("cat", "dog"), 2, tmp_path)
    cards = read_json(tmp_path / "findings_duplicates.json")["cards"]
    shown = [(card["kind"], [each["caption"] for each in card["pictures"]]) for card in cards]
    assert shown == [
        (TEST_TRAIN, ["test image 0, cat", "training image 1, cat"]),
        (TEST_TRAIN, ["test image 1, cat", "training image 1, cat"]),
        (TEST_TRAIN, ["test image 0, cat", "training image 5, dog"]),
        (TRAIN_TRAIN, ["training image 0, cat", "training image 1, cat"]),
        (TRAIN_TRAIN, ["training image 0, cat", "training image 2, cat"]),
    ]
    assert (summary["test_images_with_duplicate"], summary["training_images_in_groups"]) == (2, 5)
    assert summary["pairs_with_other_labels"] == {TEST_TRAIN: 1, TRAIN_TRAIN: 0}
    assert (tmp_path / "duplicates.csv").read_text().count("\n") == 9


def test_groups_are_joined_by_chains_of_pairs():
    pairs = Pairs(np.array([0, 1, 5]), np.array([1, 2, 6]), np.ones(3, np.float32))
    assert count_groups(pairs, 9) == (2, 5)
    nothing = Pairs(np.empty(0, int), np.empty(0, int), np.empty(0, np.float32))
    assert count_groups(nothing, 9) == (0, 0)
