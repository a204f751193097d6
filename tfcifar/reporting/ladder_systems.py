"""What the steps of a ladder have left in its folder: its systems with their figures, and what each step bought."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.corruptions_names import STANDARD
from tfcifar.ensemble.saved import Ensemble, load_ensemble
from tfcifar.evaluation.statistics import compare
from tfcifar.reporting.pareto import latencies
from tfcifar.reporting.robustness import load_scores
from tfcifar.reporting.run_report import EvaluatedRun
from tfcifar.robustness.predictions import Predictions, file_of
from tfcifar.robustness.scores import mean_of
from tfcifar.run_dir import RunDir, read_json

STUDENT, ENSEMBLE, INT8 = "level_5", "ensemble", "level_5 INT8"
RUNS = ("level_1", "level_2", "level_3", ENSEMBLE, STUDENT)


@dataclass(frozen=True)
class System:
    """What is known of one system; None where it was not measured.

    accuracy, low, high, corrupted: fractions. nll, calibrated_nll: nats. corrupted_on: `images`, `corruptions` and
    `severities` that `corrupted` is the mean over, how many of each. minutes: of training, that of its members or
    teachers in it; own_minutes: without teachers. macs: of one image. megabytes, ms: of the files that are deployed,
    on one thread.
    """

    name: str
    model: str
    kind: str
    accuracy: float
    low: float
    high: float
    nll: float
    ece: float
    calibrated_nll: float | None
    calibrated_ece: float | None
    corrupted: float | None
    corrupted_on: dict[str, int] | None
    minutes: float
    own_minutes: float
    parameters: int
    macs: int
    megabytes: float | None
    ms: float | None


def load_systems(folder: Path, runs: dict[str, EvaluatedRun]) -> list[System]:
    """Those of RUNS, and the INT8 file that the ladder ends with."""
    files = _files(folder)
    float32 = {name: files[f"{name}.float32.tflite"] for name in RUNS if name != ENSEMBLE}
    members = [float32[name] for name in runs[ENSEMBLE].metrics["members"]]
    costs = {key: [each[key] for each in members] for key in ("megabytes", "ms")}
    float32[ENSEMBLE] = {key: None if None in values else sum(values) for key, values in costs.items()}
    systems = []
    for name, run in runs.items():
        metrics, calibrated = run.metrics, _calibrated(run)
        corrupted, corrupted_on = _corrupted(run.run_dir)
        own_minutes = metrics["train_seconds"] / 60
        low, high = metrics["accuracy_ci95"]
        systems.append(
            System(
                name=name,
                model=metrics["model"],
                kind="members' float32 files" if name == ENSEMBLE else "float32 file",
                accuracy=metrics["accuracy"],
                low=low,
                high=high,
                nll=metrics["loss"],
                ece=metrics["ece"],
                calibrated_nll=calibrated["nll"],
                calibrated_ece=calibrated["ece"],
                corrupted=corrupted,
                corrupted_on=corrupted_on,
                minutes=own_minutes + sum(runs[each].metrics["train_seconds"] / 60 for each in teachers_of(run)),
                own_minutes=own_minutes,
                parameters=metrics["parameters"],
                macs=metrics["macs"],
                **float32[name],
            )
        )
    student, card = systems[-1], _card(folder)
    on_test = card["metrics"]["test"]
    low, high = on_test["accuracy_ci95"]
    calibrated, found = on_test.get("calibrated", {}), on_test.get("corrupted", {})
    tried = {key: found[key] for key in ("images", "corruptions", "severities")} if found else None
    int8 = System(INT8, student.model, "INT8 file", on_test["accuracy"], low, high, on_test["nll"], on_test["ece"],
                  calibrated.get("nll"), calibrated.get("ece"), found.get("accuracy"), tried,
                  student.minutes, student.own_minutes, student.parameters, student.macs,
                  **files[card["file"]])  # fmt: skip
    return [*systems, int8]


def _files(folder: Path) -> dict[str, dict]:
    """Megabytes, and milliseconds for one image on one thread, by the name of the file."""
    results = read_json(folder / "benchmark" / "benchmark.json")
    _, _, latency = latencies(results)
    return {
        Path(each["file"]).name: {"megabytes": each["bytes"] / 1e6, "ms": latency.get(each["file"])}
        for each in results["artifacts"]
    }


def measured_on(folder: Path) -> str:
    """The hardware on which the latencies were measured."""
    return read_json(folder / "benchmark" / "benchmark.json")["environment"]["hardware"]


def _card(folder: Path) -> dict:
    """Of the INT8 file that the ladder ends with."""
    return read_json(folder / STUDENT / "export" / f"{STUDENT}.int8.tflite.json")


def _calibrated(run: EvaluatedRun) -> dict:
    rows = read_json(run.run_dir.calibration)["rows"]
    return next(row for row in rows if row["split"] == "test" and row["kept"])


def teachers_of(run: EvaluatedRun) -> list[str]:
    """The levels that a run has learned from; none of an ensemble."""
    if not run.run_dir.recipe.is_file():
        return []
    return [Path(each).name for each in read_json(run.run_dir.recipe)["distill"]["teachers"]]


def _corrupted(run_dir: RunDir) -> tuple[float | None, dict[str, int] | None]:
    """Mean accuracy over the standard corruptions, and how many images, corruptions and severities it is of.

    An ensemble's is from what its members have said of the images.
    """
    ensemble = load_ensemble(run_dir.path) if run_dir.ensemble.is_file() else None
    members = [RunDir(path) for path in ensemble.run_dirs] if ensemble else [run_dir]
    if not all(file_of(member, "test", "scores.csv").is_file() for member in members):
        return None, None
    scores, kept = load_scores(members, "test")
    rows = [row for row in scores[members[0].name] if row["corruption"] in STANDARD]
    if not rows:
        return None, None
    if ensemble is not None:
        rows = [row | {"accuracy": _vote(ensemble, list(kept.values()), row)} for row in rows]
    corruptions, severities = ({row[key] for row in rows} for key in ("corruption", "severity"))
    about = {"images": rows[0]["images"], "corruptions": len(corruptions), "severities": len(severities)}
    return mean_of(rows, "accuracy"), about


def _vote(ensemble: Ensemble, members: list[Predictions], row: dict) -> float:
    """The ensemble's accuracy on the images of a row of scores.csv."""
    logits = [each.logits(row["corruption"], row["severity"], row["images"]) for each in members]
    predicted = ensemble.combine(np.stack(logits)).argmax(-1)
    return float(np.mean(predicted == members[0].labels[: row["images"]]))


def what_steps_bought(folder: Path, runs: dict[str, EvaluatedRun]) -> list[dict]:
    """A row for each step: `system`, `against`, and how their accuracies compare, as fractions."""
    members = [runs[name] for name in runs[ENSEMBLE].metrics["members"]]
    best = max(members, key=lambda run: run.metrics["validation_accuracy"]).run_dir.name
    pairs = [("level_2", "level_1"), ("level_3", "level_2"), (ENSEMBLE, best)]
    pairs += [(STUDENT, other) for other in ("level_2", "level_3", ENSEMBLE)]  # its teachers, and what it replaces
    found = [
        {"system": name, "against": other, **compare(runs[name].correct, runs[other].correct)} for name, other in pairs
    ]
    return [*found, {"system": INT8, "against": STUDENT, **_card(folder)["flips"]}]
