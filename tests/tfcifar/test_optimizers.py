"""Steps of the recipe's optimizers, against formulas written out by hand."""

import keras
import numpy as np
import pytest

from tfcifar.models import build_model
from tfcifar.models.transfer import backbone_of
from tfcifar.recipe import Model, Optimizer, Recipe, Schedule, Transfer
from tfcifar.training.layerwise import rates_by_depth
from tfcifar.training.optimizers import make_optimizer
from tfcifar.training.phases import phases_of

W0 = np.array([[1.0, -2.0], [0.5, 4.0]], "float32")
GRADIENTS = [np.array([[0.3, -0.1], [0.2, 0.4]], "float32"), np.array([[-0.5, 0.2], [0.1, 0.0]], "float32")]


def optimizer(**options) -> keras.optimizers.Optimizer:
    recipe = Recipe(
        name="test",
        model=Model("small_cnn"),
        optimizer=Optimizer(**options),
        schedule=Schedule("constant"),
        epochs=2,
        batch_size=32,
    )
    return make_optimizer(recipe, phases_of(recipe)[0], steps_per_epoch=10)


def variable(name: str, value=W0) -> keras.Variable:
    return keras.Variable(value, name=name, dtype="float32")


def after_steps(optimizer, variables: list[keras.Variable], gradients) -> list[np.ndarray]:
    for step in gradients:
        optimizer.apply(step, variables)
    return [each.numpy() for each in variables]


def test_sgd_is_nesterov_with_decay_by_the_learning_rate_times_the_weight():
    """PyTorch's SGD(nesterov=True) with the learning rate held: v = m v + g; w -= lr (g + m v)."""
    lr, momentum, decay = 0.1, 0.9, 0.01
    sgd = optimizer(name="sgd", learning_rate=lr, momentum=momentum, weight_decay=decay)
    (found,) = after_steps(sgd, [variable("kernel")], [[gradient] for gradient in GRADIENTS])
    w, v = W0.copy(), np.zeros_like(W0)
    for gradient in GRADIENTS:
        w -= lr * decay * w
        v = momentum * v + gradient
        w -= lr * (gradient + momentum * v)
    np.testing.assert_allclose(found, w, rtol=1e-5)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_and_adamw_are_adam_with_decoupled_decay(name):
    """Loshchilov and Hutter 2019, algorithm 2, with bias correction."""
    lr, decay, beta1, beta2, epsilon = 0.01, 0.1, 0.9, 0.999, 1e-7
    adam = optimizer(name=name, learning_rate=lr, weight_decay=decay)
    (found,) = after_steps(adam, [variable("kernel")], [[gradient] for gradient in GRADIENTS])
    w, m, v = W0.copy(), 0.0, 0.0
    for step, gradient in enumerate(GRADIENTS, start=1):
        m, v = beta1 * m + (1 - beta1) * gradient, beta2 * v + (1 - beta2) * gradient**2
        w = w - lr * decay * w
        w = w - lr * (m / (1 - beta1**step)) / (np.sqrt(v / (1 - beta2**step)) + epsilon)
    np.testing.assert_allclose(found, w, rtol=1e-4)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_decay_spares_biases_and_normalization(name):
    names = ["kernel", "bias", "gamma", "beta"]
    zero = [np.zeros_like(W0)] * len(names)
    decayed = after_steps(
        optimizer(name=name, learning_rate=0.1, weight_decay=0.1), [variable(each) for each in names], [zero]
    )
    np.testing.assert_allclose(decayed[0], W0 * (1 - 0.1 * 0.1), rtol=1e-6)
    for value in decayed[1:]:
        np.testing.assert_array_equal(value, W0)


def test_the_weights_of_a_model_that_decay_are_its_kernels():
    model = build_model(Model("small_cnn", widths=(4,)), (8, 8, 3), 3, (0.5,) * 3, (0.25,) * 3)
    sgd = optimizer(name="sgd", learning_rate=0.5, weight_decay=0.5)
    before = [weight.numpy() for weight in model.trainable_variables]
    sgd.apply([np.zeros_like(value) for value in before], model.trainable_variables)
    changed = {
        weight.path
        for weight, value in zip(model.trainable_variables, before, strict=True)
        if not np.array_equal(weight.numpy(), value)
    }
    assert changed == {"stage1_conv1/kernel", "stage1_conv2/kernel", "logits/kernel"}


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_each_optimizer_builds_without_decay_and_clipping(name):
    (found,) = after_steps(optimizer(name=name, learning_rate=0.1), [variable("kernel")], [[np.zeros_like(W0)]])
    np.testing.assert_array_equal(found, W0)


def test_clipping_is_by_the_norm_of_all_gradients_together():
    """3 and 4 have the norm 5: clipped to 1 they are 0.6 and 0.8; each by itself would be 1."""
    sgd = optimizer(name="sgd", learning_rate=1.0, momentum=0.0, clip_norm=1.0)
    variables = [variable("kernel", np.zeros(1, "float32")) for _ in range(2)]
    found = after_steps(sgd, variables, [[np.array([3.0], "float32"), np.array([4.0], "float32")]])
    np.testing.assert_allclose(np.concatenate(found), [-0.6, -0.8], rtol=1e-6)


def test_gradients_below_the_norm_stay_as_they_are():
    sgd = optimizer(name="sgd", learning_rate=1.0, momentum=0.0, clip_norm=10.0)
    found = after_steps(sgd, [variable("kernel", np.zeros(1, "float32"))], [[np.array([3.0], "float32")]])
    np.testing.assert_allclose(found, [[-3.0]], rtol=1e-6)


def test_the_head_trains_with_adam_at_its_own_rate_whatever_the_recipe():
    recipe = Recipe(
        name="test",
        model=Model("mobilenet_v2"),
        optimizer=Optimizer("sgd", learning_rate=0.5),
        transfer=Transfer(head_epochs=1, head_learning_rate=2e-3),
        epochs=2,
        batch_size=32,
    )
    head, fine_tune = (make_optimizer(recipe, phase, 10) for phase in phases_of(recipe))
    assert type(head) is keras.optimizers.Adam
    assert float(head.learning_rate) == pytest.approx(2e-3)
    assert type(fine_tune) is keras.optimizers.SGD
    assert fine_tune.nesterov


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_rate_of_a_variable_multiplies_its_steps_and_no_others(name):
    recipe = Recipe("test", Model("small_cnn"), epochs=2, batch_size=32, optimizer=Optimizer(name, 0.1))
    slow, fast = variable("slow"), variable("fast")
    optimizer = make_optimizer(recipe, phases_of(recipe)[0], 10, rates={slow.path: 0.25})
    slow_steps, fast_steps = (each - W0 for each in after_steps(optimizer, [slow, fast], [[g, g] for g in GRADIENTS]))
    np.testing.assert_allclose(slow_steps, 0.25 * fast_steps, rtol=1e-4)
    assert np.abs(fast_steps).max() > 0.01


def test_rates_rise_from_the_first_layer_of_a_backbone_to_its_last():
    model = build_model(Model("mobilenet_v2", image_size=32), (32, 32, 3), 3, (0.5,) * 3, (0.25,) * 3)
    rates = rates_by_depth(model, 0.01)
    layers = [layer for layer in backbone_of(model).layers if layer.weights]
    assert rates[layers[0].weights[0].path] == pytest.approx(0.01)
    assert rates[layers[-1].weights[0].path] == 1
    middle = rates[layers[(len(layers) - 1) // 2].weights[0].path]
    assert middle == pytest.approx(0.1, rel=0.05)
    assert model.get_layer("logits").kernel.path not in rates
    assert {weight.path for weight in backbone_of(model).weights} == set(rates)
