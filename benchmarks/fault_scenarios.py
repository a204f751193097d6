"""Commands that are killed at random moments, and what counts as their result: see `benchmarks.faults`."""

import csv
import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import InputError
from tfcifar.run_lock import LEFTOVER, LOCK

PROJECT = Path(__file__).parents[1]
# Tiny, on generated images, and bit for bit the same each time.
SMALL = ("--set", "data.image_size=12", "--set", "batch_size=500")
TRAIN = ("tfcifar.train", "--recipe", "smoke", "--preset", "cpu", *SMALL, "--set", "model.widths=4,8",
         "--deterministic", "--resume")  # fmt: skip
# What tells when, how long or by which command, in JSON and in tables; or the SHA-256 of a zip, which has times in it.
VOLATILE = {"command", "commands", "commit", "continued_by", "data_wait_share", "hardware", "model", "model_sha256",
            "sha256", "packages", "python", "run", "seconds", "seconds_by_seed", "source", "time", "train_seconds",
            "uncommitted_changes"}  # fmt: skip
SKIPPED = {"environment.json", "oracle.json", "trial.json", "search.json"}  # times; or the tools' own
MOST_TRIES = 6  # to kill a command before it ends: moments later than its end do not count


@dataclass(frozen=True)
class Scenario:
    """One kind of command. `prepare` makes what it starts from, in a folder that every run gets a copy of.

    command: the folder -> arguments of `python -m`, the same after a kill.
    """

    name: str
    command: Callable[[Path], tuple]
    prepare: Callable[[Path], list[tuple]] = lambda folder: []


def _trained(folder: Path, seeds: tuple[int, ...] = (0,), evaluate: bool = False) -> list[tuple]:
    options = () if evaluate else ("--no-evaluate",)
    return [
        (*TRAIN, "--set", "epochs=1", "--seed", seed, *options, "--run-dir", folder / f"run{seed}") for seed in seeds
    ]


def _ensemble(folder: Path) -> tuple:
    return ("tfcifar.ensemble", folder / "run0", folder / "run1", "--output", folder / "both")


SCENARIOS = (
    Scenario("training", lambda folder: (*TRAIN, "--set", "epochs=5", "--run-dir", folder / "run")),
    Scenario("evaluation", lambda folder: ("tfcifar.evaluate", folder / "run0", "--tta", "flip_translate"), _trained),
    Scenario(
        "tuning",
        lambda folder: (
            "tuner.search", "--recipe", "smoke", "--oracle", "random", "--trials", 2, "--set", "epochs=1", *SMALL,
            "--set", "deterministic=true", "--output", folder / "search",
        ),
    ),
    Scenario(
        "ablation",
        lambda folder: (
            "tfcifar.ablation", "--level", 2, "--seeds", 0, "--rows", "none", "+ flip and crop", "--set",
            "data.dataset=synthetic", "--set", "epochs=1", "--set", "model.widths=4,4,4", "--set", "deterministic=true",
            *SMALL, "--output", folder / "grid",
        ),
    ),
    Scenario("ensemble", _ensemble, lambda folder: _trained(folder, (0, 1), evaluate=True)),
    Scenario(
        "caching an ensemble's logits",  # for a student
        lambda folder: (
            *TRAIN, "--set", "epochs=3", "--teacher", folder / "both", "--no-evaluate", "--run-dir", folder / "student",
        ),
        lambda folder: [*_trained(folder, (0, 1), evaluate=True), _ensemble(folder)],
    ),
    Scenario(
        "export",
        lambda folder: (
            "export.compress", folder / "run0", "--name", "tiny", "--images", 50, "--no-benchmark", "--formats",
            "tflite_float32", "tflite_int8", "onnx_float32",
        ),
        _trained,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Undisturbed:
    """start: where each run of the scenario begins; result: of `fingerprint`; seconds: with the folder locked."""

    start: Path
    result: dict[str, str]
    seconds: float


def run_undisturbed(scenario: Scenario, folder: Path) -> Undisturbed:
    """Prepare `scenario` in `folder`, and run it once to its end."""
    start, whole = folder / "start" / "work", folder / "whole" / "work"
    start.mkdir(parents=True)
    for command in scenario.prepare(start):
        _run_to_end(command)
    shutil.copytree(start, whole)
    process, began = _started(scenario.command(whole)), None
    while process.poll() is None:
        if began is None and _is_locked(whole):
            began = time.monotonic()
        time.sleep(0.005)
    if process.returncode or began is None:
        raise InputError(f"{scenario.name}: the undisturbed run ended with code {process.returncode}.")
    return Undisturbed(start, fingerprint(whole), time.monotonic() - began)


def kill_and_repeat(scenario: Scenario, undisturbed: Undisturbed, folder: Path, moment: float) -> str:
    """Kill the scenario's command after a share `moment` of its time, give it again, compare; what differs, or "".

    Raises:
        InputError: it cannot be killed in time.
    """
    for attempt in range(MOST_TRIES):
        work = folder / str(attempt) / "work"
        shutil.copytree(undisturbed.start, work)
        command = scenario.command(work)
        process = _started(command)
        while process.poll() is None and not _is_locked(work):
            time.sleep(0.002)
        time.sleep(moment * undisturbed.seconds * 0.8**attempt)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            break
    else:
        raise InputError(f"{scenario.name}: it ended before it was killed, {MOST_TRIES} times.")
    repeated = subprocess.run(_arguments(command), cwd=PROJECT, capture_output=True, text=True, check=False)
    if repeated.returncode:
        return f"exit code {repeated.returncode}: {(repeated.stderr.strip().splitlines() or ['no message'])[-1]}"
    found = fingerprint(work)
    names = sorted(
        name for name in found.keys() | undisturbed.result if found.get(name) != undisturbed.result.get(name)
    )
    return ", ".join(names)


def fingerprint(folder: Path) -> dict[str, str]:
    """Of each file that makes up a result, and of what ought not to be there: its name -> a digest."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if LEFTOVER.fullmatch(path.name) or path.name == LOCK:
            digests[name] = "left over"
        elif path.is_file() and path.name not in SKIPPED and path.suffix in READERS:
            content = json.dumps(READERS[path.suffix](path), sort_keys=True).replace(str(folder), "")  # of teachers
            digests[name] = hashlib.sha256(content.encode()).hexdigest()
    return digests


def _of_arrays(path: Path):
    import numpy as np

    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name not in ("header", "model")}
    return {name: [str(array.dtype), array.shape, _sha256(array.tobytes())] for name, array in arrays.items()}


def _of_keras(path: Path):
    with zipfile.ZipFile(path) as file:
        config = re.sub(rb'"shared_object_id": \d+', b"", file.read("config.json"))  # where it lay in memory
        return [_sha256(config), _sha256(file.read("model.weights.h5"))]


def _of_json(path: Path):
    return _steady(json.loads(path.read_text(encoding="utf-8")))


def _of_lines(path: Path):
    """As a set: a command that was killed after it had opened the test split opens it again, on the record."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return sorted({json.dumps(_steady(json.loads(line)), sort_keys=True) for line in lines})


def _of_csv(path: Path):
    with path.open(newline="", encoding="utf-8") as file:
        return _steady(list(csv.DictReader(file)))


def _steady(value):
    if isinstance(value, dict):
        return {key: _steady(each) for key, each in value.items() if not re.fullmatch(r".*seconds.*", key)
                and key not in VOLATILE}  # fmt: skip
    return [_steady(each) for each in value] if isinstance(value, list) else value


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


READERS = {".npz": _of_arrays, ".keras": _of_keras, ".json": _of_json, ".jsonl": _of_lines, ".csv": _of_csv,
           **{suffix: lambda path: _sha256(path.read_bytes()) for suffix in (".npy", ".tflite", ".onnx")}}  # fmt: skip


def _is_locked(folder: Path) -> bool:
    return any(folder.rglob(LOCK))


def _arguments(command: tuple) -> list[str]:
    return [sys.executable, "-m", *map(str, command)]


def _started(command: tuple) -> subprocess.Popen:
    return subprocess.Popen(
        _arguments(command), cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def _run_to_end(command: tuple) -> None:
    completed = subprocess.run(_arguments(command), cwd=PROJECT, capture_output=True, text=True, check=False)
    if completed.returncode:
        raise InputError(f"{' '.join(map(str, command))}: {completed.stderr.strip()[-300:]}")
