"""Which images did what, how often the test images were seen, and how uncertain the figures are."""

import json
from collections import Counter

from tfcifar.reporting.research.document import Bullets, Document, Heading, Paragraph, Table
from tfcifar.reporting.research.evidence import Evidence
from tfcifar.reporting.run_report import EvaluatedRun


def add_protocol(document: Document, evidence: Evidence) -> None:
    validated = [run for run in evidence.runs if run.metrics["validation_accuracy"] is not None]
    split = (
        f"Training, validation and test images are disjoint and known by checksum. All systems are judged on the same "
        f"test images{_validation(validated)}; {evidence.dataset_in_words} has {evidence.test_count:,} test images of "
        f"{len(evidence.class_names)} classes."
    )
    chosen = (
        "Early stopping, the best epoch, temperatures, ensemble weights and the choice among votes use the validation "
        "images alone."
    )
    if len(validated) < len(evidence.runs):
        others = ", ".join(f"`{run.run_dir.name}`" for run in evidence.runs if run not in validated)
        chosen += f" Trained on train and validation images together, with everything fixed before: {others}."
    document.add(
        Heading("Protocol"),
        Paragraph(f"{split} {chosen}"),
        Paragraph(
            "The test images are opened to judge what is finished, and each opening leaves a line in the run directory "
            "with its time, the SHA-256 of the model and what it was for"
            f"{' (@table:openings)' if evidence.runs else ''}. An ensemble opens nothing: it is made of the logits "
            "that its members' evaluation has left."
        ),
        *([_openings(evidence)] if evidence.runs else []),
        Heading("Statistics", level=2),
        Bullets(
            (
                "An accuracy on n images has a 95% interval after Wilson @cite:wilson1927. It covers another draw of "
                "test images, not another training seed.",
                "Two systems are compared on the same images: the exact McNemar test @cite:mcnemar1947 on those that "
                "only one of them gets right, and a percentile interval of the difference by the paired bootstrap "
                "@cite:efron1993. A difference is called significant at p < 0.05, and 'not significant' otherwise.",
                "Where a recipe was trained with several seeds, its figure is the mean with the standard deviation; "
                "comparisons of recipes resample seeds and images both.",
                "Expected calibration errors (ECE) have 15 bins of equal width @cite:naeini2015; 'adaptive' ones have "
                "as many bins with equally many images. NLL is the mean negative log-likelihood in nats.",
            )
        ),
    )


def _validation(validated: list[EvaluatedRun]) -> str:
    held_out = {run.environment["data"].get("validation") for run in validated}
    if len(held_out) > 1:
        return ", but hold different validation images out"
    return " and hold the same validation images out" if validated and None not in held_out else ""


def _openings(evidence: Evidence) -> Table:
    rows, sources = [], []
    for run in evidence.runs:
        path = run.run_dir.test_openings
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        openings = [json.loads(line) for line in lines]
        # Runs evaluated before openings had a purpose were opened for evaluation.
        purposes = Counter(each.get("purpose", "evaluation") for each in openings)
        words = [f"{purpose} ({count} times)" if count > 1 else purpose for purpose, count in purposes.items()]
        models = len({each["model_sha256"] for each in openings})
        rows.append((run.run_dir.name, ", ".join(words) or "not on record", str(len(openings)), str(models)))
        sources.append(path)
    return Table(
        "openings",
        "How often the test images were opened for each run, what for, and how many different models were judged.",
        ("run", "purpose", "openings", "models"),
        tuple(rows),
        tuple(sources),
        text_columns=2,
    )
