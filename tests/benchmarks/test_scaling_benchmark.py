"""Overheads and costs that are computed from what was measured."""

import pytest

from benchmarks.scaling import table
from benchmarks.training_costs import (
    Speed,
    Work,
    duration,
    prices_of,
    rows_of,
    seconds_of,
    speeds_for,
    speeds_on_record,
)


def test_overhead_is_against_as_many_steps_of_one_device():
    seconds = {0: [0.1, 0.2], 1: [0.11, 0.2], 2: [0.3, 0.4]}
    rows = table(seconds, batch=10).splitlines()
    assert rows[2] == "| 1, without tf.distribute | 10 | 150 | 67 |  |"
    assert rows[3] == "| 1 | 10 | 155 | 65 | 5% (0% to 10%) |"
    assert rows[4] == "| 2 | 20 | 350 | 57 | 25% (0% to 50%) |"


def entry(name, metric, value, hardware="2 cores, AMD EPYC"):
    return {"name": name, "metric": metric, "value": value, "hardware": hardware}


def test_the_record_of_the_same_network_gives_the_speed_or_else_the_slowest_of_its_kind():
    summary = [
        entry("slow", "pflop", 1.0), entry("slow", "train_seconds", 4000.0),
        entry("fast", "pflop", 1.0), entry("fast", "train_seconds", 2000.0),
        entry("mobile", "pflop", 0.5), entry("mobile", "train_seconds", 5000.0),
        entry("gpu", "pflop", 1.0, "x, NVIDIA H100"), entry("gpu", "train_seconds", 10.0, "x, NVIDIA H100"),
        entry("train_step", "ratio_to_pytorch", 1.0),
    ]  # fmt: skip
    models = {"slow": "small_cnn", "fast": "residual_cnn", "mobile": "mobilenet_v2", "gpu": "residual_cnn"}
    speeds = speeds_on_record(summary, models.get)
    assert {each.record: each.kind for each in speeds} == {"slow": "cpu", "fast": "cpu", "mobile": "cpu", "gpu": "gpu"}
    assert {each.record for each in speeds_for("residual_cnn", speeds)} == {"fast", "gpu"}
    assert {each.record for each in speeds_for("resnet50", speeds)} == {"slow", "gpu"}
    assert [each.record for each in speeds_for("mobilenet", speeds)] == ["mobile"]
    assert speeds_for("residual_cnn", speeds)[0].pflop_per_second == pytest.approx(0.0005)


def test_time_and_money_follow_from_compute_speed_and_price():
    speed = Speed("fast", "residual_cnn", "cpu", "2 cores", 0.0005)
    assert seconds_of(3.6, speed, devices=1, overhead=0) == pytest.approx(7200)
    assert seconds_of(3.6, speed, devices=4, overhead=0.5) == pytest.approx(2700)
    (row,) = rows_of({Work("mine", "residual_cnn", 1000, 32, 3): 3.6}, [speed], {"cpu": 0.5}, 4, 0.5)
    assert row == "| mine: residual_cnn | 1,000 | 32 | 3 | 3.6 | fast, 2 cores | 0.5 | 45 min | $1.50 |"
    assert prices_of([Work("mine", "residual_cnn", 1000, 32, 3)], [speed], {"cpu": 0.5, "gpu": 3.0}) == "$0.50 (cpu)"
    assert not rows_of({Work("mine", "mobilenet_v2", 1000, 32, 3): 3.6}, [speed], {"cpu": 0.5}, 1, 0)
    assert [duration(each) for each in (60, 7200, 86400 * 12.3)] == ["60 s", "2 h", "12.3 days"]
