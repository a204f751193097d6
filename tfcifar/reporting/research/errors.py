"""Where the mistakes lie, and what is wrong with the data itself."""

from pathlib import Path

import numpy as np

from tfcifar.evaluation.class_analysis import compare_classes, most_confused_pairs
from tfcifar.reporting.research.document import Document, Figure, Heading, Paragraph, Table
from tfcifar.reporting.research.evidence import Evidence, points
from tfcifar.reporting.run_report import EvaluatedRun
from tfcifar.reporting.tables import in_words, percent
from tfcifar.run_dir import read_csv, read_json


def add_errors(document: Document, evidence: Evidence) -> None:
    shown = evidence.best(evidence.ensembles or list(evidence.systems))
    name = shown.run_dir.name
    pairs = most_confused_pairs(shown.metrics["confusion"], evidence.class_names, count=3)
    shares = [f"{' and '.join(row['classes'])} ({percent(row['share'], 0)} of its mistakes)" for row in pairs]
    document.add(
        Heading("Error analysis"),
        Paragraph(
            f"`{name}` makes {int((~shown.correct).sum()):,} mistakes on {evidence.test_count:,} images. "
            + (f"Most often it takes for one another {', '.join(shares)} (@figure:confusion). " if pairs else "")
            + _shared(evidence)
        ),
        Figure(
            "confusion",
            f"Confusion matrix of `{name}` on the test images.",
            shown.run_dir.figures / "confusion_matrix.png",
            (shown.run_dir.metrics,),
            width=0.66,
        ),
    )
    _add_classes(document, evidence, shown)
    if evidence.findings:
        document.add(Heading("The data itself", level=2), Paragraph(_data(evidence)))
    for folder in evidence.findings:
        if (folder / "judged.csv").is_file():
            document.add(_without_duplicates(folder))


def _shared(evidence: Evidence) -> str:
    """Of how many test images all systems are wrong, and of how many at least one is."""
    if len(evidence.systems) < 2:
        return ""
    wrong = ~np.stack([system.correct for system in evidence.systems])
    everybody, somebody = int(wrong.all(0).sum()), int(wrong.any(0).sum())
    return (
        f"Of {somebody:,} images at least one of the {in_words(len(evidence.systems))} systems is wrong, of "
        f"{everybody:,} all of them are, which a vote among them can hardly get right."
    )


def _add_classes(document: Document, evidence: Evidence, shown: EvaluatedRun) -> None:
    others = [system for system in evidence.runs if system is not shown]
    if not others:
        return
    other = evidence.best(others)
    rows = compare_classes(shown.correct, other.correct, shown.test_labels, evidence.class_names)
    document.add(
        Table(
            "classes",
            f"Accuracy by class of `{shown.run_dir.name}` and of `{other.run_dir.name}`; McNemar's test for each "
            "class, corrected for their number (Benjamini and Hochberg @cite:benjamini1995).",
            ("class", shown.run_dir.name, other.run_dir.name, "difference (points)", "p, corrected", ""),
            tuple(
                (
                    row["name"],
                    percent(row["accuracy_a"]),
                    percent(row["accuracy_b"]),
                    points(row["difference"]),
                    f"{row['p_value']:.2g}",
                    "" if row["verdict"] == "significant" else "not significant",
                )
                for row in sorted(rows, key=lambda row: row["accuracy_a"])
            ),
            (shown.run_dir.predictions, other.run_dir.predictions),
        )
    )


def _without_duplicates(folder: Path) -> Table:
    rows = [row for row in read_csv(folder / "judged.csv") if row["views"] == "none"]
    return Table(
        f"without_duplicates_{folder.name}",
        "Test accuracy with and without the images that have a near-duplicate in training.",
        ("system", "all test images", "without near-duplicates"),
        tuple(
            (row["run"], *(percent(float(row[f"{part}_accuracy"])) for part in ("whole", "without"))) for row in rows
        ),
        (folder / "judged.csv", folder / "duplicates.json"),
    )


def _data(evidence: Evidence) -> str:
    sentences = []
    for folder in evidence.findings:
        if (folder / "duplicates.json").is_file():
            found = read_json(folder / "duplicates.json")
            share = found["test_images_with_duplicate"] / found["test_images"]
            sentences.append(
                f"Of the {found['test_images']:,} test images {found['test_images_with_duplicate']:,} "
                f"({percent(share)}) have a near-duplicate among the training images @cite:barz2020, found by the "
                f"distance of features and by aligning the pictures (`{evidence.place(folder)}/duplicates.json`)."
            )
        if (folder / "labels.json").is_file():
            found = read_json(folder / "labels.json")
            sentences.append(
                f"Confident learning @cite:northcutt2021 with {found['folds']} models of `{found['recipe']}` finds "
                f"{found['issues']:,} of {found['images']:,} training labels likely wrong "
                f"(`{evidence.place(folder)}/labels.json`)."
            )
    return " ".join(sentences)
