"""Time exported models against each other: loaded one after the other, all stay; one computes at a time, in turns.

What ends one model's process, such as a lack of memory, is told of that model, and the others go on.
"""

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import product

import numpy as np
from tqdm import tqdm

from pipelines.errors import InputError
from tfcifar.cli import GREETING

FEWEST_CALLS, MOST_CALLS = 3, 10_000  # in a measurement, whatever its seconds
WARM_UP_SECONDS = 0.2
# Threads of a runtime go on spinning for work after a call, 16 to 27 ms of CPU with ONNX Runtime on 2 threads: they
# are given this long before the next model's turn.
PAUSE_SECONDS = 0.1
FEWEST_FOR_P99 = 200  # calls: of fewer, the 99th percentile is one of the two slowest


@dataclass(frozen=True)
class Configuration:
    file: str
    threads: int
    batch: int


class Child:
    """A model in another process. `loaded` is what it says of itself (see `export.benchmark_child`).

    Where the process has ended, each answer is an `error` that says how, with `ended`.
    """

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
        """Raises InputError: the file holds no model that could be loaded."""
        self.loaded = self._answer()
        if "error" in self.loaded and "ended" not in self.loaded:
            raise InputError(self.loaded["error"])

    def ask(self, batch: int, calls: int) -> dict:
        """{"times": seconds of each call, "peak_bytes": so far}, or {"error": why it cannot}."""
        with suppress(BrokenPipeError):  # it has died: what it said last is told below
            print(json.dumps({"batch": batch, "calls": calls}), file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict:
        assert self.process.stdout is not None  # a pipe
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        code = self.process.wait()
        self.log.seek(0)
        return {"error": how_it_ended(code, self.log.read().decode(errors="replace")), "ended": code}

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.log.close()


def how_it_ended(code: int, log: str) -> str:
    """For people, of an exit code as `subprocess` gives it and what the process wrote to stderr."""
    if code == -signal.SIGKILL:
        return f"its process was killed (signal {-code}), probably out of memory"
    said = [line for line in map(str.strip, log.splitlines()) if line and not GREETING.match(line)]
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"its process ended with {how}: {said[-1] if said else 'no message'}"


def measure(files: list[str], threads: list[int], batches: list[int], rounds: int, seconds: float) -> dict:
    """Time each of `files` with each number of threads, at each batch size.

    Args:
        seconds: of each measurement; every configuration has one in each round.

    Returns:
        JSON-ready: `loaded` (by file, of those that could be), `measurements` and `failed` (lists with `file`,
        `threads` and `batch`; see `summarize` for the first, `reason` for the second). What fails in any round has no
        measurement.

    Raises:
        InputError: a file cannot be loaded, or none of all this could be measured.
    """
    failed: dict[Configuration, str] = {}
    with ExitStack() as stack:
        children: dict[tuple[str, int], Child] = {}
        calls: dict[Configuration, int] = {}
        peaks: dict[Configuration, int | None] = {}
        for file, count in tqdm(list(product(files, threads)), desc="warming up", unit="model", disable=None):
            child = children[file, count] = Child(file, count)
            stack.callback(child.close)
            child.wait_until_loaded()
            for batch in sorted(batches):  # upwards: a peak is that of the largest batch so far
                configuration = Configuration(file, count, batch)
                answer = _warm_up(child, batch)
                if "error" in answer:
                    failed[configuration] = answer["error"]
                    continue
                calls[configuration] = _calls_in(seconds, answer["times"])
                peaks[configuration] = answer["peak_bytes"]
        times = _take_turns(children, calls, rounds, failed)
        loaded = {file: child.loaded for (file, _), child in children.items() if "error" not in child.loaded}
    if not times:
        first, reason = next(iter(failed.items()))
        raise InputError(f"{first.file}: {reason}; nothing else could be measured either.")
    return {
        "loaded": loaded,
        "measurements": [
            vars(each) | summarize(own, each.batch) | {"peak_bytes": peaks[each]} for each, own in times.items()
        ],
        "failed": [vars(each) | {"reason": reason} for each, reason in failed.items()],
    }


def _take_turns(children: dict, calls: dict, rounds: int, failed: dict) -> dict[Configuration, list[list[float]]]:
    """Seconds of each call by round, of the configurations in `calls`; what fails in any round goes to `failed`."""
    times: dict[Configuration, list[list[float]]] = {configuration: [] for configuration in calls}
    for configuration in tqdm(list(order(list(calls), rounds)), desc="measuring", unit="measurement", disable=None):
        if configuration in failed:
            continue
        time.sleep(PAUSE_SECONDS)
        answer = children[configuration.file, configuration.threads].ask(configuration.batch, calls[configuration])
        if "error" in answer:
            failed[configuration] = answer["error"]
        else:
            times[configuration].append(answer["times"])
    return {configuration: own for configuration, own in times.items() if configuration not in failed}


def _warm_up(child: Child, batch: int) -> dict:
    """The answer to the second of two requests: the first calls are slower. To the first, where that is an error."""
    answer = child.ask(batch, FEWEST_CALLS)
    return answer if "error" in answer else child.ask(batch, _calls_in(WARM_UP_SECONDS, answer["times"]))


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
        `calls` (their number), `p50_ms`, `p90_ms`, `p99_ms` (over the calls of all rounds; the last is None below
        FEWEST_FOR_P99), `images_per_second` (over all their time) and `rounds_p50_ms` (the median of each round).
    """
    every = np.concatenate(times)
    p50, p90, p99 = 1e3 * np.percentile(every, (50, 90, 99))
    return {
        "calls": len(every),
        "p50_ms": _short(p50),
        "p90_ms": _short(p90),
        "p99_ms": _short(p99) if len(every) >= FEWEST_FOR_P99 else None,
        "images_per_second": _short(batch * len(every) / every.sum()),
        "rounds_p50_ms": [_short(1e3 * statistics.median(each)) for each in times],
    }


def _short(value: float) -> float:
    return float(f"{value:.5g}")
