"""Channels of a network: which go together, which are worth least, and what is left without them."""

import keras
import numpy as np
import pytest
from keras import layers

from export.channel_graph import ChannelGraph, Group, trace_channels
from export.channel_pruning import choose_channels, prune_channels, remove_channels
from export.channel_scores import norm_scores, taylor_scores
from export.pruning_config import SCORES
from pipelines.errors import InputError
from tests.export.models import outputs
from tfcifar.models import build_model
from tfcifar.models.convolution import FastConv2D
from tfcifar.models.saved import load_model
from tfcifar.models.whitening import PatchWhitening
from tfcifar.recipe import Model

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)
CASES = {
    "small_cnn": Model("small_cnn", dropout=0.1, widths=(6, 8)),
    "fast_cnn": Model("fast_cnn", widths=(6, 8, 8)),
    "fast_cnn_deep": Model("fast_cnn_deep", widths=(6, 8, 6)),
    "fast_cnn_late": Model("fast_cnn_late", widths=(6, 8, 6)),
    "residual_cnn": Model("residual_cnn", widths=(6, 8, 8)),
    "separable_cnn": Model("separable_cnn", widths=(6, 8, 8, 10)),
    "attention_cnn": Model("attention_cnn", attention="se", widths=(6, 8)),
    "joined": "joined",
}


def build(config: Model | str) -> keras.Model:
    """With weights that are nowhere 0 or 1, so that a swap of them shows."""
    random = np.random.default_rng(0)
    model = joined_model() if config == "joined" else build_model(config, (16, 16, 3), 5, MEAN, STD)
    for weight in model.weights:
        positive = weight.name in ("gamma", "moving_variance")
        weight.assign(random.uniform(0.5, 1.5, weight.shape) if positive else random.normal(0, 0.3, weight.shape))
    return model


def joined_model() -> keras.Model:
    """Two maps side by side are added to a third and weighed by a fourth, each behind a depthwise convolution."""
    inputs = keras.Input((16, 16, 3), name="images")
    a, b, c, d = (
        layers.DepthwiseConv2D(3, padding="same")(layers.Conv2D(size, 3, strides=2, padding="same", name=name)(inputs))
        for name, size in (("a", 4), ("b", 6), ("c", 10), ("d", 10))
    )
    x = layers.Multiply()([layers.Add()([layers.Concatenate()([a, b]), layers.ReLU(6.0)(c)]), d])
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))


def examples(count=30) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    return random.integers(0, 256, (count, 16, 16, 3)).astype(np.uint8), random.integers(0, 5, count)


def without_reading(model: keras.Model, graph: ChannelGraph, kept: np.ndarray) -> keras.Model:
    """The large model with zeros in all weights that read a removed channel: to what follows the channel is zero."""
    for name, channels in graph.inputs.items():
        kernel, *bias = model.get_layer(name).get_weights()
        kernel[..., ~kept[channels], :] = 0
        model.get_layer(name).set_weights([kernel, *bias])
    return model


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", CASES)
def test_the_small_model_computes_what_the_large_one_does_without_the_removed_channels(name, precision, tmp_path):
    keras.mixed_precision.set_global_policy(precision)
    model = build(CASES[name])
    graph = trace_channels(model)
    kept = np.ones(graph.count, bool)
    for group in graph.groups:  # a different number of each
        kept[np.random.default_rng(len(group.layers)).permutation(group.channels)[: len(group.channels) // 2]] = False
    small = remove_channels(model, graph, kept)
    assert 0.2 < small.count_params() / model.count_params() < 0.6
    small.save(tmp_path / "small.keras")
    images = examples()[0]
    expected = outputs(without_reading(model, graph, kept), images)
    received = outputs(load_model(tmp_path / "small.keras"), images)
    # A sum of fewer half floats is rounded elsewhere.
    tolerance = 1e-5 if precision == "float32" else 0.03
    np.testing.assert_allclose(received, expected, atol=tolerance * np.ptp(expected))
    assert [(type(a), a.name, a.dtype_policy.name, a.trainable) for a in small.layers] == [
        (type(b), b.name, b.dtype_policy.name, b.trainable) for b in model.layers
    ]


def test_what_residual_additions_and_attention_join_goes_together_and_whitening_and_logits_stay():
    groups = {group.layers: len(group.channels) for group in trace_channels(build(CASES["fast_cnn_deep"])).groups}
    assert groups == {
        ("block1_1_conv", "block1_3_conv"): 6,
        ("block1_2_conv",): 6,
        ("block2_1_conv", "block2_3_conv"): 8,
        ("block2_2_conv",): 8,
        ("block3_1_conv", "block3_3_conv"): 6,
        ("block3_2_conv",): 6,
    }
    attended = trace_channels(build(CASES["attention_cnn"]))
    assert [group.layers for group in attended.groups] == [
        ("stem_conv", "stage1_block_2_conv", "stage1_block_se_excite"),
        ("stage1_block_1_conv",),
        ("stage1_block_se_reduce",),
        ("stage2_block_1_conv",),
        ("stage2_block_2_conv", "stage2_block_se_excite", "stage2_block_shortcut_conv"),
        ("stage2_block_se_reduce",),
        ("head",),
    ]
    # The head reads each channel twice: its maximum and its average.
    assert np.array_equal(attended.inputs["head"], np.tile(attended.outputs["stage2_block_2_conv"], 2))


def test_channels_of_concatenated_layers_that_are_added_to_another_go_in_the_layers_that_make_them():
    graph = trace_channels(joined_model())
    groups = {group.layers: len(group.channels) for group in graph.groups}
    assert groups == {("a", "c", "d"): 4, ("b", "c", "d"): 6}
    assert graph.removable == 10


def two_groups() -> ChannelGraph:
    return ChannelGraph(24, {}, {}, (Group(("a",), np.arange(16)), Group(("b",), np.arange(16, 24))))


def test_the_same_share_of_each_group_goes_the_lowest_scores_first():
    scores = np.concatenate([np.arange(16), -np.arange(8)])
    kept = choose_channels(two_groups(), scores, 0.5, "group", multiple=4)
    assert kept.tolist() == [False] * 8 + [True] * 8 + [True] * 4 + [False] * 4


def test_what_is_worth_least_goes_from_any_group_but_multiples_stay():
    scores = np.concatenate([np.arange(16), np.full(8, 100.0)])
    kept = choose_channels(two_groups(), scores, 0.5, "global", multiple=4)
    assert kept.tolist() == [False] * 12 + [True] * 4 + [True] * 8
    nothing_left = choose_channels(two_groups(), scores, 0.99, "global", multiple=4)
    assert nothing_left[:16].sum() == nothing_left[16:].sum() == 4
    assert choose_channels(two_groups(), scores, 0.9, "group", multiple=32).all()  # no group is that large


def pooled_model() -> keras.Model:
    """Three features, the means of the colours, each times a weight; the logits are theirs."""
    inputs = keras.Input((4, 4, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 1, use_bias=False, name="conv")(inputs))
    model = keras.Model(inputs, layers.Dense(2, use_bias=False, name="logits")(x))
    model.set_weights([np.diag([0.01, 0.02, -0.04])[None, None], np.array([[1.0, 0], [0, 1], [1, -1]])])
    return model


def test_taylor_scores_are_the_squared_change_of_the_loss_as_its_derivative_foretells_it():
    model, random = pooled_model(), np.random.default_rng(0)
    images, labels = random.integers(0, 256, (20, 4, 4, 3)).astype(np.uint8), random.integers(0, 2, 20)
    graph = trace_channels(model)
    features = images.mean((1, 2)) * [0.01, 0.02, -0.04]
    logits = features @ [[1.0, 0], [0, 1], [1, -1]]
    error = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - np.eye(2)[labels]
    expected = np.mean((features * (error @ np.transpose([[1.0, 0], [0, 1], [1, -1]]))) ** 2, axis=0)
    np.testing.assert_allclose(taylor_scores(model, graph, images, labels)[graph.outputs["conv"]], expected, rtol=1e-4)


def test_norm_scores_are_sums_of_absolute_weights_relative_to_their_group():
    graph = trace_channels(pooled_model())
    np.testing.assert_allclose(
        norm_scores(pooled_model(), graph)[graph.outputs["conv"]], np.array([1, 2, 4]) * 3 / 7, rtol=1e-5
    )


@pytest.mark.parametrize("score", SCORES)
def test_a_channel_that_is_zero_is_the_first_to_go(score):
    model = build(CASES["fast_cnn"])
    kernel, *_ = model.get_layer("block2_1_conv").get_weights()
    kernel[..., 5] = 0
    model.get_layer("block2_1_conv").set_weights([kernel])
    norm = model.get_layer("block2_1_norm")
    norm.set_weights([np.where(np.arange(8) == 5, 0, weight) for weight in norm.get_weights()])
    small = prune_channels(model, trace_channels(model), *examples(), 0.1, score, multiple=1)
    left = small.get_layer("block2_1_conv").kernel
    assert left.shape[-1] == 7
    assert not np.any(np.all(np.asarray(left) == 0, axis=(0, 1, 2)))


def test_names_and_settings_survive_that_widths_do_not_decide():
    model = build(CASES["fast_cnn"])
    small = prune_channels(model, trace_channels(model), *examples(), 0.5, "l1", multiple=2)
    assert small.get_layer("scale").scale == model.get_layer("scale").scale == 1 / 8
    assert small.get_layer("block1_1_norm").scale is False
    conv = small.get_layer("block1_1_conv")
    assert (type(conv), conv.filters, type(conv.kernel_initializer).__name__) == (FastConv2D, 4, "PartialIdentity")
    assert type(small.get_layer("whitening")) is PatchWhitening
    assert np.array_equal(small.get_layer("whitening").kernel, model.get_layer("whitening").kernel)


def odd(layer, joined=False) -> keras.Model:
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 1)(inputs)
    return keras.Model(inputs, layers.Dense(2)(layer([x, layers.Conv2D(1, 1)(x)] if joined else x)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: odd(layers.LayerNormalization(name="odd")), "the layer odd, a LayerNormalization: known: Activation"),
        (lambda: odd(layers.Activation("softmax", name="odd")), "odd, a Activation: its activation is softmax"),
        (lambda: odd(layers.Conv2D(4, 1, groups=2, name="odd")), "odd, a Conv2D: its convolution is in 2 groups"),
        (lambda: odd(layers.BatchNormalization(axis=1, name="odd")), "BatchNormalization: expected channels last"),
        (lambda: odd(layers.Multiply(name="odd"), joined=True), "odd, a Multiply: it joins 4 channels to 1"),
        (lambda: odd(lambda x: keras.ops.mean(x, axis=(1, 2))), "a Mean: known"),
        (lambda: odd(keras.Model(tensor := keras.Input((8, 8, 4)), 2 * tensor, name="odd")), "odd, a Functional"),
        (lambda: odd(layers.DepthwiseConv2D(1, depth_multiplier=2, name="odd")), "odd, a Depth.* makes 2 channels"),
        (lambda: build(Model("attention_cnn", attention="cbam", widths=(8,))), "reduce, a Dense: .* called 2 times"),
        (lambda: keras.Sequential([keras.Input((8,)), layers.Dense(2)]), "expected a functional model"),
    ],
)  # fmt: skip
def test_a_layer_that_cannot_be_followed_is_named(model, message):
    with pytest.raises(InputError, match=message):
        trace_channels(model())


def test_a_share_that_removes_nothing_is_refused():
    model = build(CASES["small_cnn"])
    with pytest.raises(InputError, match=r"received 0.01; there are stage1_conv1 \(6\), stage1_conv2 \(6\)"):
        prune_channels(model, trace_channels(model), *examples(), 0.01)
    linear = keras.Sequential([keras.Input((8,)), layers.Dense(2)])
    functional = keras.Model(linear.inputs, linear.outputs, name="linear")
    with pytest.raises(InputError, match="linear has none that can be removed"):
        prune_channels(functional, trace_channels(functional), *examples(), 0.5)
