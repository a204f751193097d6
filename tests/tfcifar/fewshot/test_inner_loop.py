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
    """Finn et al. 2017, section 5.1 and figure 2: amplitude 0.1..5, phase 0..pi, ten points in -5..5, 40-40 ReLU.

    Averaged over all sines, a network knows nothing, and a step from there leads nowhere.
    """
    keras.utils.set_random_seed(0)
    random = np.random.RandomState(0)

    def tasks(count, points):
        amplitude, phase = random.uniform(0.1, 5, (count, 1, 1)), random.uniform(0, np.pi, (count, 1, 1))
        x = random.uniform(-5, 5, (count, points, 1))
        return x.astype(np.float32), (amplitude * np.sin(x - phase)).astype(np.float32)

    def start():
        sizes = [(1, 40), (40, 40), (40, 1)]
        return [tf.Variable(value) for rows, columns in sizes
                for value in (random.normal(0, (2 / rows) ** 0.5, (rows, columns)).astype(np.float32),
                              np.zeros(columns, np.float32))]  # fmt: skip

    def network(p, x):
        hidden = tf.nn.relu(tf.nn.relu(x @ p[0] + p[1]) @ p[2] + p[3])
        return hidden @ p[4] + p[5]

    def error(p, x, y):
        return tf.reduce_mean((network(p, x) - y) ** 2)

    rates = [tf.constant(0.01)] * 6

    def adapted_error(parameters, x, y, shots, steps):
        adapted = adapt(lambda p: error(p, x[:shots], y[:shots]), parameters, rates, steps)
        return error(adapted, x[shots:], y[shots:])

    def train(objective, iterations):
        parameters, optimizer = start(), keras.optimizers.Adam(2e-3)
        optimizer.build(parameters)

        @tf.function
        def step(x, y):
            with tf.GradientTape() as tape:
                loss = objective(parameters, x, y)
            optimizer.apply(tape.gradient(loss, parameters), parameters)

        for _ in range(iterations):
            step(*map(tf.constant, tasks(10, 15)))
        return [tf.convert_to_tensor(each) for each in parameters]

    def mean_over_tasks(parameters, x, y):
        values = [tf.identity(each) for each in parameters]
        return tf.reduce_mean(tf.vectorized_map(lambda task: adapted_error(values, *task, 5, 1), (x, y)))

    meta_trained = train(mean_over_tasks, 1000)
    pretrained = train(error, 1000)
    x, y = map(tf.constant, tasks(100, 55))
    judge = tf.function(lambda p: tf.vectorized_map(lambda task: adapted_error(p, *task, 5, 5), (x, y)))
    ours, plain = float(tf.reduce_mean(judge(meta_trained))), float(tf.reduce_mean(judge(pretrained)))
    assert plain > 2  # the mean square of these sines is 4.3
    assert ours < plain / 2.5


def test_the_network_as_a_function_is_the_network_and_its_head_starts_without_a_preference(network):
    functional = Network(network)
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    head = [tf.convert_to_tensor(each) for each in network.get_layer("logits").weights]
    np.testing.assert_allclose(functional.logits([*functional.start(), *head], images), network(images), atol=1e-5)
    fresh = functional.logits([*functional.start(), *functional.new_head(7)], images)
    np.testing.assert_array_equal(fresh, np.zeros((3, 7)))
