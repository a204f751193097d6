"""Evaluated runs side by side: a table, paired tests against the first, class by class, confusions, curves, cost."""

import re
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pipelines.errors import InputError
from tfcifar.arrays import read_arrays
from tfcifar.evaluation.class_analysis import compare_classes, most_confused_pairs
from tfcifar.evaluation.members import different_names
from tfcifar.evaluation.openings import judged_on
from tfcifar.evaluation.statistics import compare
from tfcifar.reporting.comparisons import plot_all_curves, plot_comparison
from tfcifar.reporting.html import write_html
from tfcifar.reporting.tables import duration, in_markdown, or_trained_on
from tfcifar.run_dir import RunDir, read_history, read_json, write_text, write_whole

RUN_DIR_OPTION = r" --run-dir[ =]\S+"  # where a run lies on one machine is nobody else's business
FIGURES_OF_A_RUN = {  # none that shows images: a report may be passed on
    "curves.png": "loss and accuracy by epoch",
    "confusion_matrix.png": "confusion matrix",
    "per_class.png": "accuracy by class",
}


@dataclass(frozen=True, eq=False)
class EvaluatedRun:
    """What a report needs of a run or an ensemble. correct: bool [n], one for each test image.

    history: empty for an ensemble and for a soup, which were not trained by epochs.
    """

    run_dir: RunDir
    metrics: dict
    history: list[dict]
    environment: dict
    correct: np.ndarray
    test_labels: np.ndarray


def load_run(path: Path) -> EvaluatedRun:
    """Read an evaluated run or an ensemble. Raises InputError where it is none."""
    run_dir = RunDir.existing_or_ensemble(path)
    if not run_dir.metrics.is_file():
        raise InputError(f"run directory: {path} is not evaluated yet; run python -m tfcifar.evaluate {path}.")
    predictions = read_arrays(run_dir.predictions)
    labels = predictions["test_labels"]
    correct = predictions["test_logits"].argmax(axis=1) == labels
    metrics, environment = read_json(run_dir.metrics), read_json(run_dir.environment)
    history = read_history(run_dir.history) if run_dir.history.is_file() else []
    return EvaluatedRun(run_dir, metrics, history, environment, correct, labels)


def check_same_test_images(runs: list[EvaluatedRun]) -> None:
    """Raises InputError unless all were judged on the same images of the same classes."""
    first, images = runs[0], [judged_on(run.run_dir) for run in runs]
    for run, own in zip(runs, images, strict=True):
        same = all(own[key] == images[0][key] for key in ("classes", "test"))
        if not (same and np.array_equal(run.test_labels, first.test_labels)):
            raise InputError(f"report: {run.run_dir.name} and {first.run_dir.name} were judged on other test images.")


def write_comparison(runs: list[EvaluatedRun], output: Path) -> str:
    """Write report.md, its figures and report.html into `output`; return its first part, for the screen.

    Raises:
        InputError: the runs were not judged on the same test images.
    """
    first = runs[0]
    different_names("report", (run.run_dir for run in runs))
    check_same_test_images(runs)
    rows = [
        {"name": run.run_dir.name, "accuracy": run.metrics["accuracy"], "low": low, "high": high}
        for run in runs
        for low, high in [run.metrics["accuracy_ci95"]]
    ]
    plot_comparison(rows, output / "comparison.png")
    histories = {run.run_dir.name: run.history for run in runs if run.history}
    if histories:
        plot_all_curves(histories, output / "curves.png")
    parts = ["# Comparison" if len(runs) > 1 else f"# {first.run_dir.name}", _table(runs)]
    if len(runs) > 1:
        parts += [f"Against {first.run_dir.name}, on the same {len(first.correct):,} test images:", _tests(runs)]
        parts += [_what_helped(runs)]
    summary = "\n\n".join(parts[1:])
    parts += ["![test accuracy with 95% intervals](comparison.png)"]
    parts += ["![validation accuracy by epoch](curves.png)"] if histories else []
    for run in runs[1:]:
        parts += [f"## {run.run_dir.name} against {first.run_dir.name}, class by class", _classes(run, first)]
    for run in runs:
        parts += _section(run, output)
    write_text(output / "report.md", "\n\n".join(parts) + "\n")
    write_html(output / "report.md")
    return summary


def _what_helped(runs: list[EvaluatedRun]) -> str:
    """Each later run in a sentence: better, worse, or not told apart, and at which cost."""
    first, lines = runs[0], []
    for run in runs[1:]:
        result = compare(run.correct, first.correct)
        found = "no difference that these test images can show"
        if result["verdict"] == "significant":
            found = "better" if result["difference"] > 0 else "worse"
        cost = run.metrics["train_seconds"] / first.metrics["train_seconds"]
        lines.append(f"- {run.run_dir.name}: {found}, for {cost:.2g} times the training time.")
    return "\n".join(lines)


def _classes(run: EvaluatedRun, first: EvaluatedRun) -> str:
    names = [in_markdown(row["name"]) for row in run.metrics["per_class"]]
    lines = [
        f"| class | {first.run_dir.name} | {run.run_dir.name} | difference | p, corrected | |",
        "|---|--:|--:|--:|--:|---|",
    ]
    rows = compare_classes(run.correct, first.correct, run.test_labels, names)
    for row in sorted(rows, key=lambda row: row["difference"]):
        lines.append(
            f"| {row['name']} | {row['accuracy_b']:.2%} | {row['accuracy_a']:.2%} "
            f"| {100 * row['difference']:+.2f} points | {row['p_value']:.2g} | {row['verdict']} |"
        )
    return "\n".join(
        [*lines, "", "McNemar's test for each class, corrected for their number (Benjamini and Hochberg)."]
    )


def _section(run: EvaluatedRun, output: Path) -> list[str]:
    """One run: its confusions, curves and cost, with copies of its figures beside the report."""
    metrics, name = run.metrics, run.run_dir.name
    class_names = [in_markdown(row["name"]) for row in metrics["per_class"]]
    pairs = [
        f"- {' and '.join(row['classes'])}: {row['mistakes']} mistakes, {row['share']:.0%} of all"
        for row in most_confused_pairs(metrics["confusion"], class_names)
    ]
    parts = [
        f"## {name}",
        "    " + re.sub(RUN_DIR_OPTION, "", run.environment["command"]),
        f"{duration(metrics['train_seconds'])} of training on {run.environment['hardware']}; "
        f"{metrics['parameters']:,} parameters, {metrics['macs'] / 1e6:,.0f} M MACs an image.",
        "Most confused:\n\n" + "\n".join(pairs) if pairs else "No mistakes.",
    ]
    for figure, words in FIGURES_OF_A_RUN.items():
        if not (run.run_dir.figures / figure).is_file():  # what was not trained by epochs has no curves
            continue
        copy = output / f"{name}_{figure}"
        write_whole(copy, partial(shutil.copyfile, run.run_dir.figures / figure))
        parts.append(f"![{words} of {name}]({copy.name})")
    return parts


def _table(runs: list[EvaluatedRun]) -> str:
    lines = [
        "| run | model | parameters | validation | test accuracy | 95% interval | with TTA | loss | ECE | training |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        m = run.metrics
        low, high = m["accuracy_ci95"]
        lines.append(
            f"| {run.run_dir.name} | {m['model']} | {m['parameters'] / 1e6:.2f} M | {_validation(m)} "
            f"| **{m['accuracy']:.2%}** | {low:.2%} to {high:.2%} | {_with_tta(m)} | {m['loss']:.3f} | {m['ece']:.3f} "
            f"| {duration(m['train_seconds'])} |"
        )
    return "\n".join(lines)


def _with_tta(metrics: dict) -> str:
    if metrics.get("views", "none") != "none":  # an ensemble of members with views has no plain figure
        return f"in it ({metrics['views']})"
    return f"{metrics['tta']['accuracy']:.2%} ({metrics['tta']['views']})" if "tta" in metrics else "not used"


def _validation(metrics: dict) -> str:
    return or_trained_on(metrics["validation_accuracy"])


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
