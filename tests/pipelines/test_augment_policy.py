"""Policies: as text, as a file, and what they do to a batch."""

import json

import numpy as np
import pytest
import tensorflow as tf

from pipelines import randaugment
from pipelines.augment import augment_batch
from pipelines.augment_config import Augment
from pipelines.augment_policy import apply_policy
from pipelines.augment_random import split
from pipelines.errors import InputError
from pipelines.policy_config import POLICY_OPERATIONS, Step, parse_sub_policy, read_policy

SEED = tf.constant([3, 4])


@pytest.fixture(scope="module")
def images():
    return tf.constant(np.random.default_rng(0).integers(0, 256, (400, 8, 8, 3)), tf.float32)


def changed(before, after) -> np.ndarray:
    return np.any(np.abs(after.numpy() - before.numpy()) > 1e-3, axis=(1, 2, 3))


def test_text_is_read_and_written_back():
    text = "rotate:0.6:9 equalize:1:0"
    steps = parse_sub_policy(text)
    assert steps == (Step("rotate", 0.6, 9.0), Step("equalize", 1.0, 0.0))
    assert " ".join(map(str, steps)) == text
    assert tuple(randaugment.OPERATIONS) == POLICY_OPERATIONS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rotat:0.6:9", r"no such name: rotat\. Did you mean rotate\?"),
        ("rotate:0.6", r"expected OPERATION:PROBABILITY:MAGNITUDE, received 'rotate:0\.6'"),
        ("rotate:1.5:9", r"expected a probability from 0 to 1, received 1\.5"),
        ("rotate:0.5:nan", r"expected a magnitude from 0 to 30, received nan"),
        ("", r"at least one operation"),
    ],
)
def test_a_policy_that_is_none_is_refused_by_the_recipe(text, message):
    with pytest.raises(InputError, match=message):
        Augment(policy=(text,))


def test_a_policy_and_randaugment_exclude_each_other():
    with pytest.raises(InputError, match=r"augment\.randaugment_layers: expected 0 with augment\.policy"):
        Augment(policy=("rotate:1:9",), randaugment_layers=1)


def test_a_file_is_read_whole_and_anything_else_in_it_refused(tmp_path):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"augment": {"policy": ["rotate:1:9", "color:0.2:3 solarize:1:6"]}, "found_by": {}}))
    assert read_policy(str(path)) == ("rotate:1:9", "color:0.2:3 solarize:1:6")
    assert read_policy("rotate:1:9, color:0.2:3 solarize:1:6") == read_policy(str(path))
    for content in ("{", "[]", '{"augment": {"randaugment_layers": 2}}', '{"augment": {"policy": []}}'):
        path.write_text(content)
        with pytest.raises(InputError, match=r"as tuner\.policy writes it, received something else"):
            read_policy(str(path))
    with pytest.raises(InputError, match=r"no such file"):
        read_policy(str(tmp_path / "nothing.json"))


def test_certain_operations_are_done_in_their_order_at_their_magnitude(images):
    """Both without a direction, so that nothing is left to chance; they do not commute."""
    received = apply_policy(images, SEED, ["solarize:1:15 posterize:1:30"])
    expected = np.floor(np.where(images.numpy() >= 127.5, 255 - images.numpy(), images.numpy()) / 16) * 16
    np.testing.assert_allclose(received, expected)


def test_directions_are_drawn_for_each_image(images):
    plain = apply_policy(images, SEED, ["brightness:1:10"]).numpy().mean((1, 2, 3)) / images.numpy().mean((1, 2, 3))
    np.testing.assert_allclose(plain[plain < 1], 0.7, rtol=1e-4)  # 1 - 0.9 * 10 / 30; the brighter ones are clipped
    assert 150 < (plain < 1).sum() < 250


def test_each_image_draws_a_sub_policy_and_each_operation_its_chance(images):
    """Solarizing above 0 inverts, so that what happened can be seen; half of the images may do it, 0.4 of them do."""
    done = changed(images, apply_policy(images, SEED, ["solarize:0.4:30", "identity:1:0"]))
    assert 80 - 4 * 8 < done.sum() < 80 + 4 * 8  # binomial, 400 * 0.2, standard deviation 8
    twice = apply_policy(images, SEED, ["solarize:0.5:30 solarize:0.5:30"])
    assert 200 - 40 < changed(images, twice).sum() < 200 + 40  # once, and not twice: the chances are independent
    assert not changed(images, apply_policy(images, SEED, ["rotate:0:30"])).any()
    assert apply_policy(images, SEED, []) is images


def test_the_same_seed_draws_the_same_in_a_graph_and_other_draws_stay_as_they_were(images):
    labels = tf.one_hot(tf.range(400) % 10, 10)
    config = Augment(flip="random", policy=("rotate:0.5:9 color:1:9", "shear_x:1:3"))

    def augment(config):
        return augment_batch(images, labels, tf.range(400), 0, SEED, config)[0]

    first = augment(config)
    np.testing.assert_allclose(tf.function(augment)(config), first, atol=1e-3)
    assert first.shape == images.shape
    nothing = augment(Augment(flip="random", policy=("identity:1:0",)))
    np.testing.assert_array_equal(nothing, augment(Augment(flip="random")))
    np.testing.assert_array_equal(split(SEED, 10), split(SEED, 11)[:10])  # runs from before policies are repeated
