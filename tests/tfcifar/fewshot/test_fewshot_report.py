"""The table of a benchmark: which method it advises, what its intervals cover, and what goes on record."""

import csv
import json

import numpy as np
import pytest

from tfcifar.fewshot.benchmark_run import Judged, Pool
from tfcifar.reporting.fewshot_report import record_fewshot, write_fewshot
from tfcifar.reporting.fewshot_rows import columns

POOL = Pool(4, 1200, ("disc", "ring"), 50)


def judged(method, mean, training=60.0, learning=0.01, shots=5, noise=0.02, data="shapes@4/2/2", draw=0):
    """200 episodes; the same luck for all, and some of each one's own."""
    accuracies = None
    if mean is not None:
        luck = np.random.default_rng(draw).normal(0, 0.1, 200)
        own = np.random.default_rng([draw, *method.encode()]).normal(0, noise, 200)
        accuracies = mean + luck - luck.mean() + own - own.mean()
    return Judged(data, draw, POOL, 2, shots, method, accuracies, training, learning)


def test_a_costlier_method_is_advised_only_where_it_is_a_point_better(tmp_path):
    rows = [judged("prototype", 0.700, learning=0.001), judged("fine_tune", 0.7080), judged("maml", 0.690)]
    text = write_fewshot(rows, tmp_path)
    assert (
        "- shapes@4/2/2, 5 images a class: take **prototype** (70.0%; 1.0 min of ordinary training once, 1 ms a" in text
    )
    assert (
        "fine_tune is 0.8 points ahead, too little for what it costs (1.0 min of ordinary training once, 10 ms" in text
    )
    text = write_fewshot([judged("prototype", 0.700), judged("fine_tune", 0.712)], tmp_path)
    assert "take **fine_tune** (71.2%" in text


def test_a_lead_that_may_be_chance_is_no_reason_to_pay(tmp_path):
    rows = [judged("prototype", 0.700, noise=0.2), judged("fine_tune", 0.715, noise=0.2)]
    assert "fine_tune is 1.5 points ahead, not significantly" in write_fewshot(rows, tmp_path)


def test_a_meta_learned_method_is_advised_beside_the_simple_one(tmp_path):
    text = write_fewshot([judged("prototype", 0.60), judged("linear_probe", 0.61), judged("anil", 0.75)], tmp_path)
    assert "take **anil**" in text
    assert "of meta-training once" in text
    assert "; without meta-training, linear_probe (61.0%)" in text


def test_one_table_has_a_line_for_each_data_set_and_method(tmp_path):
    rows = [
        judged(method, mean + 0.1 * (shots > 1), learning=2.0 if method == "maml" else 0.005, shots=shots, data=data)
        for data in ("shapes@4/2/2", "colours@4/0/2")
        for method, mean in (("prototype", 0.6), ("maml", 0.5))
        for shots in (1, 5)
    ]
    text = write_fewshot(rows, tmp_path)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert table[0] == "| data | method | 1-shot | 5-shot | training once, min | a task |"
    half = 100 * 1.97196 * np.std(rows[0].accuracies, ddof=1) / 200**0.5
    assert (
        table[2] == f"| shapes@4/2/2 (2-way) | prototype | **60.0 ± {half:.1f}** | **70.0 ± {half:.1f}** | 1.0 | 5 ms |"
    )
    names = [(data, name) for data in ("shapes@4/2/2", "colours@4/0/2") for name in ("prototype", "maml")]
    assert [line.split(" | ")[:2] for line in table[2:]] == [[f"| {data} (2-way)", name] for data, name in names]
    assert table[3].endswith("| 1.0 | 2.0 s |")
    assert "**If you do one thing: take prototype.** It is advised in 4 of 4 cases, and on average 0.0 points" in text
    assert "covers the episodes of this draw of classes and this one training" in text
    assert "- shapes@4/2/2: 1,200 images of 4 meta-train classes; meta-test classes, " in text
    assert "50 images or more of each: disc, ring." in text


def test_several_draws_give_the_interval_over_draws_beside_that_within_them(tmp_path):
    means = {"prototype": (0.60, 0.62, 0.64), "fine_tune": (0.64, 0.66, 0.63)}
    rows = [judged(name, mean, draw=draw) for name, each in means.items() for draw, mean in enumerate(each)]
    ((first, second),) = columns(rows)
    assert first.accuracy == pytest.approx(0.62)
    assert first.interval95 == pytest.approx(4.302653 * 0.02 / 3**0.5, rel=1e-6)
    assert first.within == pytest.approx(1.97196 * 0.1 / 200**0.5, rel=0.1)
    assert second.behind_best is None
    text = write_fewshot(rows, tmp_path)
    assert f"| shapes@4/2/2 (2-way) | prototype | 62.0 ± 5.0 ({100 * first.within:.1f}) |" in text
    assert "fine_tune is 2.3 points ahead, not in every draw" in text
    assert "mean over 3 draws of classes" in text
    found = list(csv.DictReader((tmp_path / "fewshot.csv").open()))
    assert [(row["method"], row["draw"], row["accuracy"]) for row in found][:2] == [
        ("prototype", "0", "0.6"), ("prototype", "1", "0.62")]  # fmt: skip


def test_a_method_that_has_failed_stands_in_the_table_and_is_not_advised(tmp_path):
    text = write_fewshot([judged("prototype", None), judged("maml", 0.6)], tmp_path)
    assert "| shapes@4/2/2 (2-way) | prototype | failed |" in text
    assert "take **maml**" in text
    assert "Every method has failed." in write_fewshot([judged("prototype", None)], tmp_path)


def test_the_record_counts_a_shared_network_once(tmp_path):
    rows = [judged(name, 0.6, training=60.0, learning=0.0) for name in ("prototype", "linear_probe")]
    rows.append(judged("maml", 0.6, training=100.0, learning=0.1))
    write_fewshot(rows, tmp_path / "output")
    record_fewshot(rows, tmp_path / "output", tmp_path / "results")
    (entry,) = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert (entry["name"], entry["metric"], entry["value"], entry["n"]) == ("fewshot", "rows", 3, 200)
    assert entry["seconds"] == 180  # 60 + 100 + 200 * 0.1
    assert {path.name for path in (tmp_path / "results" / "fewshot").iterdir()} == {
        "fewshot.md", "fewshot.csv", "fewshot.png"}  # fmt: skip
