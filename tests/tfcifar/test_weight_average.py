"""Averaged weights: hand-computed, only lent to the model, statistics included."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcifar.training.weight_average import EpochAverage, WeightAverage


def test_average_follows_the_hand_computed_one():
    """Decay min(d, (1 + t) / (10 + t)): 2/11, 3/12, then d = 0.3 in place of 4/13."""
    weight = keras.Variable(0.0, dtype="float32")
    average = WeightAverage([weight], decay=0.3)
    expected = 0.0
    for value, decay in [(11.0, 2 / 11), (22.0, 3 / 12), (4.0, 0.3), (-7.0, 0.3)]:
        weight.assign(value)
        average.update()
        expected = decay * expected + (1 - decay) * value
        assert float(average.averages[0]) == pytest.approx(expected, rel=1e-6)


def test_average_of_resting_weights_is_the_weights_themselves():
    weight = keras.Variable([0.1, -3.0], dtype="float32")
    average = WeightAverage([weight], decay=0.999)
    for _ in range(20):
        average.update()
    np.testing.assert_array_equal(average.averages[0].numpy(), weight.numpy())


def test_average_is_a_copy_and_updates_inside_a_graph():
    weight = keras.Variable(1.0, dtype="float32")
    average = WeightAverage([weight], decay=0.9)
    weight.assign(2.0)
    assert float(average.averages[0]) == 1.0
    tf.function(average.update)()
    assert float(average.averages[0]) == pytest.approx(2 / 11 * 1 + 9 / 11 * 2)


def test_applied_lends_the_averages_and_gives_the_weights_back():
    weight = keras.Variable(1.0, dtype="float32")
    average = WeightAverage([weight], decay=0.9)
    weight.assign(5.0)
    with average.applied():
        assert float(weight.value) == 1.0
    assert float(weight.value) == 5.0
    assert float(average.averages[0]) == 1.0


def test_applied_gives_the_weights_back_after_an_exception():
    weight = keras.Variable(1.0, dtype="float32")
    average = WeightAverage([weight], decay=0.9)
    weight.assign(5.0)
    with pytest.raises(OSError, match="disk full"), average.applied():
        raise OSError("disk full")
    assert float(weight.value) == 5.0


def test_batch_norm_statistics_are_averaged_too():
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(momentum=0.0)])
    average = WeightAverage(model.weights, decay=0.999)
    model(np.full((8, 4), 22.0, "float32"), training=True)  # moving mean 22 at once, by momentum 0
    average.update()
    with average.applied():
        moving_mean = next(weight.numpy() for weight in model.weights if weight.name == "moving_mean")
    np.testing.assert_allclose(moving_mean, np.full(4, 22.0 * 9 / 11), rtol=1e-6)


def test_a_checkpoint_needs_the_averages_and_the_count_of_steps():
    weights = [keras.Variable(np.zeros(3, "float32")), keras.Variable(0.0)]
    average = WeightAverage(weights, decay=0.9)
    average.update()
    assert [tuple(variable.shape) for variable in average.variables] == [(3,), (), ()]
    assert float(average.variables[-1]) == 1.0


def test_the_mean_over_epochs_begins_with_its_first_and_counts_each_alike():
    weight = keras.Variable(100.0, dtype="float32")
    average = EpochAverage([weight], first_epoch=2)
    for epoch, value in enumerate([50.0, 60.0, 1.0, 2.0, 6.0]):
        weight.assign(value)
        average.update(epoch)
    assert float(average.averages[0]) == pytest.approx((1 + 2 + 6) / 3)
    assert float(average.variables[-1]) == 3
