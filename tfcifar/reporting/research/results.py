"""Accuracies with their uncertainty, what parts of a recipe are worth, and what ensembles add."""

from pathlib import Path

from tfcifar.evaluation.statistics import compare
from tfcifar.reporting.comparisons import plot_all_curves, plot_comparison
from tfcifar.reporting.research.document import Document, Figure, Heading, Paragraph, Table
from tfcifar.reporting.research.evidence import Evidence, points, span
from tfcifar.reporting.research.systems import seeds_in_words
from tfcifar.reporting.run_report import EvaluatedRun
from tfcifar.reporting.tables import duration, in_words, percent
from tfcifar.run_dir import read_csv, read_json


def add_results(document: Document, evidence: Evidence, figures: Path) -> None:
    document.add(Heading("Accuracy"))
    systems = evidence.systems
    predictions = tuple(each.run_dir.predictions for each in systems)
    if len(systems) > 1:
        best = evidence.best(evidence.runs or list(systems))
        document.add(
            Paragraph(
                f"@table:accuracy has the test accuracy of every system, and its difference from "
                f"`{best.run_dir.name}`, {evidence.which(best)}. "
                f"{seeds_in_words(evidence)}"
            )
        )
    else:
        best = systems[0]
    rows = [_row(each, best) for each in systems]
    document.add(
        Table(
            "accuracy",
            f"Test accuracy on {evidence.test_count:,} images, and the difference from `{best.run_dir.name}` on the "
            "same images, in points, with its paired bootstrap interval and McNemar's p.",
            ("system", "validation", "test", "95% interval", "with views", "difference", "95% interval", "p", ""),
            tuple(rows),
            (*(each.run_dir.metrics for each in systems), *predictions),
        )
    )
    if len(systems) > 1:
        plot_comparison(
            [
                {"name": each.run_dir.name, "accuracy": each.metrics["accuracy"], "low": low, "high": high}
                for each in systems
                for low, high in [each.metrics["accuracy_ci95"]]
            ],
            figures / "accuracy.png",
        )
        document.add(
            Figure(
                "accuracy",
                "Test accuracy with its 95% interval. Intervals that overlap say nothing about a difference: systems "
                "are judged on the same images, see @table:accuracy.",
                figures / "accuracy.png",
                predictions,
            )
        )
    _add_curves(document, evidence, figures)
    for number, folder in enumerate(evidence.ablations):
        _add_ablation(document, folder, f"ablation-{number}")
    for number, ensemble in enumerate(evidence.ensembles):
        _add_ensemble(document, ensemble, str(number))


def _row(system: EvaluatedRun, best: EvaluatedRun) -> tuple[str, ...]:
    metrics = system.metrics
    low, high = metrics["accuracy_ci95"]
    validation, with_views = metrics["validation_accuracy"], metrics.get("views", "none") != "none"
    against = ("", "", "", "")
    if system is not best:
        found = compare(system.correct, best.correct)
        against = (
            points(found["difference"]),
            span(*found["interval95"]),
            f"{found['p_value']:.2g}",
            "" if found["verdict"] == "significant" else "not significant",
        )
    return (
        system.run_dir.name,
        "trained on" if validation is None else percent(validation),
        f"**{percent(metrics['accuracy'])}**" + (f" ({metrics['views']})" if with_views else ""),
        span(low, high, percent),
        percent(metrics["tta"]["accuracy"]) if "tta" in metrics else "",
        *against,
    )


def _add_curves(document: Document, evidence: Evidence, figures: Path) -> None:
    histories = {run.run_dir.name: run.history for run in evidence.runs if run.history}
    validated = {
        name: history for name, history in histories.items() if any(row["val_accuracy"] > 0 for row in history)
    }
    if not validated:
        return
    plot_all_curves(validated, figures / "curves.png")
    document.add(
        Figure(
            "curves",
            "Validation accuracy by epoch of the runs that hold validation images out. Epochs on smaller images read "
            "lower, since validation images are whole.",
            figures / "curves.png",
            tuple(run.run_dir.history for run in evidence.runs if run.run_dir.name in validated),
            width=0.85,
        )
    )


def _add_ablation(document: Document, folder: Path, key: str) -> None:
    rows = read_csv(folder / "ablation.csv")
    baseline, seeds = rows[0]["row"], rows[0]["n"]
    significant = [row for row in rows[1:] if row["verdict"] == "significant"]
    better = [row for row in significant if float(row["difference"]) > 0]
    worse = [row for row in significant if float(row["difference"]) < 0]
    document.add(
        Heading(f"What each part is worth ({folder.name})", level=2),
        Paragraph(
            f"Each row of @table:{key} is one recipe, trained with {in_words(int(seeds))} "
            f"seed{'s' * (seeds != '1')} and judged on the validation images. Against '{baseline}', {len(better)} of "
            f"{len(rows) - 1} are significantly better, {len(worse)} worse"
            + (f"; the largest gain is that of '{_largest(better)}'." if better else ".")
            + " With this many rows about one in twenty would be significant by chance."
        ),
        Table(
            key,
            f"Ablation: mean validation accuracy, and the difference from '{baseline}' in points with an interval over "
            f"seeds and images (n={seeds} seeds).",
            ("row", "validation accuracy", "difference", "95% interval", "", "a run"),
            tuple(_ablation_row(row) for row in rows),
            (folder / "ablation.csv",),
        ),
    )


def _largest(rows: list[dict]) -> str:
    return max(rows, key=lambda row: float(row["difference"]))["row"]


def _ablation_row(row: dict) -> tuple[str, ...]:
    spread = f" ± {100 * float(row['std']):.2f}" if row["std"] else ""
    accuracy = f"{percent(float(row['validation_accuracy']))}{spread}"
    against = ("", "", "")
    if row["difference"]:
        against = (
            points(float(row["difference"])),
            span(float(row["low"]), float(row["high"])),
            "" if row["verdict"] == "significant" else "not significant",
        )
    return row["row"], accuracy, *against, duration(float(row["seconds"]))


def _add_ensemble(document: Document, ensemble: EvaluatedRun, key: str) -> None:
    folder, name = ensemble.run_dir.path, ensemble.run_dir.name
    votes = [row for row in read_csv(folder / "votes.csv") if row["split"] == "test"]
    content = read_json(ensemble.run_dir.ensemble)
    document.add(
        Heading(f"What the ensemble adds ({name})", level=2),
        Paragraph(
            f"@table:votes-{key} sets {_votes_in_words(votes, content['vote'])} "
            f"@figure:members-{key} shows what each member contributes, @figure:diversity-{key} how differently "
            "they judge: members that are wrong on the same images add little."
        ),
        Table(
            f"votes-{key}",
            f"Votes of `{name}` on the test images against its best member; differences in points of accuracy.",
            ("", "accuracy", "NLL", "Brier", "ECE", "difference", "95% interval", "p", ""),
            tuple(_vote_row(row, content["vote"]) for row in votes),
            (folder / "votes.csv",),
        ),
        Figure(
            f"members-{key}",
            f"Members of `{name}` on the validation images: how far the cross-entropy of all others falls by adding "
            "each, and what greedy selection takes in turn.",
            ensemble.run_dir.figures / "contributions.png",
            (folder / "members.csv", folder / "selection.csv"),
        ),
        Figure(
            f"diversity-{key}",
            f"Pairs of members of `{name}` on the validation images: the share of images given different classes, and "
            "Yule's Q.",
            ensemble.run_dir.figures / "diversity.png",
            (folder / "diversity.csv",),
            width=0.85,
        ),
    )


def _votes_in_words(votes: list[dict], kept: str) -> str:
    """votes: rows of the test split, of the best member twice and of each vote that was judged."""
    if len(votes) <= 3:
        return f"the {kept} vote beside the best member."
    return (
        f"the votes beside the best member. The {kept} vote was kept, for its cross-entropy on the validation images; "
        "the test figures of the others are shown for completeness."
    )


def _vote_row(row: dict, kept: str) -> tuple[str, ...]:
    name = f"**{row['name']}** (kept)" if row["name"] == kept else row["name"]
    against = ("", "", "", "")
    if row["difference"]:
        against = (
            points(float(row["difference"])),
            span(float(row["difference_low"]), float(row["difference_high"])),
            f"{float(row['p_value']):.2g}",
            "" if row["verdict"] == "significant" else "not significant",
        )
    return (
        name,
        percent(float(row["accuracy"])),
        *(f"{float(row[figure]):.4f}" for figure in ("nll", "brier", "ece")),
        *against,
    )
