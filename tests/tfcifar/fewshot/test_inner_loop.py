"""The gradient through steps of gradient descent, against an analytic case, and what it is good for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcifar.fewshot.inner_loop import Network, adapt

RATE = 0.1
# Losses 1/2 x'Ax - b'x of a task's support and query.
A = np.array([[2.0, 0.5], [0.5, 1.0]])
B = np.array([1.0, -1.0])
C = np.array([[1.0, -0.3], [-0.3, 3.0]])
D = np.array([0.5, 2.0])
START = np.array([0.7, -0.4])


def quadratic(matrix, vector):
    def loss(parameters):
        (x,) = parameters
        return 0.5 * tf.tensordot(x, tf.linalg.matvec(matrix, x), 1) - tf.tensordot(vector, x, 1)

    return loss


def steps_of(start, rate, steps):
    x = start
    for _ in range(steps):
        x = x - rate * (A @ x - B)
    return x


@pytest.mark.parametrize("steps", [1, 3])
def test_meta_gradients_of_a_quadratic_are_the_analytic_ones(steps):
    """A step maps x to (I - rA)x + rb: through n steps the gradient is ((I - rA)^n)' times that of the query loss."""
    start, rate = tf.constant(START), tf.constant(RATE, tf.float64)
    query = quadratic(C, D)
    found = {}
    for second_order in (True, False):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([start, rate])
            (adapted,) = adapted_list = adapt(quadratic(A, B), [start], [rate], steps, second_order)
            loss = query(adapted_list)
        found[second_order] = tape.gradient(loss, start).numpy(), tape.gradient(loss, rate).numpy()
        np.testing.assert_allclose(adapted, steps_of(START, RATE, steps))
    at_end = C @ steps_of(START, RATE, steps) - D
    jacobian = np.linalg.matrix_power(np.eye(2) - RATE * A, steps)
    np.testing.assert_allclose(found[True][0], jacobian.T @ at_end)
    np.testing.assert_allclose(found[False][0], at_end)  # first order: the steps count as constants
    h = 1e-6
    slope = (steps_of(START, RATE + h, steps) - steps_of(START, RATE - h, steps)) / (2 * h)
    np.testing.assert_allclose(found[True][1], at_end @ slope, rtol=1e-6)
    gradients = sum(A @ steps_of(START, RATE, step) - B for step in range(steps))
    np.testing.assert_allclose(found[False][1], -at_end @ gradients)


def test_after_meta_training_on_sines_five_points_are_enough_and_pretraining_is_no_help():
    """Finn et al. 2017, section 5.1 and figure 2: amplitude 0.1..5, phase 0..pi, points in -5..5, 40-40 ReLU.

    A network that was trained on all sines at once knows their mean, and steps from there lead nowhere. In 1/35
    of the paper's iterations; with the kinks of the first layer spread over -5..5, so that these are enough.
    """
    random, rate, shots = np.random.RandomState(0), tf.constant(0.003), 5

    def tasks(count, points):
        amplitude, phase = random.uniform(0.1, 5, (count, 1, 1)), random.uniform(0, np.pi, (count, 1, 1))
        x = random.uniform(-5, 5, (count, points, 1))
        return tf.constant(x, tf.float32), tf.constant(amplitude * np.sin(x - phase), tf.float32)

    def network(p, x):
        return tf.nn.relu(tf.nn.relu(x @ p[0] + p[1]) @ p[2] + p[3]) @ p[4] + p[5]

    def error(p, x, y):
        return tf.reduce_mean((network(p, x) - y) ** 2)

    def mean_error_after(p, x, y, steps):
        def of_task(task):
            x, y = task
            adapted = adapt(lambda p: error(p, x[:shots], y[:shots]), p, [rate] * 6, steps)
            return error(adapted, x[shots:], y[shots:])

        return tf.reduce_mean(tf.vectorized_map(of_task, (x, y)))

    def train(objective, iterations=2000):
        spread = [2**0.5, 0.05**0.5, 0.1]  # of kernels
        kernels = [
            random.normal(0, std, shape) for std, shape in zip(spread, [(1, 40), (40, 40), (40, 1)], strict=True)
        ]
        biases = [random.uniform(-5, 5, 40), np.zeros(40), np.zeros(1)]
        pairs = zip(kernels, biases, strict=True)
        parameters = [tf.Variable(each, dtype=tf.float32) for pair in pairs for each in pair]
        optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(5e-3, iterations))
        optimizer.build(parameters)

        @tf.function
        def step(x, y):
            with tf.GradientTape() as tape:
                loss = objective([tf.identity(each) for each in parameters], x, y)
            optimizer.apply(tape.gradient(loss, parameters), parameters)

        for _ in range(iterations):
            step(*tasks(10, 15))
        return [tf.convert_to_tensor(each) for each in parameters]

    meta_trained = train(lambda p, x, y: mean_error_after(p, x, y, 3))
    pretrained = train(error)
    x, y = tasks(200, 55)
    ours = float(mean_error_after(meta_trained, x, y, 5))
    plain = [float(mean_error_after(pretrained, x, y, steps)) for steps in (0, 5)]
    assert 2 < plain[0] < 4.3  # the mean square of these sines is 4.3
    assert plain[1] > 2
    assert ours < min(plain) / 2


def test_the_network_as_a_function_is_the_network_and_its_head_starts_without_a_preference(network):
    functional = Network(network)
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    head = [tf.convert_to_tensor(each) for each in network.get_layer("logits").weights]
    np.testing.assert_allclose(functional.logits([*functional.start(), *head], images), network(images), atol=1e-5)
    fresh = functional.logits([*functional.start(), *functional.new_head(7)], images)
    np.testing.assert_array_equal(fresh, np.zeros((3, 7)))
