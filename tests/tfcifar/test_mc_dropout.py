"""Dropout stays on, everything else does inference, and nothing pretends to be random that is not."""

import keras
import numpy as np
import pytest
from keras import layers

from pipelines.errors import InputError
from tfcifar.models import build_model
from tfcifar.recipe import Model
from tfcifar.uncertainty.mc_dropout import (
    cut_before_dropout,
    dropout_rates,
    sample_probabilities,
    sampling_rates,
    with_active_dropout,
)


def images(size=16, count=4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def active(model: keras.Model, rate=None, seed=0) -> keras.Model:
    return with_active_dropout(model, sampling_rates(model, rate, "run"), seed)


def normalizing(rate: float, nested: bool = False) -> keras.Model:
    """Convolution, BatchNorm with statistics of its own, dropout, head; all but the head in a nested model if asked."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(8, 3)(layers.Rescaling(1 / 255)(inputs)))
    x = layers.Dropout(rate, name="dropout")(x)
    if nested:
        x = keras.Model(inputs, x, name="backbone")(inputs)
    model = keras.Model(inputs, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x)))
    norm = model.get_layer("backbone").get_layer("norm") if nested else model.get_layer("norm")
    norm.moving_mean.assign(np.linspace(-1, 1, 8))
    norm.moving_variance.assign(np.linspace(0.5, 2, 8))
    return model


def test_samples_have_the_mean_and_the_variance_of_bernoulli_masks():
    """Logits w x, of which each term stays with probability 1 - p at 1 / (1 - p) of its value: variance p / (1 - p)."""
    inputs = keras.Input((1, 1, 3))
    x = layers.Dropout(0.3)(layers.Flatten()(inputs))
    dense = layers.Dense(2, use_bias=False, name="logits")
    model = keras.Model(inputs, dense(x))
    weights = np.array([[0.01, 0], [0.02, 0], [-0.005, 0]])
    dense.set_weights([weights])
    pixels = np.array([[[[90, 60, 200]]]], np.uint8)
    sampled = sample_probabilities(active(model), np.repeat(pixels, 100, 0), 40, "", 100)
    logit = np.log(sampled[..., 0] / sampled[..., 1])
    terms = weights[:, 0] * pixels.ravel()
    assert logit.mean() == pytest.approx(terms.sum(), abs=4 * float(logit.std()) / 4000**0.5)
    assert logit.var() == pytest.approx((terms**2).sum() * 0.3 / 0.7, rel=0.1)


@pytest.mark.parametrize("nested", [False, True])
def test_batch_norm_does_inference_while_dropout_is_on(nested):
    """With a rate at which nothing is dropped, the samples are the plain prediction."""
    model = normalizing(1e-9, nested)
    before = [value.copy() for value in model.get_weights()]
    sampled = sample_probabilities(active(model), images(), 2, "", 4)
    plain = keras.ops.softmax(model.predict(images(), verbose=0))
    np.testing.assert_allclose(sampled, [plain, plain], atol=1e-6)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("nested", [False, True])
def test_samples_differ_and_a_seed_repeats_them(nested):
    model = normalizing(0.5, nested)
    first, again, other = (sample_probabilities(active(model, seed=seed), images(), 3, "", 2) for seed in (0, 0, 1))
    assert (np.ptp(first, axis=0) > 0).any(axis=-1).all()
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", ["small_cnn", "fast_cnn", "residual_cnn", "mobilenet_v2"])
def test_each_kind_of_model_can_be_sampled_and_stays_as_it_was(name):
    keras.utils.set_random_seed(0)
    own = {"widths": (8,) * (3 if name in ("small_cnn", "fast_cnn") else 4)}
    config = Model(name, dropout=0.3, **({"image_size": 32, "alpha": 0.35} if name == "mobilenet_v2" else own))
    model = build_model(config, (32, 32, 3), 3, (0.5,) * 3, (0.25,) * 3)
    head = model.get_layer("logits")
    # An untrained backbone gives logits of 1e-11, whose probabilities are all the same.
    head.set_weights([each / model(images(32)).numpy().std() for each in head.get_weights()])
    before = model.predict(images(32), verbose=0)
    sampled = sample_probabilities(active(model), images(32), 3, "", 4)
    assert sampled.shape == (3, 4, 3)
    assert (np.ptp(sampled, axis=0) > 0).all()
    np.testing.assert_array_equal(model.predict(images(32), verbose=0), before)
    assert cut_before_dropout(active(model))[0] is not None  # what comes before dropout is computed once


def test_the_cut_changes_nothing_but_the_work():
    model = normalizing(0.5)
    same, random = cut_before_dropout(active(model))
    assert "norm" in [layer.name for layer in same.layers]
    whole = active(model).predict(images(), verbose=0)
    np.testing.assert_allclose(random.predict(same.predict(images(), verbose=0), verbose=0), whole, rtol=1e-5)


def test_dropout_in_one_of_two_branches_is_not_cut_off():
    inputs = keras.Input((16, 16, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(inputs))
    x = layers.Add()([layers.Dropout(0.5)(layers.Dense(4)(pooled)), layers.Dense(4)(pooled)])
    model = keras.Model(inputs, layers.Dense(3, name="logits")(x))
    sampler = active(model)
    assert cut_before_dropout(sampler)[0] is None
    assert np.ptp(sample_probabilities(sampler, images(), 3, "", 4), axis=0).max() > 0


def test_dropout_inside_a_nested_model_is_found_with_its_path():
    assert dropout_rates(normalizing(0.5, nested=True)) == {"backbone/dropout": 0.5}


def test_a_rate_for_sampling_is_for_layers_at_0_alone(capsys):
    assert sampling_rates(normalizing(0.0), 0.2, "run") == {"dropout": 0.2}
    assert sampling_rates(normalizing(0.5), 0.2, "run") == {"dropout": 0.5}
    assert "NOTE: --dropout: run keeps the rates" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (normalizing(0.0), r"expected dropout above 0, run was trained with rate 0; pass --dropout 0\.2"),
        (keras.Sequential([keras.Input((3,)), layers.Dense(2)]), "expected a model with Dropout layers, run has none"),
    ],
)
def test_samples_that_would_all_be_the_same_are_refused(model, message):
    with pytest.raises(InputError, match=message):
        sampling_rates(model, None, "run")
