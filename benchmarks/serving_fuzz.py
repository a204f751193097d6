"""Thousands of requests that mean no good, against the HTTP server in a process of its own.

Broken JSON, wrong shapes and types, hostile images, odd heads and framing, ways out of folders, compressed bodies; and
schemathesis on the OpenAPI description, where it is installed. No 5xx but a deliberate 503, no crash, flat memory.

python -m benchmarks.serving_fuzz zoo/student/student.int8.tflite
"""

import argparse
import json
import shutil
import tempfile
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from benchmarks.openapi_fuzz import Found, find_schemathesis, fuzz_description
from benchmarks.records import summary_entry
from pipelines.errors import InputError
from tfcifar.cli import make_parser, run

CALLERS = 4  # requests at a time
BATCH = 32  # requests between looks whether the server is alive
GROWTH = 1.1  # the least memory in the last quarter of the time may be that many times the one in the second
WARM = 2000  # requests: over five seeds the least memory then grew by up to 1.07; over 150 requests by up to 1.7
FIGURES = {"fuzzed_requests": "requests", "fuzz_errors": "errors"}


@dataclass
class Report:
    """statuses: by kind of request. faults: lines for people. sent: requests. quarters: see `Memory.stop`."""

    statuses: dict[str, Counter] = field(default_factory=lambda: defaultdict(Counter))
    faults: list[str] = field(default_factory=list)
    sent: int = 0
    quarters: tuple[list[int], list[int]] | None = None


def parse(argv=None) -> argparse.Namespace:
    parser = make_parser("benchmarks.serving_fuzz", __doc__)
    parser.add_argument("artifact", type=Path, metavar="ARTIFACT", help="a .tflite, .onnx or .keras file")
    parser.add_argument("--requests", type=int, default=10_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="which requests (default: %(default)s)")
    parser.add_argument("--keep", type=Path, default=Path("runs/serving_fuzz"), metavar="FOLDER",
                        help="for requests that the server failed on (default: %(default)s)")  # fmt: skip
    parser.add_argument("--replay", type=Path, metavar="FILE", help="send this kept request only, show the answer")
    parser.add_argument("--schemathesis", type=Path, metavar="FILE",
                        help="the command (default: beside this Python or on the PATH, else left out)")  # fmt: skip
    parser.add_argument("--record", action="store_true", help="put the figures on record")
    args = parser.parse_args(argv)
    if args.requests < 1:
        raise InputError(f"--requests: expected 1 or more, received {args.requests}.")
    if args.replay and not args.replay.is_file():
        raise InputError(f"--replay: {args.replay}: no such file.")
    return args


def send_all(port: int, process, requests: Iterator, keep: Path) -> Report:
    """Send `requests`, CALLERS at a time; those that the server fails on go to `keep`.

    process: of the server, with `pid` and `poll()`; it is asked after every BATCH requests whether it is alive.
    """
    from benchmarks.fuzz_answers import ask, fault_of, save
    from benchmarks.serving_load import Memory, memory_in_words

    report, memory = Report(), Memory(process.pid)
    memory.start()
    with ThreadPoolExecutor(CALLERS) as pool:
        while batch := list(islice(requests, BATCH)):
            failure = None
            try:
                answers = list(pool.map(lambda request: ask(port, request), batch))
            except OSError as error:  # no connection to be had
                failure = f"does not answer ({error})"
            if process.poll() is not None:
                failure = f"ended with {process.returncode}"
            if failure:
                kept = [save(request, report.sent + i, keep) for i, request in enumerate(batch)]
                report.faults.append(f"the server {failure}, on one of {kept[0]} ... {kept[-1]}")
                break
            for request, answer in zip(batch, answers, strict=True):
                report.statuses[request.kind][answer.status] += 1
                if fault := fault_of(request, answer):
                    report.faults.append(f"{save(request, report.sent, keep)}: {fault}")
                report.sent += 1
    report.quarters = memory.stop()
    if report.sent >= WARM and report.quarters and not is_flat(report.quarters):
        report.faults.append(f"memory grew: {memory_in_words(report.quarters, min)}")
    return report


def is_flat(quarters: tuple[list[int], list[int]]) -> bool:
    """Whether what the server holds between requests stays; how large images overlap in time says nothing of it."""
    second, last = map(min, quarters)
    return last <= GROWTH * second


def read_log(log: Path) -> list[str]:
    """Lines of the server's log that tell of faults."""
    faults = []
    for line in log.read_text(errors="replace").splitlines():
        try:
            level = json.loads(line).get("level") if line.startswith("{") else None
        except ValueError:
            level = "error"
        if level in ("error", "critical") or line.startswith("Traceback"):
            faults.append(f"log: {line[:500]}")
    return faults


def fuzz(args, schemathesis: Path | None) -> tuple[Report, Found | None]:
    from benchmarks.hostile_requests import hostile_requests
    from benchmarks.serving_load import server

    found = None
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        with server(args.artifact, log_file=log) as (port, process):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/models", timeout=30) as response:
                shape = json.load(response)["models"][0]["image_shape"]
            report = send_all(port, process, hostile_requests(args.seed, args.requests, shape), args.keep)
            if schemathesis and process.poll() is None:
                found = fuzz_description(schemathesis, port, args.seed)
                if found.failed:
                    report.faults.append("schemathesis has found something, see above")
            if process.poll() is not None:
                report.faults.append(f"the server has ended with exit code {process.returncode}")
        report.faults += read_log(log)
        if report.faults:
            args.keep.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log, args.keep / "server.log")
    return report, found


def table(report: Report) -> str:
    lines = ["| requests | | statuses |", "|---|--:|---|"]
    for kind, statuses in sorted(report.statuses.items()):
        text = ", ".join(f"{count:,} x {status}" for status, count in sorted(statuses.items(), key=str))
        lines.append(f"| {kind} | {statuses.total():,} | {text} |")
    return "\n".join(lines)


def replay(args) -> None:
    from benchmarks.fuzz_answers import ask, load
    from benchmarks.serving_load import server

    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        with server(args.artifact, log_file=log) as (port, process):
            answer = ask(port, load(args.replay))
            print(f"status: {answer.status}", *(f"{name}: {value}" for name, value in answer.headers.items()), sep="\n")
            print(answer.body[:2000].decode("utf-8", "replace"))
            print("the server is alive" if process.poll() is None else f"the server has ended: {process.returncode}")
        print(log.read_text())


def records(sent: int, faults: int, environment: dict, seconds: float) -> list[dict]:
    """The figures in the form of results/summary.json."""
    return [
        summary_entry("server", metric, value, unit, environment, round(seconds, 1), "docs/serving.md")
        for (metric, unit), value in zip(FIGURES.items(), (sent, faults), strict=True)
    ]


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    if args.replay:
        replay(args)
        return
    schemathesis = find_schemathesis(args.schemathesis)
    if schemathesis is None:
        missing = "schemathesis is not installed (pip install schemathesis, or --schemathesis FILE)"
        if args.record:
            raise InputError(f"--record: {missing}, and the record is of both parts.")
        print(f"NOTE: {missing}: the OpenAPI description is left out.", flush=True)
    started = time.perf_counter()
    report, found = fuzz(args, schemathesis)
    from benchmarks.serving_load import memory_in_words

    print(table(report))
    least, most = (memory_in_words(report.quarters, figure) for figure in (min, max))
    unjudged = "" if report.sent >= WARM else f"; not judged, as it is in runs of {WARM:,} requests and more"
    print(f"memory of the server: at least {least}; at most {most}{unjudged}")
    if found:
        print(f"schemathesis: {found.requests:,} requests, {'failures' if found.failed else 'no failure'}")
    if found and found.failed:
        print(found.output)
    for fault in report.faults:
        print(f"FAULT: {fault}")
    sent = report.sent + (found.requests if found else 0)
    print(f"{sent:,} requests, {len(report.faults)} faults")
    if args.record:
        from tfcifar.environment import describe_command, describe_hardware
        from tfcifar.reporting.results import put_on_record

        seconds = time.perf_counter() - started
        environment = describe_command() | {"hardware": describe_hardware([])}
        put_on_record(records(sent, len(report.faults), environment, seconds))
    if report.faults:
        raise SystemExit(1)


if __name__ == "__main__":
    run(main)
