"""Abstract and introduction."""

from tfcifar.evaluation.statistics import compare
from tfcifar.reporting.research.document import Document, Heading, Paragraph
from tfcifar.reporting.research.evidence import Evidence, calibration_rows, points, span
from tfcifar.reporting.robustness import load_scores
from tfcifar.reporting.run_report import EvaluatedRun
from tfcifar.reporting.tables import in_words, percent
from tfcifar.robustness.scores import summarize
from tfcifar.run_dir import read_json
from tfcifar.uncertainty import ENTROPY, MC_DROPOUT


def add_front(document: Document, evidence: Evidence) -> None:
    document.add(Heading("Abstract", numbered=False), Paragraph(" ".join(_abstract(evidence))))
    document.add(
        Heading("Introduction"),
        Paragraph(
            "A single accuracy says little about whether an image classifier can be relied upon. This report asks of "
            f"{in_words(len(evidence.systems))} systems for {evidence.dataset_in_words} what their user would ask: how "
            "often each is right and how sure that figure is, whether the probabilities that it gives can be taken at "
            "their word, whether it knows when it does not know, what is left of it on images that are not as clean as "
            "those it learned from, where its mistakes lie, and what it costs."
        ),
        Paragraph(
            "It is written by a program from the directories that training and evaluation have left behind. Every "
            "number stands in a table or figure whose files are listed at the end, beside the command that makes them; "
            "nothing is copied by hand, and nothing that was measured on the test images was used to choose anything."
        ),
    )


def _abstract(evidence: Evidence) -> list[str]:
    best = evidence.best(evidence.runs) if evidence.runs else None
    n = evidence.test_count
    sentences = [
        f"We judge {in_words(len(evidence.systems))} image classifiers on the {n:,} test images of "
        f"{evidence.dataset_in_words}, all trained and evaluated under one protocol in which the test images choose "
        "nothing."
    ]
    if best:
        low, high = best.metrics["accuracy_ci95"]
        sentences.append(
            f"{evidence.which(best).capitalize()}, `{best.run_dir.name}`, is right on "
            f"{percent(best.metrics['accuracy'])} of them (95% interval {span(low, high, percent)})."
        )
    if evidence.ensembles:
        sentences += _of_ensemble(evidence.best(evidence.ensembles), best)
    sentences += _of_calibration(evidence)
    sentences += _of_robustness(evidence)
    sentences += _of_abstaining(evidence)
    return sentences


def _of_ensemble(ensemble: EvaluatedRun, best: EvaluatedRun | None) -> list[str]:
    members = len(read_json(ensemble.run_dir.ensemble)["members"])
    views = f", each with the views `{ensemble.metrics['views']}`," if ensemble.metrics["views"] != "none" else ""
    text = f"An ensemble of {in_words(members)}{views} reaches {percent(ensemble.metrics['accuracy'])}"
    if best is None:
        return [f"{text}."]
    found = compare(ensemble.correct, best.correct)
    return [
        f"{text}, {points(found['difference'])} points against that model on the same images (paired bootstrap "
        f"interval {span(*found['interval95'])}, McNemar p = {found['p_value']:.2g}: {found['verdict']})."
    ]


def _of_calibration(evidence: Evidence) -> list[str]:
    calibrated = evidence.with_file("calibration")
    if not calibrated:
        return []
    ensembles = [each for each in calibrated if each in evidence.ensembles]
    system = evidence.best(ensembles or calibrated)
    rows = calibration_rows(system, "test")
    kept = next(row for row in rows.values() if row["kept"])
    if kept["method"] == "none":
        return [
            f"The probabilities of `{system.run_dir.name}` are calibrated as they are: an expected calibration error "
            f"of {kept['ece']:.4f} and a negative log-likelihood of {kept['nll']:.3f}."
        ]
    return [
        f"{kept['method'].capitalize()} scaling, fitted on the validation images, takes the expected calibration error "
        f"of `{system.run_dir.name}` from {rows['none']['ece']:.4f} to {kept['ece']:.4f} and its negative "
        f"log-likelihood from {rows['none']['nll']:.3f} to {kept['nll']:.3f}."
    ]


def _of_robustness(evidence: Evidence) -> list[str]:
    runs = evidence.robustness()
    if not runs:
        return []
    scores = list(load_scores([run.run_dir for run in runs], "test")[0].values())
    rows = [row for row in (summarize(each, scores[0]) for each in scores) if row["accuracy"] is not None]
    if not rows:
        return []
    accuracies = sorted((row["accuracy"], row["run"]) for row in rows)
    if len(rows) == 1:
        return [f"Under common corruptions `{rows[0]['run']}` is right on {percent(rows[0]['accuracy'], 1)}."]
    return [
        f"Under common corruptions the models keep between {percent(accuracies[0][0], 1)} "
        f"(`{accuracies[0][1]}`) and {percent(accuracies[-1][0], 1)} (`{accuracies[-1][1]}`)."
    ]


def _of_abstaining(evidence: Evidence) -> list[str]:
    judged = [read_json(run.run_dir.uncertainty / "scores.json") for run in evidence.uncertainty()]
    judged = [scores for scores in judged if scores["split"] == "test" and MC_DROPOUT in scores["sources"]]
    if not judged:
        return []
    scores = judged[0]
    deciles = scores["sources"][MC_DROPOUT]["measures"][ENTROPY]["deciles"]
    return [
        f"Ordered by the uncertainty that Monte Carlo dropout gives, the surest tenth of the images holds "
        f"{percent(deciles[0], 1)} mistakes and the least sure {percent(deciles[-1], 1)} (`{scores['run']}`)."
    ]
