"""A research report on record: its pages, the numbers behind them, and the figures of its best ensemble."""

import shutil
from pathlib import Path

from pipelines.errors import InputError
from tfcifar.evaluation.calibrate_run import load_calibration
from tfcifar.reporting.research.document import Document, Figure, Table
from tfcifar.reporting.research.evidence import Evidence, calibration_rows
from tfcifar.reporting.results import RESULTS, put_on_record
from tfcifar.run_dir import read_csv, read_json, write_text

NUMBERS = (".csv", ".json", ".jsonl")  # not predictions.npz, which are large


def check_recordable(evidence: Evidence) -> None:
    """Raises InputError where there is no ensemble, or the best one is not calibrated: its figures go on record."""
    if not evidence.ensembles:
        raise InputError("--record: expected an ensemble among the folders, made by tfcifar.ensemble, received none.")
    load_calibration(evidence.best(evidence.ensembles).run_dir.path)


def record_report(document: Document, evidence: Evidence, output: Path, name: str, results: Path = RESULTS) -> None:
    """Copy the report in `output` to results/NAME/ with the numbers behind its tables and figures, as text.

    results/summary.json receives the figures of the calibrated ensemble that has the highest validation accuracy.
    """
    target = results / name
    shutil.rmtree(target, ignore_errors=True)  # another report's evidence does not belong beside this one's
    target.mkdir(parents=True)
    for file in ("report.html", "report.pdf"):
        shutil.copyfile(output / file, target / file)
    for source in _sources(document):
        folder = next(each for each in evidence.folders if source.is_relative_to(each))
        text = evidence.without_place(source.read_text(encoding="utf-8"))
        write_text(target / "evidence" / evidence.place(folder) / source.relative_to(folder), text)
    put_on_record(_entries(evidence, name), results=results)


def _sources(document: Document) -> list[Path]:
    shown = [block for block in document.blocks if isinstance(block, Table | Figure)]
    paths = dict.fromkeys(path.resolve() for block in shown for path in block.sources)
    return [path for path in paths if path.suffix in NUMBERS and path.is_file()]


def _entries(evidence: Evidence, name: str) -> list[dict]:
    ensemble = evidence.best(evidence.ensembles)
    kept = read_json(ensemble.run_dir.calibration)["kept"]
    calibrated = calibration_rows(ensemble, "test")[kept]
    votes = read_csv(ensemble.run_dir.path / "votes.csv")
    best_member = next(row for row in votes if row["split"] == "test" and row["name"].startswith("best member"))
    figures = {
        "test_accuracy": (calibrated["accuracy"], "fraction"),
        "nll": (calibrated["nll"], "nats"),
        "ece": (calibrated["ece"], "fraction"),
        "best_member_accuracy": (float(best_member["accuracy"]), "fraction"),
    }
    common = {
        "n": 1,
        "command": evidence.without_place(ensemble.environment["command"]),
        "seconds": round(ensemble.metrics["train_seconds"], 1),
        "hardware": ensemble.environment["hardware"],
        "commit": ensemble.environment["commit"],
        "details": f"results/{name}/",
    }
    views = read_json(ensemble.run_dir.ensemble)["views"]
    common |= {"views": views} if views != "none" else {}
    return [
        {"name": name, "metric": metric, "value": round(value, 6), "std": None, "unit": unit, **common}
        for metric, (value, unit) in figures.items()
    ]
