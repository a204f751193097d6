"""What the folders given to a report hold, read once."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipelines.errors import InputError
from tfcifar.arrays import read_arrays
from tfcifar.evaluation.calibrate_run import load_calibration
from tfcifar.evaluation.members import different_names
from tfcifar.evaluation.openings import model_digest
from tfcifar.evaluation.statistics import mean_and_std
from tfcifar.recipe import Recipe
from tfcifar.recipe_json import load_json
from tfcifar.reporting.run_report import EvaluatedRun, check_same_test_images, load_run
from tfcifar.reporting.tables import percent
from tfcifar.robustness.predictions import file_of
from tfcifar.run_dir import RunDir, read_json

ABLATION = "ablation.csv"


@dataclass(frozen=True)
class Evidence:
    """systems: evaluated runs and ensembles, in the order given; ablations: folders made by tfcifar.ablation.

    findings: folders made by tfcifar.data_quality.
    """

    systems: tuple[EvaluatedRun, ...]
    ablations: tuple[Path, ...]
    findings: tuple[Path, ...]

    @property
    def folders(self) -> list[Path]:
        """All that the report is made from, as absolute paths."""
        return [
            path.resolve() for path in (*(each.run_dir.path for each in self.systems), *self.ablations, *self.findings)
        ]

    @cached_property
    def _base(self) -> Path:
        """Above the folder that all evidence lies in: where it lay on one machine is nobody's business."""
        return Path(os.path.commonpath([folder.parent for folder in self.folders])).parent

    def place(self, path: Path) -> str:
        """`path` as a reader finds it, for example "runs/level_1-cpu-seed0"."""
        return os.path.relpath(path.resolve(), self._base)

    def without_place(self, command: str) -> str:
        """A command whose paths begin where those of `place` do."""
        return command.replace(f"{self._base}/", "")

    @cached_property
    def ensembles(self) -> list[EvaluatedRun]:
        return [system for system in self.systems if system.run_dir.ensemble.is_file()]

    @cached_property
    def runs(self) -> list[EvaluatedRun]:
        return [system for system in self.systems if not system.run_dir.ensemble.is_file()]

    @cached_property
    def recipes(self) -> dict[str, Recipe]:
        """By the name of the run."""
        return {run.run_dir.name: load_json(run.run_dir.recipe) for run in self.runs}

    @cached_property
    def trained(self) -> list[EvaluatedRun]:
        """The runs that were trained by epochs: not soups, which hold the recipe of one of their runs."""
        return [run for run in self.runs if "soup" not in run.environment]

    @cached_property
    def seeds(self) -> list[list[EvaluatedRun]]:
        """The trained runs by recipe: those of one list differ in their seeds alone."""
        groups: dict[Recipe, list[EvaluatedRun]] = {}
        for run in self.trained:
            groups.setdefault(self.recipes[run.run_dir.name].replace(seed=0), []).append(run)
        return list(groups.values())

    @property
    def dataset(self) -> str:
        return self.systems[0].metrics["dataset"]

    @property
    def dataset_in_words(self) -> str:
        """With its source, where it is a well-known one."""
        known = {"cifar10": "CIFAR-10 @cite:krizhevsky2009", "cifar100": "CIFAR-100 @cite:krizhevsky2009"}
        return known.get(self.dataset, self.dataset)

    @property
    def class_names(self) -> list[str]:
        return [row["name"] for row in self.systems[0].metrics["per_class"]]

    @property
    def test_count(self) -> int:
        return len(self.systems[0].correct)

    def best(self, systems: list[EvaluatedRun]) -> EvaluatedRun:
        """Which one a text is about: that with the highest accuracy on validation images that it has not trained on.

        Where none has such, the first given: never one that the test images have chosen.
        """
        validated = [each for each in systems if each.metrics["validation_accuracy"] is not None]
        return max(validated, key=lambda each: each.metrics["validation_accuracy"]) if validated else systems[0]

    def which(self, system: EvaluatedRun) -> str:
        """In words, why `best` has taken this single model."""
        if system.metrics["validation_accuracy"] is None:
            return "the first model named"
        return "the single model with the highest validation accuracy"

    def with_file(self, name: str) -> list[EvaluatedRun]:
        """The systems that hold the file of this attribute of RunDir."""
        return [each for each in self.systems if getattr(each.run_dir, name).is_file()]

    def robustness(self) -> list[EvaluatedRun]:
        return [run for run in self.runs if file_of(run.run_dir, "test", "scores.csv").is_file()]

    def uncertainty(self) -> list[EvaluatedRun]:
        return [run for run in self.runs if (run.run_dir.uncertainty / "scores.json").is_file()]


def load_evidence(paths: list[Path]) -> Evidence:
    """Read evaluated runs, ensembles, ablations and findings on data quality.

    Raises:
        InputError: a folder is none of these, two systems have one name or are one run twice, they were judged on
            different test images, what was measured is of another model than lies there now, or there is no system.
    """
    systems, ablations, findings = [], [], []
    for path in paths:
        if (path / ABLATION).is_file():
            ablations.append(path)
        elif (path / "duplicates.json").is_file() or (path / "labels.json").is_file():
            findings.append(path)
        elif RunDir(path).recipe.is_file() or RunDir(path).ensemble.is_file():
            systems.append(load_run(path))
        else:
            raise InputError(
                "report: expected run directories, ensembles, and folders of tfcifar.ablation or tfcifar.data_quality, "
                f"received {path}."
            )
    if not systems:
        raise InputError("report: expected at least one evaluated run or ensemble, received none.")
    different_names("report", (system.run_dir for system in systems))
    check_same_test_images(systems)
    for system in systems:
        _check_up_to_date(system.run_dir)
    evidence = Evidence(tuple(systems), tuple(ablations), tuple(findings))
    for runs in evidence.seeds:
        seeds = [evidence.recipes[run.run_dir.name].seed for run in runs]
        if len(set(seeds)) < len(seeds):
            same = ", ".join(run.run_dir.name for run in runs)
            raise InputError(f"report: expected runs of one recipe to differ in their seeds, received {same}.")
    return evidence


def _check_up_to_date(run_dir: RunDir) -> None:
    """Raises InputError where what was measured belongs to another model than lies there now."""
    digest = model_digest(run_dir)
    judged = str(read_arrays(run_dir.predictions)["model"])
    if judged != digest:
        command = "tfcifar.ensemble" if run_dir.ensemble.is_file() else "tfcifar.evaluate"
        raise InputError(f"report: {run_dir.path} has changed since it was judged; run python -m {command} again.")
    if run_dir.calibration.is_file():
        load_calibration(run_dir.path)
    scores = run_dir.uncertainty / "scores.json"
    if scores.is_file() and read_json(scores)["model_sha256"] != digest:
        raise InputError(
            f"report: the model of {run_dir.path} has changed since its uncertainty was measured; "
            f"run python -m tfcifar.uncertainty {run_dir.path}."
        )


def points(value: float, digits: int = 2) -> str:
    return f"{100 * value:+.{digits}f}"


def span(low: float, high: float, show: Callable[[float], str] = points) -> str:
    return f"{show(low)} to {show(high)}"


def over_seeds(values: list[float]) -> str:
    """For example "94.26% ± 0.09 (n=5)"."""
    mean, std = mean_and_std(values)
    spread = "" if std is None else f" ± {100 * std:.2f}"
    return f"{percent(mean)}{spread} (n={len(values)})"


def calibration_rows(system: EvaluatedRun, split: str) -> dict[str, dict]:
    """By method, the rows of calibration.json for one split."""
    rows = read_json(system.run_dir.calibration)["rows"]
    return {row["method"]: row for row in rows if row["split"] == split}
