"""A benchmark from its files to its report, with the settings that it has unless told otherwise."""

import re
import tempfile
import time
from pathlib import Path

from pipelines.errors import InputError, cannot_write
from tfcifar.environment import cores
from tfcifar.run_dir import write_json

BATCHES = (1, 32)
ROUNDS = 10
SECONDS = 0.5  # of a measurement
MEMORY = Path("/proc/meminfo")
# What a process with a small network needs for itself alone, seen on Linux; the file comes on top.
PROCESS_BYTES = {"litert": 41e6, "onnxruntime": 64e6, "keras": 347e6}


def default_threads() -> list[int]:
    return [each for each in (1, 2) if each <= cores()]


def benchmark_files(
    files: list[str],
    output: Path,
    threads: list[int] | None = None,
    batch: list[int] | None = None,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
    per_op: bool = False,
) -> str:
    """Write benchmark.json, .md, .html and figures into `output`; return the tables.

    Args:
        files: exported models, see `export.runtimes`.
        threads, batch: sizes to measure; None: the default ones.
        rounds, seconds: see `measure`.
        per_op: also profile the operations.

    Raises:
        InputError: see `describe`, `check_memory` and `measure`; or `output` is no folder to write to.
    """
    from export.benchmark_artifacts import describe, describe_machine, name_apart
    from export.benchmark_measure import measure
    from export.benchmark_report import write_report
    from export.op_profile import profile

    threads, batch = threads or default_threads(), batch or list(BATCHES)
    artifacts = [describe(file) for file in files]
    check_memory(artifacts, threads, available_bytes())
    _make_folder(output)
    started = time.perf_counter()
    found = measure(files, threads, batch, rounds, seconds)
    for artifact in artifacts:
        artifact["precision"] = found["loaded"].get(artifact["file"], {}).get("precision") or artifact["precision"]
    results = {
        "environment": describe_machine(),
        "threads": threads,
        "batch": batch,
        "rounds": rounds,
        "seconds_of_a_measurement": seconds,
        "artifacts": name_apart(artifacts),
        "measurements": found["measurements"],
        "failed": found["failed"],
        "operations": {},
        "seconds": round(time.perf_counter() - started, 1),
    }
    write_json(output / "benchmark.json", results)  # before what may still go wrong
    if per_op:
        results["operations"] = {file: profile(file) for file in files}
        results["seconds"] = round(time.perf_counter() - started, 1)
        write_json(output / "benchmark.json", results)
    return write_report(output)


def _make_folder(output: Path) -> None:
    """Raises InputError where nothing can be written to `output`: better now than after the measurements."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=output).close()
    except OSError as error:
        raise cannot_write(error, output) or error from error


def check_memory(artifacts: list[dict], threads: list[int], available: int | None) -> None:
    """Raises InputError where the processes of all `artifacts` do not fit into `available` bytes; None: not known."""
    needed = len(threads) * sum(PROCESS_BYTES[each["runtime"]] + each["bytes"] for each in artifacts)
    if available is None or needed <= available:
        return
    raise InputError(
        f"ARTIFACT: {len(artifacts)} files in a process each for {len(threads)} numbers of threads take about "
        f"{needed / 1e9:.1f} GB, but {available / 1e9:.1f} GB of memory are available. Give one number of --threads at "
        "a time, or the files in several runs; a .keras file takes as much as eight others."
    )


def available_bytes() -> int | None:
    """Of memory for new processes (MemAvailable); None where the system does not say."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", MEMORY.read_text(), re.MULTILINE) if MEMORY.is_file() else None
    return int(found[1]) * 1024 if found else None
