"""Whether the probabilities can be taken at their word: calibration, abstaining, foreign images."""

from pathlib import Path

from tfcifar.reporting.research.corrupted import add_corruptions
from tfcifar.reporting.research.document import Document, Figure, Heading, Paragraph, Table
from tfcifar.reporting.research.evidence import Evidence, calibration_rows
from tfcifar.reporting.run_report import EvaluatedRun
from tfcifar.reporting.tables import percent
from tfcifar.run_dir import read_json
from tfcifar.uncertainty import ENTROPY, MC_DROPOUT


def add_trust(document: Document, evidence: Evidence, figures: Path) -> None:
    calibrated, judged, corrupted = evidence.with_file("calibration"), evidence.uncertainty(), evidence.robustness()
    if not (calibrated or judged or corrupted):
        return
    document.add(Heading("Trust"))
    if calibrated:
        _add_calibration(document, evidence, calibrated)
    if judged:
        scores = {run.run_dir.name: read_json(run.run_dir.uncertainty / "scores.json") for run in judged}
        _add_abstaining(document, judged, scores)
        _add_foreign(document, judged, scores)
    if corrupted:
        add_corruptions(document, corrupted, figures)


def _add_calibration(document: Document, evidence: Evidence, calibrated: list[EvaluatedRun]) -> None:
    rows = []
    for system in calibrated:
        for method, row in calibration_rows(system, "test").items():
            name = "as it is" if method == "none" else f"{method} scaling"
            rows.append(
                (
                    system.run_dir.name if method == "none" else "",
                    f"**{name}** (kept)" if row["kept"] else name,
                    percent(row["accuracy"]),
                    *(f"{row[figure]:.4f}" for figure in ("nll", "brier", "ece", "adaptive_ece")),
                )
            )
    shown = evidence.best([each for each in calibrated if each in evidence.ensembles] or calibrated)
    document.add(
        Heading("Calibration", level=2),
        Paragraph(
            "A model is calibrated when of the images to which it gives a class with probability p a share p belongs "
            "to it. Temperature scaling divides the logits by one number, vector scaling scales and shifts each "
            "class's @cite:guo2017; both are fitted on the validation images, and the simplest method is kept that "
            "no other betters significantly there. @table:calibration gives all three on the test images. "
            f"@figure:reliability shows where `{shown.run_dir.name}` is too sure or not sure enough."
        ),
        Table(
            "calibration",
            "Calibration on the test images before and after scaling. Label smoothing and mixed images make a network "
            "too unsure, long training on clean labels too sure: either is seen in its ECE.",
            ("system", "", "accuracy", "NLL", "Brier", "ECE", "adaptive ECE"),
            tuple(rows),
            tuple(system.run_dir.calibration for system in calibrated),
            text_columns=2,
        ),
        Figure(
            "reliability",
            f"Reliability of `{shown.run_dir.name}` on the test images: accuracy among predictions of like "
            "confidence, before and after scaling.",
            shown.run_dir.figures / "calibration.png",
            (shown.run_dir.calibration, shown.run_dir.predictions),
        ),
    )


def _add_abstaining(document: Document, judged: list[EvaluatedRun], scores: dict[str, dict]) -> None:
    rows = []
    for name, found in scores.items():
        for source, each in found["sources"].items():
            measure = each["measures"][ENTROPY]
            fall = "yes" if measure["monotone"] else f"but for {100 * measure['largest_fall']:.1f} points"
            rows.append(
                (
                    name,
                    f"{source.replace('_', ' ')}, {found['split']}",
                    percent(each["accuracy"]),
                    percent(measure["aurc"], 3),
                    percent(measure["excess_aurc"], 3),
                    percent(measure["deciles"][0], 1),
                    percent(measure["deciles"][-1], 1),
                    fall,
                )
            )
    shown = next((run for run in judged if MC_DROPOUT in scores[run.run_dir.name]["sources"]), judged[0])
    document.add(
        Heading("Knowing when not to answer", level=2),
        Paragraph(
            "A system that may abstain should be wrong least where it is surest. Images are ordered by predictive "
            "entropy, of one pass and of the mean of many passes with dropout left on (Monte Carlo dropout "
            "@cite:gal2016, whose mutual information is BALD @cite:houlsby2011). AURC is the error rate averaged over "
            "all shares of images that one may keep, and its excess what an oracle would save @cite:geifman2019. "
            "@table:abstaining and @figure:deciles show whether the error rate rises from each tenth of the images to "
            "the next less certain one."
        ),
        Table(
            "abstaining",
            "Selective prediction by predictive entropy: AURC and its excess, errors in the surest and the least sure "
            "tenth, and whether they rise from tenth to tenth.",
            ("system", "predictions", "accuracy", "AURC", "excess", "surest tenth", "least sure", "rising"),
            tuple(rows),
            tuple(run.run_dir.uncertainty / "scores.json" for run in judged),
            text_columns=2,
        ),
        Figure(
            "deciles",
            f"Errors of `{shown.run_dir.name}` by tenths of the {scores[shown.run_dir.name]['split']} images, from the "
            "surest to the least sure.",
            shown.run_dir.uncertainty / "deciles.png",
            (shown.run_dir.uncertainty / "scores.json",),
            width=0.8,
        ),
    )


def _add_foreign(document: Document, judged: list[EvaluatedRun], scores: dict[str, dict]) -> None:
    kinds = list(dict.fromkeys(row["images"] for found in scores.values() for row in found["detection"]))
    rows = []
    for name, found in scores.items():
        cells = {(row["detector"], row["images"]): row for row in found["detection"]}
        for i, detector in enumerate(dict.fromkeys(row["detector"] for row in found["detection"])):
            of_kinds = [cells.get((detector, kind)) for kind in kinds]
            values = [f"{row['auroc']:.3f} ({percent(row['fpr95'], 0)})" if row else "" for row in of_kinds]
            rows.append(("" if i else name, detector.replace("_", " "), *values))
    document.add(
        Heading("Foreign images", level=2),
        Paragraph(
            "Images of nothing that the system knows should be noticed. Four detectors are compared: the highest "
            "softmax probability @cite:hendrycks2017, the energy of the logits @cite:liu2020, the Mahalanobis distance "
            "@cite:lee2018 and the distance to the nearest training images @cite:sun2022 in the last features. None "
            "of them has seen a foreign image. @table:foreign gives the area under the ROC curve (0.5 is chance) and "
            "the share of foreign images let in where 95% of the system's own are."
        ),
        Table(
            "foreign",
            "Detection of foreign images: AUROC, and FPR95 in brackets.",
            ("system", "detector", *(kind.replace("_", " ") for kind in kinds)),
            tuple(rows),
            tuple(run.run_dir.uncertainty / "scores.json" for run in judged),
            text_columns=2,
        ),
    )
