"""Attention blocks against their formulas, and in the network that they are for."""

import keras
import numpy as np
import pytest
from scipy.signal import correlate
from scipy.special import expit, softmax

from pipelines.errors import InputError
from tfcifar.models import build_model
from tfcifar.models.attention import ATTENTION
from tfcifar.recipe import Model

X = np.random.default_rng(0).normal(size=(2, 4, 5, 16)).astype("float32")


def block(kind: str, shape=X.shape[1:]) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    return keras.Model(inputs, ATTENTION[kind](inputs, kind))


def dense(model, name: str, x):
    kernel, bias = model.get_layer(name).get_weights()
    return x @ kernel + bias


def test_squeeze_and_excitation_scales_each_channel_by_equations_2_to_4():
    model = block("se")
    weights = expit(dense(model, "se_excite", np.maximum(dense(model, "se_reduce", X.mean((1, 2))), 0)))
    np.testing.assert_allclose(model(X), X * weights[:, None, None], rtol=1e-4, atol=1e-6)


def test_cbam_weighs_channels_then_positions_by_equations_2_and_3():
    model = block("cbam")

    def shared(x):
        return dense(model, "cbam_excite", np.maximum(dense(model, "cbam_reduce", x), 0))

    x = X * expit(shared(X.mean((1, 2))) + shared(X.max((1, 2))))[:, None, None]
    summary = np.pad(np.stack([x.mean(-1), x.max(-1)], -1), ((0, 0), (3, 3), (3, 3), (0, 0)))
    kernel, bias = model.get_layer("cbam_position_weights").get_weights()
    positions = np.stack([correlate(each, kernel[..., 0], "valid") for each in summary]) + bias
    np.testing.assert_allclose(model(X), x * expit(positions), rtol=1e-4, atol=1e-5)


def test_self_attention_is_nothing_at_the_start_and_softmax_attention_then():
    model = block("mhsa")
    np.testing.assert_array_equal(model(X), X)

    model.get_layer("mhsa_weight").set_weights([np.array(0.5)])
    tokens = X.reshape(2, 20, 16)
    placed = np.asarray(model.get_layer("mhsa_norm")(tokens)) + model.get_layer("mhsa_positions").get_weights()[0]
    (query, query_bias, key, key_bias, value, value_bias, output, output_bias) = model.get_layer(
        "mhsa_heads"
    ).get_weights()
    q, k, v = (
        np.einsum("ntc,chd->nhtd", placed, kernel) + bias[None, :, None]
        for kernel, bias in ((query, query_bias), (key, key_bias), (value, value_bias))
    )
    heads = softmax(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]), axis=-1) @ v
    expected = tokens + 0.5 * (np.einsum("nhtd,hdc->ntc", heads, output) + output_bias)
    np.testing.assert_allclose(model(X), expected.reshape(X.shape), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ATTENTION)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_each_kind_trains_in_the_network(kind, policy):
    keras.mixed_precision.set_global_policy(policy)
    model = build_model(
        Model("attention_cnn", widths=(8, 8, 8, 8), attention=kind), (16, 16, 3), 3, (0.5,) * 3, (1,) * 3
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    before = [weight.numpy() for weight in model.trainable_weights]
    model.fit(np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3)), np.arange(8) % 3, epochs=2, verbose=0)
    # A bias of the keys shifts all scores of a query alike, which the softmax takes back.
    unchanged = [
        weight.path
        for weight, value in zip(model.trainable_weights, before, strict=True)
        if np.array_equal(weight.numpy(), value) and not weight.path.endswith("key/bias")
    ]
    assert unchanged == []


def test_an_unknown_kind_is_named_with_the_choices():
    with pytest.raises(
        InputError, match=r"model.attention: no such name: sse. Did you mean se\? Choices: cbam, mhsa, se"
    ):
        Model("attention_cnn", attention="sse")


def test_models_without_attention_refuse_it():
    with pytest.raises(InputError, match=r"model.attention: expected none for fast_cnn"):
        Model("fast_cnn", attention="se")


@pytest.mark.parametrize(("size", "widths"), [(32, (4, 4)), (96, (4, 4, 4, 4))])
def test_self_attention_on_no_map_at_all_is_refused(size, widths):
    config = Model("attention_cnn", attention="mhsa", widths=widths)
    with pytest.raises(InputError, match=r"model.attention: mhsa attends to maps of at most 8x8, and the smallest .*"):
        build_model(config, (size, size, 3), 3, (0.5,) * 3, (0.25,) * 3)
