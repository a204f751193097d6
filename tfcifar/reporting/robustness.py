"""Runs under corruption side by side: a table against the first, figures by severity and by corruption."""

from pathlib import Path

import numpy as np

from pipelines.corruptions_names import EXTRA, STANDARD
from pipelines.errors import InputError
from tfcifar.evaluation.openings import model_digest
from tfcifar.evaluation.statistics import compare_means
from tfcifar.recipe_json import load_json
from tfcifar.reporting.html import write_html
from tfcifar.reporting.robustness_figures import (
    attack_in_words,
    plot_accuracy_table,
    plot_attacks,
    plot_by_severity,
)
from tfcifar.reporting.tables import decimal, in_markdown, percent
from tfcifar.robustness.predictions import CLEAN, Predictions, file_of
from tfcifar.robustness.scores import corruptions_of, mean_of, read_rows, share_correct, summarize
from tfcifar.run_dir import RunDir, write_text

NOTES = {
    "all": "Corrupted accuracy, its error, ECE and NLL are means over {corruptions} standard corruptions at "
    "severities {severities}, on {images:,} {split} images; the extra corruptions count in no mean. Frost is "
    "generated: means that count it are not to be compared with figures for CIFAR-10-C.",
    "several": "mCE: errors relative to those of {reference}, corruption by corruption (Hendrycks and Dietterich "
    "2019, who take AlexNet). Difference: corrupted accuracy against {reference}, with a bootstrap over the images; "
    "the spread over training seeds is not in it.",
    "trained on": "\\* Trained on the validation images, uncorrupted: its figures are too high.",
}


def write_robustness(run_dirs: list[RunDir], output: Path, split: str = "test") -> str:
    """Write robustness.md, robustness.html and figures into `output`, from what `judge_runs` has left in the runs.

    Args:
        run_dirs: the first is the reference.
        split: "test" or "validation".

    Returns:
        The tables in Markdown, for the screen.

    Raises:
        InputError: a run has not been judged, its model has changed since, or the runs were not judged on the same
            images under the same corruptions.
    """
    scores, kept = load_scores(run_dirs, split)
    parts = [_table(run_dirs, scores, kept, split)]
    figures = _plot(scores, output)
    attacks = load_attacks(run_dirs, split)
    if attacks:
        plot_attacks(attacks, output / "attacks.png")
        figures["attacks.png"] = "accuracy under attack"
        parts.append(_attack_table(attacks))
    summary = "\n\n".join(parts)
    pictures = [f"![{words}]({name})" for name, words in figures.items()]
    by_corruption = "Accuracy by corruption, mean over severities:\n\n" + _by_corruption(scores)
    write_text(output / "robustness.md", "\n\n".join(["# Robustness", summary, *pictures, by_corruption]) + "\n")
    write_html(output / "robustness.md")
    return summary


def load_scores(run_dirs: list[RunDir], split: str) -> tuple[dict[str, list[dict]], dict[str, Predictions]]:
    """The rows of scores.csv, and the predictions that they are of, by the name of the run.

    Raises:
        InputError: as for `write_robustness`.
    """
    scores = {run_dir.name: _scores(run_dir, split) for run_dir in run_dirs}
    for name, rows in scores.items():
        if [_place(row) for row in rows] != [_place(row) for row in scores[run_dirs[0].name]]:
            raise InputError(
                f"robustness: {name} and {run_dirs[0].name} were judged on other images or corruptions; "
                "run python -m tfcifar.robustness with both of them."
            )
    return scores, {run_dir.name: _predictions(run_dir, split, scores[run_dir.name]) for run_dir in run_dirs}


def _scores(run_dir: RunDir, split: str) -> list[dict]:
    path = file_of(run_dir, split, "scores.csv")
    if not path.is_file():
        raise InputError(
            f"robustness: {run_dir.path} is not judged yet; run python -m tfcifar.robustness {run_dir.path} "
            f"--split {split}."
        )
    return read_rows(path)


def _place(row: dict) -> tuple:
    return row["corruption"], row["severity"], row["images"]


def _table(run_dirs: list[RunDir], scores: dict[str, list[dict]], kept: dict[str, Predictions], split: str) -> str:
    reference = scores[run_dirs[0].name]
    several = len(run_dirs) > 1 and any(name in STANDARD for name in corruptions_of(reference))
    heads = ["run", "clean", "corrupted", "error", "ECE clean, corrupted", "NLL clean, corrupted", "extra"]
    if several:
        heads += ["mCE", "difference (points)", "95% interval", ""]
        shares = [share_correct(kept[run_dir.name], scores[run_dir.name]) for run_dir in run_dirs]
    lines, trained_on = [], False
    for i, run_dir in enumerate(run_dirs):
        row, mark = summarize(scores[run_dir.name], reference), ""
        if split == "validation" and load_json(run_dir.recipe).data.train_on_validation:
            trained_on, mark = True, " \\*"
        cells = [
            in_markdown(row["run"]) + mark,
            *(percent(row[name]) for name in ("clean_accuracy", "accuracy", "error")),
            *(f"{decimal(row[f'clean_{name}'])}, {decimal(row[name])}" for name in ("ece", "nll")),
            percent(row["extra_accuracy"]),
        ]
        if several:
            cells += [percent(row["mce"], 1), *(_against(shares[i], shares[0]) if i else ("", "", ""))]
        lines.append(f"| {' | '.join(cells)} |")
    notes = ["all"] + ["several"] * several + ["trained on"] * trained_on
    first = summarize(reference, reference)
    facts = {
        "corruptions": first["corruptions"],
        "severities": ", ".join(map(str, _severities(reference))),
        "images": first["images"],
        "split": split,
        "reference": in_markdown(run_dirs[0].name),
    }
    head = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    return "\n".join([*head, *lines]) + "".join(f"\n\n{NOTES[note]}" for note in notes).format(**facts)


def _against(share: np.ndarray, reference: np.ndarray) -> tuple[str, str, str]:
    found = compare_means(share, reference)
    low, high = (100 * end for end in found["interval95"])
    return f"{100 * found['difference']:+.2f}", f"{low:+.2f} to {high:+.2f}", found["verdict"]


def _predictions(run_dir: RunDir, split: str, rows: list[dict]) -> Predictions:
    """Those that `rows` were made from."""
    predictions = Predictions(run_dir, split, model_digest(run_dir))
    if not all(predictions.has(row["corruption"], row["severity"], row["images"]) for row in rows):
        raise InputError(
            f"robustness: the model of {run_dir.path} has changed since it was judged; "
            f"run python -m tfcifar.robustness {run_dir.path} --split {split}."
        )
    return predictions


def _severities(rows: list[dict]) -> list[int]:
    return sorted({row["severity"] for row in rows if row["corruption"] != CLEAN})


def _plot(scores: dict[str, list[dict]], output: Path) -> dict[str, str]:
    """Draw the figures of the corruptions; their names, and what each shows."""
    rows = next(iter(scores.values()))
    found, severities, images = corruptions_of(rows), _severities(rows), f"{rows[0]['images']:,} images"
    figures = {}
    if any(name in STANDARD for name in found):
        for figure, title in (("accuracy", "Accuracy"), ("ece", "Expected calibration error")):
            values = {
                name: {0: mean_of(each, figure, (CLEAN,))}
                | {severity: mean_of(each, figure, severity=severity) for severity in severities}
                for name, each in scores.items()
            }
            words = f"{title} by severity, mean over standard corruptions"
            plot_by_severity(values, f"{words} ({images})", title.lower(), output / f"{figure}_by_severity.png", 0)
            figures[f"{figure}_by_severity.png"] = words
    if len(scores) > 1:
        columns, xlabel = list(scores), ""
        cells = [[mean_of(each, "accuracy", (name,)) for each in scores.values()] for name in (CLEAN, *found)]
        title = f"Accuracy by corruption, mean over severities ({images})"
    else:
        columns, xlabel = [str(severity) for severity in severities], "severity"
        clean = mean_of(rows, "accuracy", (CLEAN,))
        cells = [[clean] * len(severities)]
        cells += [[mean_of(rows, "accuracy", (name,), severity) for severity in severities] for name in found]
        title = f"Accuracy of {rows[0]['run']} by corruption ({images})"
    names = [f"{name} (extra)" if name in EXTRA else name for name in (CLEAN, *found)]
    plot_accuracy_table(np.array(cells, float), names, columns, title, xlabel, output / "accuracy_by_corruption.png")
    return figures | {"accuracy_by_corruption.png": "accuracy by corruption"}


def _by_corruption(scores: dict[str, list[dict]]) -> str:
    lines = [f"| corruption | {' | '.join(map(in_markdown, scores))} |", "|---|" + "--:|" * len(scores)]
    for name in (CLEAN, *corruptions_of(next(iter(scores.values())))):
        cells = " | ".join(percent(mean_of(rows, "accuracy", (name,))) for rows in scores.values())
        lines.append(f"| {in_markdown(name)}{' (extra)' if name in EXTRA else ''} | {cells} |")
    return "\n".join(lines)


def load_attacks(run_dirs: list[RunDir], split: str) -> list[dict]:
    """The rows of attacks.csv of the runs that have one, of the model that they hold now."""
    rows = []
    for run_dir in run_dirs:
        path = file_of(run_dir, split, "attacks.csv")
        if path.is_file():
            digest = model_digest(run_dir)
            rows += [row for row in read_rows(path) if row["model_sha256"] == digest]
    return rows


def _attack_table(rows: list[dict]) -> str:
    columns = sorted({(row["attack"], row["epsilon"]) for row in rows}, key=lambda each: (each[1] > 0, *each))
    heads = [f"{attack_in_words(attack)} {epsilon}/255" if epsilon else "clean" for attack, epsilon in columns]
    lines = [f"| run | images | {' | '.join(heads)} |", "|---" * (2 + len(columns)) + "|"]
    for run in dict.fromkeys(row["run"] for row in rows):
        own = {(row["attack"], row["epsilon"]): row for row in rows if row["run"] == run}
        cells = " | ".join(percent(own[column]["accuracy"], 1) for column in columns)
        lines.append(f"| {in_markdown(run)} | {own[columns[0]]['images']:,} | {cells} |")
    return "Accuracy under attack: sanity figures, not a defence evaluation.\n\n" + "\n".join(lines)
