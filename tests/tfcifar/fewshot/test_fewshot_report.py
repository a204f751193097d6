"""The table of a benchmark: who is best, who is not significantly worse, and what goes on record."""

import csv
import json

import numpy as np
import pytest

from tfcifar.fewshot.benchmark_run import Judged
from tfcifar.reporting.fewshot_report import record_fewshot, write_fewshot


def judged(method, mean, training=60.0, learning=0.01, shots=5, noise=0.02):
    """200 episodes; the same luck for all, and some of each one's own."""
    luck = np.random.default_rng(0).normal(0, 0.1, 200)
    own = np.random.default_rng(list(method.encode())).normal(0, noise, 200)
    return Judged("shapes@4/2/2", 2, shots, method, mean + luck + own - own.mean(), training, learning)


def test_the_simplest_of_those_that_are_level_with_the_best_is_the_one_to_take(tmp_path):
    rows = [judged("prototype", 0.700, learning=0.001), judged("fine_tune", 0.702), judged("maml", 0.690)]
    text = write_fewshot(rows, tmp_path)
    assert "- 5 images a class: take **prototype** (" in text
    assert "fine_tune is ahead" in text
    found = {row["method"]: row for row in csv.DictReader((tmp_path / "fewshot.csv").open())}
    assert {name: row["verdict"] for name, row in found.items()} == {
        "prototype": "not significant", "fine_tune": "best", "maml": "significant"}  # fmt: skip
    assert float(found["maml"]["difference_from_best"]) == pytest.approx(-0.012, abs=1e-4)


def test_a_meta_learned_method_is_advised_only_where_it_is_really_better_and_beside_the_simple_one(tmp_path):
    text = write_fewshot([judged("prototype", 0.60), judged("linear_probe", 0.61), judged("anil", 0.75)], tmp_path)
    assert "take **anil**" in text
    assert "; without meta-training, linear_probe (" in text


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
