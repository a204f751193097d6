"""Models of Keras 3 in tf_keras: every registered one, random graphs, what cannot be translated, and the way back."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers

from export.bridge_layers import hard_sigmoid
from export.tf_keras_bridge import from_tf_keras, to_tf_keras
from pipelines.errors import InputError
from tests.export.models import build, images, outputs, randomized
from tfcifar.models import MODELS
from tfcifar.models.multi_task import with_group_head
from tfcifar.models.normalization import FusedBatchNormalization

CASES = [(name, attention) for name, entry in MODELS.items() for attention in entry.attention or (None,)]


def assert_equal(model: keras.Model, clone: tf_keras.Model) -> None:
    expected, received = outputs(model, images(model)), outputs(clone, images(model))
    np.testing.assert_allclose(received, expected, atol=1e-4 * np.ptp(expected))


# One with a model inside stands for the others, which take seconds each.
NESTED = [("mobilenet", None, False)]


@pytest.mark.parametrize(("name", "attention", "flatten"), [*((*case, True) for case in CASES), *NESTED])
def test_each_model_computes_the_same_in_tf_keras(name, attention, flatten):
    model = build(name, attention)
    clone = to_tf_keras(model, images(model), flatten)
    assert isinstance(clone, tf_keras.Model)
    assert_equal(model, clone)
    nested = any(isinstance(layer, tf_keras.Model) for layer in clone.layers)
    assert nested == (MODELS[name].pretrained and not flatten)
    assert {layer.name for layer in model.layers if layer.weights} <= {layer.name for layer in clone.layers} or flatten


def test_trained_weights_come_back_into_models_inside_too():
    model, other = build("mobilenet"), build("mobilenet")
    clone = to_tf_keras(model, flatten=True)
    for weight in clone.weights:
        weight.assign(weight * 0.5 + 0.01)
    assert_equal(from_tf_keras(clone, other), clone)
    assert not np.allclose(model.get_weights()[0], other.get_weights()[0])


def test_weights_of_another_model_do_not_come_back():
    clone = to_tf_keras(build("small_cnn"))
    with pytest.raises(InputError, match=r"expected weights in the same layers, found these in one model only"):
        from_tf_keras(clone, build("residual_cnn"))


def test_functions_on_tensors_layers_called_twice_and_several_outputs():
    inputs = keras.Input((8, 8, 3))
    shared = layers.Conv2D(4, 3, padding="same", name="shared")
    x = shared(inputs / 255.0 - 0.5)
    y = keras.activations.relu6(x + 3.0) * (1 / 6)
    z = layers.Add()([keras.activations.silu(x), 2.0 * y])
    x = layers.Conv2D(3, 1, activation="hard_sigmoid")(z * y)
    outputs = {"map": shared(x), "mean": layers.GlobalAveragePooling2D(name="pool")(x)}
    model = keras.Model(inputs, outputs)
    clone = to_tf_keras(model)
    batch = images(model)
    expected, received = model(batch), clone(batch)
    assert set(received) == {"map", "mean"}
    for name in expected:
        np.testing.assert_allclose(received[name], expected[name], atol=1e-4)
    assert [layer.name for layer in clone.layers].count("shared") == 1


def inner_model(name: str, layer="conv") -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, layers.Conv2D(3, 3, padding="same", name=layer)(inputs), name=name)


@pytest.mark.parametrize("flatten", [True, False])
def test_a_model_ends_in_a_model_inside_it_and_calls_it_twice(flatten):
    inputs, inner = keras.Input((8, 8, 3)), inner_model("inner")
    once = inner(layers.Rescaling(0.1)(inputs))
    model = keras.Model(inputs, {"twice": inner(once), "once": once})
    clone = to_tf_keras(model, flatten=flatten)
    expected, received = model(images(model)), clone(images(model))
    for name in ("once", "twice"):
        np.testing.assert_allclose(received[name], expected[name], atol=1e-4)


@pytest.mark.parametrize("flatten", [True, False])
def test_models_of_several_inputs(flatten):
    inside = keras.Input((8, 8, 3), name="b"), keras.Input((3,), name="a")
    inner = keras.Model(dict(zip("ba", inside, strict=True)), layers.Multiply()(inside), name="inner")
    picture, numbers = keras.Input((8, 8, 3)), keras.Input((3,))
    joined = inner({"b": picture, "a": numbers})
    model = keras.Model([picture, numbers], layers.Conv2D(2, 3)(joined))
    batch = [np.ones((2, 8, 8, 3), "float32"), np.array([[1.0, 2.0, 3.0]] * 2, "float32")]
    clone = to_tf_keras(model, batch, flatten)
    np.testing.assert_allclose(clone(batch), model(batch), atol=1e-4)
    assert to_tf_keras(inner).input_names == ["a", "b"]  # in the order of their keys, as in Keras 3


def test_layers_of_two_models_that_share_a_name_are_named():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, inner_model("second")(inner_model("first")(inputs)))
    with pytest.raises(InputError, match=r"expected layers of different names, .* twice: \['conv'\]"):
        to_tf_keras(model, flatten=True)
    with pytest.raises(InputError, match=r"twice: \['conv'\]"):  # whose weights would go into both
        from_tf_keras(to_tf_keras(model), model)


def test_two_heads_and_half_precision():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = with_group_head(build("small_cnn"), 2)
    clone = to_tf_keras(model)
    assert set(clone.output) == {"logits", "group_logits"}
    assert all(layer.compute_dtype == "float32" for layer in clone.layers)


def test_hard_sigmoid_is_that_of_keras_3_and_not_the_one_of_the_same_name():
    values = tf.constant([-4, -3, -1, 0, 1.5, 4])
    np.testing.assert_allclose(hard_sigmoid(values), [0, 0, 2 / 6, 0.5, 4.5 / 6, 1], atol=1e-6)
    assert not np.allclose(tf_keras.activations.hard_sigmoid(values), hard_sigmoid(values))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.GaussianDropout(0.3, name="odd_one"), "no translation of the layer odd_one, a GaussianDropout"),
        (layers.Activation("log_sigmoid", name="odd_one"), "odd_one, a Activation with the activation log_sigmoid"),
        (layers.Resizing(4, 4, antialias=True, name="odd_one"), "odd_one, a Resizing that pads or smooths"),
        (layers.Conv2D(2, 3, activation=lambda x: x, name="odd_one"), "odd_one, a Conv2D with the activation <lambda>"),
        (layers.Dense(2, activation=layers.ReLU(6.0), name="odd_one"), "odd_one, a Dense with the activation ReLU"),
    ],
)
def test_what_cannot_be_translated_is_named(layer, message):
    inputs = keras.Input((8, 8, 3))
    inner = keras.Model(inputs, layer(inputs))
    with pytest.raises(InputError, match=message):
        to_tf_keras(keras.Sequential([keras.Input((8, 8, 3)), inner]))


def test_a_function_without_translation_is_named():
    inputs = keras.Input((8, 8, 3))
    with pytest.raises(InputError, match=r"no translation of the layer .*, a Mean"):
        to_tf_keras(keras.Model(inputs, keras.ops.mean(inputs, axis=-1)))


# What a step of a random graph does to a map [n, h, w, c].
STEPS = {
    "conv": lambda x: layers.Conv2D(4, 3, padding="same")(x),
    "strided": lambda x: layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x),
    "depthwise": lambda x: layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, use_bias=False)(x),
    "separable": lambda x: layers.SeparableConv2D(4, 3, padding="same")(x),
    "norm": lambda x: FusedBatchNormalization(scale=False)(x),
    "keras_norm": lambda x: layers.BatchNormalization(center=False, epsilon=0.1)(x),
    "layer_norm": lambda x: layers.LayerNormalization()(x),
    "swish": lambda x: layers.Activation("swish")(x),
    "leaky": lambda x: layers.LeakyReLU(0.1)(x),
    "pool": lambda x: layers.MaxPooling2D(2, padding="same")(x),
    "average": lambda x: layers.AveragePooling2D(2, strides=1, padding="same")(x),
    "pad": lambda x: layers.ZeroPadding2D(((0, 1), (1, 0)))(x),
    "up": lambda x: layers.UpSampling2D(2)(x),
    "scale": lambda x: x * 0.5 + 1.0,
    "excite": lambda x: layers.Multiply()([x, layers.Dense(x.shape[-1], activation="sigmoid")(
        layers.GlobalAveragePooling2D(keepdims=True)(x))]),
    "inside": lambda x: inside(x.shape[1:])(x),
}  # fmt: skip


def inside(shape) -> keras.Model:
    inputs = keras.Input(shape)
    return keras.Model(inputs, layers.Conv2D(4, 1, activation="tanh")(layers.BatchNormalization()(inputs)))


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 20), st.booleans()), min_size=2, max_size=7
    ),
    flatten=st.booleans(),
)
def test_random_graphs_compute_the_same(steps, flatten):
    """Each step continues from any earlier map, and may be joined to another of its size."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 6, 3))
    maps = [layers.Rescaling(1 / 127.5, -1.0)(inputs)]
    for name, origin, join in steps:
        x = STEPS[name](maps[origin % len(maps)])
        alike = [each for each in maps if each.shape[:3] == x.shape[:3]]
        if join and alike:
            same = [each for each in alike if each.shape == x.shape]
            x = layers.Add()([x, same[-1]]) if same else layers.Concatenate()([x, alike[-1]])
        maps.append(x)
    pooled = [layers.GlobalMaxPooling2D()(each) for each in maps[-2:]]
    model = randomized(keras.Model(inputs, layers.Dense(3)(layers.Concatenate()(pooled))))
    assert_equal(model, to_tf_keras(model, flatten=flatten))


def test_tf_mot_prunes_and_quantizes_what_comes_out():
    inputs = keras.Input((8, 8, 3))
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, use_bias=False), FusedBatchNormalization()])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(inner(inputs)))
    model = randomized(keras.Model(inputs, layers.Dense(3)(x)))
    clone = to_tf_keras(model, flatten=True)
    pruned = tfmot.sparsity.keras.prune_low_magnitude(clone, tfmot.sparsity.keras.ConstantSparsity(0.5, 0))
    stripped = tfmot.sparsity.keras.strip_pruning(pruned)
    assert_equal(from_tf_keras(stripped, model), stripped)
    quantized = tfmot.quantization.keras.quantize_model(clone)
    assert {layer.name for layer in quantized.layers} >= {f"quant_{layer.name}" for layer in clone.layers[1:]}
