"""Run the steps of a ladder one after the other, each in a process of its own, and show how far it is."""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.errors import InputError
from tfcifar.ladder.journal import Journal
from tfcifar.ladder.steps import Step
from tfcifar.reporting.tables import duration

LINES_OF_A_FAILURE = 15
TOLD_EVERY = 300  # seconds, off a terminal: a log of hours stays readable
LIBC: Any = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded here: after a fork nothing should be
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
IDLE = 0.5  # load average of the last minute: no more where nothing else is done


def climb(steps: list[Step], journal: Journal) -> None:
    """Run those of `steps` that are not finished, with their output in FOLDER/logs/.

    Raises:
        InputError: a step has failed, or has used other images than those before it.
    """
    logs = journal.folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    for number, step in enumerate(steps, 1):
        head = f"{number:2}/{len(steps)} level {step.level}, {step.name}:"
        if journal.is_finished(step):
            print(f"{head} finished before, in {duration(journal.seconds[step.command])}", flush=True)
            continue
        print(f"{head} {step.command}", flush=True)
        if step.name == "benchmark":
            _warn_of_load()
        log = logs / f"{number:02}_level_{step.level}_{step.name.replace(' ', '_')}.log"
        started, reused = time.monotonic(), journal.is_reused(step)
        try:
            code = _run(step, log, partial(_overview, steps, journal, step, started))
            if code:
                raise InputError(_failure(step, log, code))
        except BaseException:  # also of Ctrl-C: the next attempt's time comes on top
            journal.interrupt(step, time.monotonic() - started)
            raise
        journal.finish(step, time.monotonic() - started, reused)
        print(f"      {_elapsed(started)}, {time_left(steps, journal)}", flush=True)


def time_left(steps: list[Step], journal: Journal, current: Step | None = None, elapsed: float = 0) -> str:
    """In words; by what the finished steps took, compared with what was expected of them.

    Runs that were there before count on neither side.

    elapsed: seconds since the `current` step has begun.
    """
    measured = [step for step in steps if journal.is_finished(step) and not journal.is_reused(step)]
    expected = 60 * sum(step.minutes for step in measured)
    pace = sum(journal.seconds[step.command] for step in measured) / expected if expected else 1

    def left(step: Step) -> float:
        if journal.is_finished(step) or journal.is_trained(step):
            return 0
        return max(0, 60 * step.minutes * pace - journal.spent(step) - (elapsed if step == current else 0))

    return f"about {duration(sum(map(left, steps)))} left"


def _warn_of_load() -> None:
    load = os.getloadavg()[0]
    if load > IDLE:
        print(
            f"NOTE: load average {load:.1f}: other programs may be at work, and latencies would come out too long. "
            "(The step before counts for a minute too.)",
            flush=True,
        )


def _overview(steps: list[Step], journal: Journal, current: Step, begun: float) -> str:
    return f"{_elapsed(begun)}, {time_left(steps, journal, current, time.monotonic() - begun)}"


def _elapsed(begun: float) -> str:
    return duration(time.monotonic() - begun)


def _run(step: Step, log: Path, overview: Callable[[], str]) -> int:
    """The exit code of `step`; until it ends, a line tells where it is: one that moves on a terminal, else now and then
    a new one."""
    live, told = sys.stdout.isatty(), time.monotonic()
    with log.open("ab") as output:  # what an interrupted attempt has said stays
        output.write(f"$ {step.command}\n".encode())
        output.flush()
        process = subprocess.Popen(
            [sys.executable, "-m", *step.arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            preexec_fn=_end_with_the_ladder if LIBC else None,
        )
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        while process.poll() is None:
            if live:
                _rewrite_line(f"      {overview()} | {_last_line(log)}")
            elif time.monotonic() - told >= TOLD_EVERY:
                told = time.monotonic()
                print(f"      {overview()} | {_last_line(log)}", flush=True)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
    finally:  # no step outlives the ladder: it would keep its folder from the next one
        signal.signal(signal.SIGTERM, previous)
        if process.poll() is None:
            process.terminate()
            process.wait()
        if live:
            _rewrite_line("")
    return process.returncode


def _end_with_the_ladder() -> None:
    """In the new process: SIGTERM when the ladder dies of what it cannot catch, such as SIGKILL."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _rewrite_line(text: str) -> None:
    """Put `text`, cut to the terminal's width, in place of the line that the cursor is on."""
    print(f"\r\x1b[2K{text[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)


def _last_line(log: Path) -> str:
    """What a command wrote last, with or without a line end: progress bars end with a carriage return."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        written = [line.strip() for line in re.split(r"[\r\n]+", file.read().decode(errors="replace"))]
    return next((line for line in reversed(written) if line), "")


def _failure(step: Step, log: Path, code: int) -> str:
    """One line where the command itself has said what is wrong in one, else also the end of what it wrote."""
    failed = f"ladder: level {step.level}, {step.name} ended with exit code {code}"
    again = f"all of it is in {log}. The same ladder again goes on from there."
    last = _last_line(log)
    if last.startswith("error: "):
        return f"{failed}: {last.removeprefix('error: ')} ({again})"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_OF_A_FAILURE:]
    return "\n".join([f"{failed}; {again} Its last lines:", *lines])
