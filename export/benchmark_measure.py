"""Time exported models against each other: all are loaded at once, one computes at a time, and they take turns."""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from pipelines.errors import InputError

FEWEST_CALLS, MOST_CALLS = 3, 10_000  # in a measurement, whatever its seconds
WARM_UP_SECONDS = 0.2


@dataclass(frozen=True)
class Configuration:
    file: str
    threads: int
    batch: int


class Child:
    """A model in another process. `loaded` is what it says of itself (see `export.benchmark_child`)."""

    def __init__(self, file: str, threads: int):
        self.file = file
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", "export.benchmark_child", file, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"},  # these are figures of a CPU
        )

    def wait_until_loaded(self) -> None:
        """Raises InputError: the model cannot be loaded."""
        self.loaded = self._answer()
        if "error" in self.loaded:
            raise InputError(self.loaded["error"])

    def ask(self, batch: int, calls: int) -> dict:
        """{"times": seconds of each call, "peak_bytes": so far}, or {"error": why it cannot}."""
        with suppress(BrokenPipeError):  # it has died: what it said last is told below
            print(json.dumps({"batch": batch, "calls": calls}), file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict:
        assert self.process.stdout is not None  # a pipe
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            last = (self.log.read().decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise InputError(f"{self.file}: its process ended with exit code {self.process.wait()}: {last}")
        return json.loads(line)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.log.close()


def measure(files: list[str], threads: list[int], batches: list[int], rounds: int, seconds: float) -> dict:
    """Time each of `files` with each number of threads, at each batch size.

    Args:
        seconds: of each measurement; every configuration has one in each round.

    Returns:
        JSON-ready: `loaded` (by file), `measurements` and `failed` (lists with `file`, `threads` and `batch`; see
        `summarize` for the first, `reason` for the second).

    Raises:
        InputError: a file cannot be loaded.
    """
    with ExitStack() as stack:
        children = {}
        for file in files:
            for count in threads:
                children[file, count] = Child(file, count)
                stack.callback(children[file, count].close)
        for child in children.values():
            child.wait_until_loaded()
        calls, peaks, failed = _warm_up(children, batches, seconds)
        times: dict[Configuration, list[list[float]]] = {configuration: [] for configuration in calls}
        turns = list(order(list(calls), rounds))
        for configuration in tqdm(turns, desc="measuring", unit="measurement"):
            child = children[configuration.file, configuration.threads]
            answer = child.ask(configuration.batch, calls[configuration])
            if "error" in answer:
                raise InputError(f"{configuration.file}: {answer['error']}")
            times[configuration].append(answer["times"])
        measurements = [vars(each) | summarize(times[each], each.batch) | {"peak_bytes": peaks[each]} for each in calls]
        loaded = {file: children[file, threads[0]].loaded for file in files}
    return {"loaded": loaded, "measurements": measurements, "failed": failed}


def _warm_up(children: dict, batches: list[int], seconds: float) -> tuple[dict, dict, list]:
    """Calls of a measurement and peak memory by configuration, and which configurations do not run."""
    calls, peaks, failed = {}, {}, []
    for (file, threads), child in tqdm(children.items(), desc="warming up", unit="model"):
        for batch in sorted(batches):  # upwards: a peak is that of the largest batch so far
            configuration = Configuration(file, threads, batch)
            answer = child.ask(batch, FEWEST_CALLS)
            if "error" in answer:
                failed.append(vars(configuration) | {"reason": answer["error"]})
                continue
            answer = child.ask(batch, _calls_in(WARM_UP_SECONDS, answer["times"]))  # the first calls are slower
            calls[configuration] = _calls_in(seconds, answer["times"])
            peaks[configuration] = answer["peak_bytes"]
    return calls, peaks, failed


def _calls_in(seconds: float, times: list[float]) -> int:
    return min(max(round(seconds / statistics.median(times)), FEWEST_CALLS), MOST_CALLS)


def order(configurations: list, rounds: int) -> Iterator:
    """Each round visits every configuration once, in an order of its own, so that a slow spell hits all alike."""
    for number in range(rounds):
        yield from random.Random(number).sample(configurations, len(configurations))


def summarize(times: list[list[float]], batch: int) -> dict:
    """What is reported of one configuration.

    Args:
        times: seconds of each call, by round.

    Returns:
        `calls` (their number), `p50_ms`, `p90_ms`, `p99_ms` (over the calls of all rounds), `images_per_second` (over
        all their time) and `rounds_p50_ms` (the median of each round).
    """
    every = np.concatenate(times)
    p50, p90, p99 = 1e3 * np.percentile(every, (50, 90, 99))
    return {
        "calls": len(every),
        "p50_ms": _short(p50),
        "p90_ms": _short(p90),
        "p99_ms": _short(p99),
        "images_per_second": _short(batch * len(every) / every.sum()),
        "rounds_p50_ms": [_short(1e3 * statistics.median(each)) for each in times],
    }


def _short(value: float) -> float:
    return float(f"{value:.5g}")
