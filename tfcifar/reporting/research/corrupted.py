"""What is left of the systems on corrupted images and under attack."""

from pathlib import Path

from pipelines.corruptions_names import STANDARD
from tfcifar.reporting.research.document import Document, Figure, Heading, Paragraph, Table
from tfcifar.reporting.robustness import load_attacks, load_scores
from tfcifar.reporting.robustness_figures import attack_in_words, plot_by_severity
from tfcifar.reporting.run_report import EvaluatedRun
from tfcifar.reporting.tables import decimal, percent
from tfcifar.robustness.predictions import CLEAN, file_of
from tfcifar.robustness.scores import corruptions_of, mean_of, summarize


def add_corruptions(document: Document, runs: list[EvaluatedRun], figures: Path) -> None:
    scores, _ = load_scores([run.run_dir for run in runs], "test")
    reference = next(iter(scores))
    summaries = [summarize(rows, scores[reference]) for rows in scores.values()]
    sources = tuple(file_of(run.run_dir, "test", "scores.csv") for run in runs)
    severities = sorted({row["severity"] for rows in scores.values() for row in rows if row["corruption"] != CLEAN})
    document.add(
        Heading("Corrupted images", level=2),
        Paragraph(
            "The corruptions of Hendrycks and Dietterich @cite:hendrycks2019, noise, blur, weather and digital "
            "artefacts, are generated from the test images with fixed random numbers. Means are "
            f"over {summaries[0]['corruptions']} standard corruptions at the severities "
            f"{', '.join(map(str, severities))}; the mean corruption error (mCE) takes each "
            f"corruption's error relative to that of `{reference}`. Frost is generated here, so that these means are "
            "not to be set beside figures for CIFAR-10-C."
        ),
        Table(
            "corruptions",
            f"Accuracy, calibration and likelihood on clean and on corrupted images ({summaries[0]['images']:,} test "
            "images under each corruption and severity).",
            (
                "system",
                "clean",
                "corrupted",
                "mCE",
                "ECE clean",
                "ECE corrupted",
                "NLL clean",
                "NLL corrupted",
                "extra",
            ),
            tuple(
                (
                    row["run"],
                    *(percent(row[name]) for name in ("clean_accuracy", "accuracy")),
                    percent(row["mce"], 1),
                    *(decimal(row[name]) for name in ("clean_ece", "ece", "clean_nll", "nll")),
                    percent(row["extra_accuracy"]),
                )
                for row in summaries
            ),
            sources,
        ),
    )
    if any(name in STANDARD for name in corruptions_of(scores[reference])):
        values = {
            name: {0: mean_of(rows, "accuracy", (CLEAN,))}
            | {severity: mean_of(rows, "accuracy", severity=severity) for severity in severities}
            for name, rows in scores.items()
        }
        plot_by_severity(
            values, "Accuracy by severity, mean over standard corruptions", "accuracy", figures / "severity.png"
        )
        document.add(
            Figure("severity", "Accuracy by severity of the corruption, mean over the standard ones.",
                   figures / "severity.png", sources, width=0.72),
            Paragraph(_weakest(scores)),
        )  # fmt: skip
    _add_attacks(document, runs)


def _weakest(scores: dict[str, list[dict]]) -> str:
    sentences = []
    for name, rows in scores.items():
        found = {each: mean_of(rows, "accuracy", (each,)) for each in corruptions_of(rows) if each in STANDARD}
        by_corruption = {each: accuracy for each, accuracy in found.items() if accuracy is not None}
        hardest = sorted(by_corruption, key=by_corruption.__getitem__)[:2]
        words = " and ".join(f"{each.replace('_', ' ')} ({percent(by_corruption[each], 1)})" for each in hardest)
        sentences.append(f"`{name}` suffers most from {words}.")
    return " ".join(sentences)


def _add_attacks(document: Document, runs: list[EvaluatedRun]) -> None:
    rows = load_attacks([run.run_dir for run in runs], "test")
    if not rows:
        return
    found: dict[str, dict] = {}
    for row in rows:
        found.setdefault(row["run"], {})[row["attack"], row["epsilon"]] = row
    columns = sorted({column for each in found.values() for column in each if column[1]})
    counts = " or ".join(f"{count:,}" for count in sorted({row["images"] for row in rows}))
    document.add(
        Paragraph(
            "@table:attacks has the fast gradient sign method @cite:goodfellow2015 and projected gradient descent "
            "@cite:madry2018 as sanity figures: none of these systems was trained to withstand an attack, and this is "
            "no evaluation of a defence."
        ),
        Table(
            "attacks",
            f"Accuracy under attack, by the largest change of a value (of 255), on {counts} images.",
            ("system", *(f"{attack_in_words(attack)} {epsilon}/255" for attack, epsilon in columns)),
            tuple(
                (name, *(percent(each[column]["accuracy"], 1) if column in each else "" for column in columns))
                for name, each in found.items()
            ),
            tuple(file_of(run.run_dir, "test", "attacks.csv") for run in runs if run.run_dir.name in found),
        ),
    )
