"""AugMix: its weights and lengths, its operations against Pillow, and where it leaves images alone."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps
from scipy import stats

from pipelines import augmix as module
from pipelines.augment_random import per_image, split
from pipelines.augmix import OPERATIONS, augmix, mixing_weights

SEED = tf.constant([7, 3])
MANY = tf.zeros([6000, 1, 1, 1])


@pytest.fixture(scope="module")
def images():
    """Smooth color gradients with little contrast, so that every operation shows; not square."""
    coarse = np.random.default_rng(0).integers(40, 200, [4, 4, 5, 3]).astype(np.uint8)
    return np.stack([Image.fromarray(image).resize((32, 24), Image.Resampling.BILINEAR) for image in coarse])


def test_the_operations_are_the_nine_that_no_corruption_resembles():
    assert set(OPERATIONS) - {"identity"} == {
        "autocontrast", "equalize", "posterize", "rotate", "solarize", "shear_x", "shear_y", "translate_x",
        "translate_y",
    }  # fmt: skip
    assert next(iter(OPERATIONS)) == "identity"  # what number 0 is


@pytest.mark.parametrize("chains", [1, 2, 3, 5])
def test_weights_are_dirichlet(chains):
    """Each component of Dirichlet(1, ..., 1) is distributed as Beta(1, k - 1)."""
    weights = mixing_weights(MANY, SEED, chains).numpy()
    assert weights.shape == (6000, chains)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    if chains > 1:
        for component in weights.T:
            assert stats.kstest(component, stats.beta(1, chains - 1).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("chains", "severity"), [(0, 3.0), (3, 0.0)])
def test_without_chains_or_severity_nothing_changes(images, chains, severity):
    batch = tf.cast(images, tf.float32)
    np.testing.assert_array_equal(augmix(batch, SEED, chains, severity), batch)


def test_the_seed_decides_and_the_batch_size_need_not_be_known(images):
    batch = tf.cast(images, tf.float32)
    graph = tf.function(lambda images, seed: augmix(images, seed, 3, 3.0),
                        input_signature=[tf.TensorSpec([None, 24, 32, 3]), tf.TensorSpec([2], tf.int32)])  # fmt: skip
    once, again, other = graph(batch, SEED), augmix(batch, SEED, 3, 3.0), graph(batch, tf.constant([7, 4]))
    np.testing.assert_allclose(once, again, atol=1e-4)
    assert graph.get_concrete_function().output_shapes.as_list() == [None, 24, 32, 3]
    assert np.abs(once - batch).max() > 1
    assert np.abs(once - other).max() > 1
    assert float(tf.reduce_min(once)) >= 0
    assert float(tf.reduce_max(once)) <= 255.001


def test_each_image_moves_by_its_share_towards_chains_of_one_to_three_operations(monkeypatch):
    """With operations that each add 10: of one chain, image + share * 10 * length."""
    adds = {"identity": lambda part, signed, level: part} | {
        f"add_{i}": lambda part, signed, level: part + 10 for i in range(9)
    }
    monkeypatch.setattr(module, "OPERATIONS", adds)
    share = per_image(MANY, split(SEED, 3)[2]).numpy()
    added = augmix(MANY, SEED, 1, 3.0).numpy().ravel()
    lengths = np.round(added / (10 * share)).astype(int)
    np.testing.assert_allclose(added, 10 * share * lengths, rtol=1e-4)
    assert np.bincount(lengths).tolist()[1:] == pytest.approx([2000] * 3, abs=150)  # 4 standard deviations
    of_three = augmix(MANY, SEED, 3, 3.0).numpy().ravel() / (10 * share)
    assert of_three.min() >= 1 - 1e-3
    assert of_three.max() <= 3 + 1e-3
    assert of_three.std() < lengths.std()  # a mean of three chains


def test_operations_levels_and_directions_are_drawn_for_each_image(monkeypatch):
    seen = {}

    def record(number):
        def operation(part, signed, level):
            seen.setdefault(number, []).append(signed.numpy())
            return part

        return operation

    monkeypatch.setattr(module, "OPERATIONS", {f"operation_{i}": record(i) for i in range(10)})
    augmix(MANY, SEED, 2, 3.0)
    counts = [len(np.concatenate(seen[i])) for i in range(10)]
    drawn = 2 * 6000 * 2  # chains of two operations, on average
    assert counts[0] == pytest.approx(2 * 6000 * 3 - drawn, abs=400)  # where the chain has ended
    assert counts[1:] == pytest.approx([drawn / 9] * 9, rel=0.08)
    signed = np.concatenate([np.concatenate(seen[i]) for i in range(1, 10)])
    assert (signed > 0).mean() == pytest.approx(0.5, abs=0.02)
    assert stats.kstest(np.abs(signed), stats.uniform(0.01, 0.29).cdf).pvalue > 1e-3


# The levels of 10 that the four images have.
LEVELS = np.array([0.1, 2.6, -2.9, 9.9], np.float32)


def pillow(name, image, level):
    picture, size = Image.fromarray(image), abs(level)
    shift = int(np.sign(level)) * int(size / 10 * (32 if name.endswith("_x") else 24) / 3)
    operations = {
        "posterize": lambda: ImageOps.posterize(picture, 4 - int(size * 4 / 10)),
        "solarize": lambda: ImageOps.solarize(picture, 256 - int(size * 256 / 10)),
        "translate_x": lambda: _affine(picture, (1, 0, shift, 0, 1, 0)),
        "translate_y": lambda: _affine(picture, (1, 0, 0, 0, 1, shift)),
    }
    return np.asarray(operations[name]())


def _affine(picture, coefficients):
    return picture.transform(picture.size, Image.Transform.AFFINE, coefficients, fillcolor=(127, 127, 127))


@pytest.mark.parametrize("name", ["posterize", "solarize", "translate_x", "translate_y"])
def test_operations_with_a_level_for_each_image_agree_with_pillow(images, name):
    out = OPERATIONS[name](tf.cast(images, tf.float32), tf.constant(LEVELS / 10), None).numpy()
    expected = np.stack([pillow(name, image, level) for image, level in zip(images, LEVELS.tolist(), strict=True)])
    assert np.abs(out - expected).max() <= 0.501
    assert np.abs(expected.astype(float) - images).max() >= 3


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_operation_accepts_an_empty_part(name):
    assert OPERATIONS[name](tf.zeros([0, 24, 32, 3]), tf.zeros([0]), None).shape == (0, 24, 32, 3)
