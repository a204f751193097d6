"""The benchmark over seeds: what its table says, and that it repeats no run."""

from types import SimpleNamespace

from benchmarks.time_to_accuracy import table
from tests.integration.commands import run


def evaluated(seed, accuracy, tta=None):
    metrics = {"accuracy": accuracy, "train_seconds": 10.0 + seed, "pflop": 0.25}
    metrics |= {"tta": {"accuracy": tta}} if tta else {}
    return SimpleNamespace(run_dir=SimpleNamespace(name=f"fast-seed{seed}"), metrics=metrics)


def test_the_table_sets_mean_and_interval_beside_what_is_published():
    runs = [evaluated(0, 0.92, 0.93), evaluated(1, 0.93, 0.94), evaluated(2, 0.94, 0.95)]
    lines = table(runs, "fast_94").splitlines()
    assert lines[2] == "| fast-seed0 | 92.00% | 93.00% | 10.0 | 0.25 |"
    assert lines[5:8] == [
        "| **mean** | 93.00% | 94.00% | 11.0 | 0.25 |",
        "| std | 1.00% | 1.00% | 1.0 |  |",
        "| 95% interval | 90.52% to 95.48% | 91.52% to 96.48% | 8.5 to 13.5 |  |",
    ]
    assert lines[8] == "| published: airbench94.py |  | 94.01% | 3.83 (A100) | 0.36 |"


def test_without_views_in_all_runs_there_is_no_mean_of_them():
    lines = table([evaluated(0, 0.92, 0.93), evaluated(1, 0.93)], "smoke").splitlines()
    assert lines[2] == "| fast-seed0 | 92.00% | not used | 10.0 | 0.25 |"
    assert lines[4] == "| **mean** | 92.50% |  | 10.5 | 0.25 |"


def test_finished_runs_are_read_and_not_repeated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ("--set", "epochs=1", "--set", "data.image_size=12")
    command = ("benchmarks.time_to_accuracy", "smoke", "--preset", "cpu", *small, "--output", "table.md")
    first = run(*command, "--seeds", 0)
    assert "epoch 1/1" in first.stdout
    second = run(*command, "--seeds", 0, 1)
    assert second.stdout.count("epoch 1/1") == 1
    assert "| smoke-cpu-seed0 |" in (tmp_path / "table.md").read_text()
    assert "| smoke-cpu-seed1 |" in second.stdout
    assert len((tmp_path / "runs" / "smoke-cpu-seed0" / "test_openings.jsonl").read_text().splitlines()) == 1
