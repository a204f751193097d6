"""What the ladder consists of: the commands of the five levels, each of which goes on where it was interrupted."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LEVELS = (1, 2, 3, 4, 5)
TEACHERS = (2, 3)  # of level 5; not level 1: the network of level 2, less trained, whose answers would cost as long
# Level 3 trains on the validation images too when it is trained alone; an ensemble needs members that hold them out.
HELD_OUT = ("--set", "data.train_on_validation=false", "--set", "epochs=60", "--set", "small_images.epochs=20")
# How many test images, drawn at random, each corruption is tried on.
CORRUPTED = {"demo": "60", "cpu": "500", "gpu": "10000"}

MEASURED = {"demo": ("--rounds", "3"), "cpu": (), "gpu": ()}
EXPLAINED = {"demo": ("--shown", "5", "--scored", "30"), "cpu": (), "gpu": ()}


@dataclass(frozen=True)
class Step:
    """One command of the ladder.

    arguments: of `python -m`, the module first.
    minutes: roughly, on two CPU cores, for a first estimate of what is left; what is measured corrects it.
    output: a file that it leaves; without it the step is not finished.
    """

    level: int
    name: str
    arguments: tuple[str, ...]
    minutes: float
    output: Path | None = None

    @property
    def command(self) -> str:
        return shlex.join(["python", "-m", *self.arguments])


def place_of(folder: Path, level: int) -> Path:
    """Where the ladder in `folder` has the run of a level that trains; the ensemble of level 4."""
    return folder / ("ensemble" if level == 4 else f"level_{level}")


def plan(preset: str, folder: Path, data: list[str], fitted: Mapping[int, Sequence[str]] | None = None) -> list[Step]:
    """All steps, in their order.

    Args:
        preset: of the recipes, "demo", "cpu" or "gpu".
        folder: for everything that the steps make.
        data: options of `tfcifar.train` that name the data set; none: the recipes' own.
        fitted: more of its options, by level: see `own_images`.
    """
    runs = {level: str(place_of(folder, level)) for level in LEVELS}
    members = [runs[1], runs[2], runs[3]]
    deployed = [f"{runs[level]}/export/level_{level}.float32.tflite" for level in (1, 2, 3)]
    of_student = ("float32.tflite", "int8.tflite", "float32.onnx", "int8.onnx")
    deployed += [f"{runs[5]}/export/level_5.{kind}" for kind in of_student]

    def train(level: int, *more: str) -> tuple[str, ...]:
        chosen = ("--level", str(level), "--preset", preset, *data, *(fitted or {}).get(level, ()), *more)
        return ("tfcifar.train", *chosen, "--run-dir", runs[level], "--resume")

    def robustness(*tried: str) -> tuple[str, ...]:
        return ("tfcifar.robustness", *tried, "--limit", CORRUPTED[preset], "--output", f"{folder}/robustness")

    def export(level: int) -> tuple[str, ...]:
        return ("export.compress", runs[level], "--formats", "tflite_float32", "--no-benchmark")

    # Level, name, minutes on two cores with the demo and the cpu preset, a file that it leaves, arguments.
    steps = [
        (1, "train", 1, 66, "level_1/metrics.json", train(1)),
        (2, "train", 2, 132, "level_2/metrics.json", train(2)),
        (3, "train", 2, 194, "level_3/metrics.json", train(3, *(() if preset == "demo" else HELD_OUT))),
        (3, "explain", 0.3, 5, "level_3/explain/scores.csv", ("tfcifar.explain", runs[3], *EXPLAINED[preset])),
        (4, "ensemble", 0.2, 0.2, "ensemble/ensemble.json", ("tfcifar.ensemble", *members, "--output", runs[4])),
        (4, "calibrate", 0.2, 0.2, "ensemble/calibration.json", ("tfcifar.calibrate", *members, runs[4])),
        (4, "robustness", 1, 20, "level_3/robustness/scores.csv", robustness(*members)),
        (4, "uncertainty", 0.5, 20, "level_2/uncertainty/scores.json", ("tfcifar.uncertainty", runs[2])),
        (4, "paper", 0.3, 0.3, "paper/report.pdf",
         ("tfcifar.report", "--level", "4", *members, runs[4], "--output", f"{folder}/paper")),
        (5, "train", 2, 120, "level_5/metrics.json", train(5, "--teacher", *(runs[level] for level in TEACHERS))),
        (5, "calibrate", 0.1, 0.1, "level_5/calibration.json", ("tfcifar.calibrate", runs[5])),
        (5, "robustness", 0.5, 3, "level_5/robustness/scores.csv", robustness(*members, runs[5])),
        (5, "compress", 1, 5, "level_5/export/compress.json",
         ("export.compress", runs[5], "--corrupted", CORRUPTED[preset], "--no-benchmark")),
        *((5, f"export level {level}", 0.3, 4, f"level_{level}/export/level_{level}.float32.tflite", export(level))
          for level in (1, 2, 3)),
        (5, "benchmark", 1, 2, "benchmark/benchmark.json",
         ("export.benchmark", *deployed, *MEASURED[preset], "--output", f"{folder}/benchmark")),
    ]  # fmt: skip
    return [
        Step(level, name, arguments, demo if preset == "demo" else cpu, folder / output)
        for level, name, demo, cpu, output, arguments in steps
    ]
