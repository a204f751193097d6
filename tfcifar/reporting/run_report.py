"""Several evaluated runs side by side: one table, paired tests against the first, two figures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.errors import InputError
from tfcifar.evaluation.statistics import compare
from tfcifar.reporting import figures
from tfcifar.reporting.tables import duration
from tfcifar.run_dir import RunDir, read_history, read_json, write_text


@dataclass(frozen=True)
class EvaluatedRun:
    """What a report needs of a run directory. correct: bool [n], one for each test image."""

    run_dir: RunDir
    metrics: dict
    history: list[dict]
    environment: dict
    correct: np.ndarray
    test_labels: np.ndarray


def load_run(path: Path) -> EvaluatedRun:
    """Read an evaluated run. Raises InputError where it is none."""
    run_dir = RunDir.existing(path)
    if not run_dir.metrics.is_file():
        raise InputError(f"run directory: {path} is not evaluated yet; run python -m tfcifar.evaluate {path}.")
    with np.load(run_dir.predictions, allow_pickle=False) as predictions:
        labels = predictions["test_labels"]
        correct = predictions["test_logits"].argmax(axis=1) == labels
    metrics, environment = read_json(run_dir.metrics), read_json(run_dir.environment)
    return EvaluatedRun(run_dir, metrics, read_history(run_dir.history), environment, correct, labels)


def write_comparison(runs: list[EvaluatedRun], output: Path) -> str:
    """Write report.md and its figures into `output`; return the text of the report.

    Raises:
        InputError: the runs were not judged on the same test images.
    """
    first = runs[0]
    for run in runs[1:]:
        if not np.array_equal(run.test_labels, first.test_labels):
            raise InputError(f"report: {run.run_dir.name} and {first.run_dir.name} were judged on other test images.")
    rows = [
        {"name": run.run_dir.name, "accuracy": run.metrics["accuracy"], "low": low, "high": high}
        for run in runs
        for low, high in [run.metrics["accuracy_ci95"]]
    ]
    figures.plot_comparison(rows, output / "comparison.png")
    figures.plot_all_curves({run.run_dir.name: run.history for run in runs}, output / "curves.png")
    parts = ["# Comparison", _table(runs)]
    if len(runs) > 1:
        parts += [f"Against {first.run_dir.name}, on the same {len(first.correct):,} test images:", _tests(runs)]
    parts += ["![test accuracy with 95% intervals](comparison.png)", "![validation accuracy by epoch](curves.png)"]
    text = "\n\n".join(parts) + "\n"
    write_text(output / "report.md", text)
    return text


def _table(runs: list[EvaluatedRun]) -> str:
    lines = [
        "| run | model | parameters | validation | test accuracy | 95% interval | with TTA | loss | ECE | training |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        m = run.metrics
        low, high = m["accuracy_ci95"]
        tta = f"{m['tta']['accuracy']:.2%} ({m['tta']['views']})" if "tta" in m else "not used"
        lines.append(
            f"| {run.run_dir.name} | {m['model']} | {m['parameters'] / 1e6:.2f} M | {_validation(m)} "
            f"| **{m['accuracy']:.2%}** | {low:.2%} to {high:.2%} | {tta} | {m['loss']:.3f} | {m['ece']:.3f} "
            f"| {duration(m['train_seconds'])} |"
        )
    return "\n".join(lines)


def _validation(metrics: dict) -> str:
    accuracy = metrics["validation_accuracy"]
    return "trained on" if accuracy is None else f"{accuracy:.2%}"


def _tests(runs: list[EvaluatedRun]) -> str:
    lines = ["| run | difference | 95% interval (paired bootstrap) | McNemar p | |", "|---|---|---|---|---|"]
    for run in runs[1:]:
        result = compare(run.correct, runs[0].correct)
        low, high = result["interval95"]
        lines.append(
            f"| {run.run_dir.name} | {100 * result['difference']:+.2f} points | {100 * low:+.2f} to {100 * high:+.2f} "
            f"| {result['p_value']:.2g} | {result['verdict']} |"
        )
    return "\n".join(lines)
