"""Learning rates at known steps, against the closed formulas."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcifar.recipe import Model, Optimizer, Recipe, Schedule, Transfer
from tfcifar.training.phases import phases_of
from tfcifar.training.schedules import OneCycle, StartingAt, main_schedule, plateau_rate, schedule_for

PEAK = 0.4
STEPS = 50  # an epoch


def schedule(name: str, epochs: int = 10, **options):
    recipe = Recipe(
        name="test",
        model=Model("small_cnn"),
        optimizer=Optimizer(learning_rate=PEAK),
        schedule=Schedule(name, **options),
        epochs=epochs,
        batch_size=32,
    )
    return main_schedule(recipe, STEPS)


def values(schedule, steps) -> np.ndarray:
    """By way of an optimizer's own counter, as in training."""
    optimizer = keras.optimizers.SGD(schedule)
    found = []
    for step in steps:
        optimizer.iterations.assign(step)
        found.append(float(optimizer.learning_rate))
    return np.array(found)


def test_cosine_falls_from_the_peak_to_zero():
    steps = np.array([0, 1, 125, 250, 499, 500])
    expected = PEAK * (1 + np.cos(np.pi * steps / 500)) / 2
    np.testing.assert_allclose(values(schedule("cosine"), steps), expected, rtol=1e-5, atol=1e-7)


def test_cosine_with_warm_up_rises_linearly_and_then_falls_over_what_remains():
    warm, steps = 100, np.array([0, 1, 50, 99, 100, 101, 300, 450, 499, 500])
    falling = PEAK * (1 + np.cos(np.pi * (steps - warm) / (500 - warm))) / 2
    expected = np.where(steps < warm, PEAK * steps / warm, falling)
    np.testing.assert_allclose(values(schedule("cosine", warmup_epochs=2), steps), expected, rtol=1e-5, atol=1e-7)


def test_warm_up_may_be_part_of_an_epoch():
    np.testing.assert_allclose(
        values(schedule("cosine", warmup_epochs=0.5), [0, 5, 25]), [0, PEAK * 5 / 25, PEAK], rtol=1e-6
    )


def test_linear_falls_from_the_peak_to_zero():
    np.testing.assert_allclose(
        values(schedule("linear"), [0, 1, 250, 499, 500]), PEAK * np.array([1, 0.998, 0.5, 0.002, 0]), rtol=1e-4
    )


def test_linear_with_warm_up_rises_from_a_fifth_of_the_peak():
    expected = PEAK * np.array([0.2, 0.6, 1, 0.5, 0])
    np.testing.assert_allclose(values(schedule("linear", warmup_epochs=2), [0, 50, 100, 300, 500]), expected, rtol=1e-5)


def test_stages_change_exactly_at_the_epoch_borders():
    rates = schedule("stages", epochs=35, stage_learning_rates=(3e-4, 1e-4, 5e-5), stage_epochs=(20, 10, 5))
    first, second = 20 * STEPS, 30 * STEPS  # the first steps of epochs 21 and 31
    steps = [0, first - 1, first, second - 1, second, 35 * STEPS - 1]
    np.testing.assert_allclose(values(rates, steps), [3e-4, 3e-4, 1e-4, 1e-4, 5e-5, 5e-5], rtol=1e-6)


def test_one_cycle_starts_at_a_25th_peaks_after_the_warm_up_and_ends_at_a_10000th():
    rates = schedule("one_cycle", warmup_epochs=3)
    np.testing.assert_allclose(
        values(rates, [0, 150, 500, 600]), [PEAK / 25, PEAK, PEAK / 10_000, PEAK / 10_000], rtol=1e-4
    )
    half_way_up, half_way_down = values(rates, [75, 325])
    assert half_way_up == pytest.approx((PEAK / 25 + PEAK) / 2)
    assert half_way_down == pytest.approx((PEAK / 10_000 + PEAK) / 2)


def test_one_cycle_has_one_summit():
    rates = values(schedule("one_cycle", warmup_epochs=3), range(0, 501, 10))
    summit = int(rates.argmax())
    assert summit == 15
    assert (np.diff(rates[: summit + 1]) > 0).all()
    assert (np.diff(rates[summit:]) < 0).all()


def test_one_cycle_without_a_rising_part_starts_at_the_peak():
    assert values(schedule("one_cycle"), [0])[0] == pytest.approx(PEAK)


def test_constant_stays_and_its_warm_up_is_linear():
    np.testing.assert_allclose(values(schedule("constant"), [0, 1, 250, 499]), [PEAK] * 4, rtol=1e-6)
    np.testing.assert_allclose(
        values(schedule("constant", warmup_epochs=1), [0, 10, 49, 50, 51, 499]),
        [0, PEAK * 10 / 50, PEAK * 49 / 50, PEAK, PEAK, PEAK],
        rtol=1e-5,
        atol=1e-8,
    )


ALL = {
    "constant": {"warmup_epochs": 1},
    "linear": {"warmup_epochs": 1},
    "cosine": {"warmup_epochs": 1},
    "one_cycle": {"warmup_epochs": 1},
    "stages": {"stage_learning_rates": (0.1, 0.01), "stage_epochs": (6, 4)},
}


@pytest.mark.parametrize("name", ALL)
def test_each_schedule_works_on_integer_tensors_inside_a_graph(name):
    rates = schedule(name, **ALL[name])
    steps = np.array([0, 7, 50, 299, 300, 301, 499])
    traced = tf.function(lambda step: tf.cast(rates(step), tf.float32))
    for dtype in (tf.int32, tf.int64):
        in_graph = [float(traced(tf.constant(step, dtype))) for step in steps]
        np.testing.assert_allclose(in_graph, values(rates, steps), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", ALL)
def test_each_schedule_survives_its_config(name):
    rates = StartingAt(schedule(name, **ALL[name]), 120)
    config = keras.optimizers.schedules.serialize(rates)
    again = keras.optimizers.schedules.deserialize(config)
    steps = [0, 30, 200]
    np.testing.assert_array_equal(values(again, steps), values(rates, steps))


@pytest.mark.parametrize("name", ALL)
def test_starting_at_goes_on_where_the_phase_before_stopped(name):
    whole = schedule(name, **ALL[name])
    np.testing.assert_array_equal(values(StartingAt(whole, 200), [0, 1, 150]), values(whole, [200, 201, 350]))


def test_head_phase_has_its_own_rate_and_unfreezing_steps_share_one_schedule():
    recipe = Recipe(
        name="test",
        model=Model("mobilenet_v2"),
        optimizer=Optimizer(learning_rate=PEAK),
        transfer=Transfer(head_epochs=2, head_learning_rate=1e-3, unfreeze=(0.5, 1.0), unfreeze_epochs=3),
        epochs=10,
        batch_size=32,
    )
    head, first, second = phases_of(recipe)
    assert values(schedule_for(recipe, head, STEPS), [0])[0] == pytest.approx(1e-3)
    assert values(schedule_for(recipe, first, STEPS), [0])[0] == pytest.approx(PEAK)
    expected = PEAK * (1 + math.cos(math.pi * 3 / 10)) / 2
    assert values(schedule_for(recipe, second, STEPS), [0])[0] == pytest.approx(expected, rel=1e-5)


def test_one_cycle_keeps_its_config():
    assert OneCycle(0.4, 10, 100).get_config() == {"peak": 0.4, "warmup_steps": 10, "total_steps": 100}


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_plateaus_are_those_of_keras_callback(patience):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(PEAK), "mse")
    callback = keras.callbacks.ReduceLROnPlateau(factor=0.3, patience=patience, min_delta=0)
    callback.set_model(model)
    callback.on_train_begin()
    losses = [2.0, 1.0, 1.5, 1.0, 0.9, 1.2, 1.1, 1.3, 0.95, 0.8, 0.8, 0.8, 0.7]
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"val_loss": loss})
        found = plateau_rate(PEAK, losses[: epoch + 1], patience, 0.3)
        assert found == pytest.approx(float(model.optimizer.learning_rate), rel=1e-5)
