"""Images per second and latency of the HTTP server on this machine, against the model without a server.

The client runs beside the server, on loopback: pin both to the cores that the figures are for.

taskset -c 2,3 python -m benchmarks.serving_load zoo/student/student.int8.tflite
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.http_load import Load, offer, post, saturate
from benchmarks.records import summary_entry
from pipelines.errors import InputError
from tfcifar.cli import make_parser, run

SINGLE_CALLERS = 16  # connections with requests of one image
OVERLOAD = 2.0  # times the rate at which the server is saturated
FIGURES = {"requests_per_second": "requests/s", "p99_ms": "ms", "ratio_to_raw": "ratio"}


@dataclass(frozen=True)
class Row:
    """One kind of load. images: of a request. raw: images/s of the model alone at the same batch size."""

    name: str
    images: int
    load: Load
    raw: float | None = None

    @property
    def images_per_second(self) -> float:
        return self.images * self.load.per_second()

    def cells(self) -> list[str]:
        ratio = f"{self.images_per_second / self.raw:.2f}" if self.raw else ""
        others = ", ".join(f"{count} x {status}" for status, count in self.load.statuses.items() if status != 200)
        return [self.name, f"{self.load.per_second():,.0f}", f"{self.images_per_second:,.0f}", ratio,
                f"{self.milliseconds(50):.1f}", f"{self.milliseconds(99):.1f}", others or "none"]  # fmt: skip

    def milliseconds(self, percent: int) -> float:
        return 1000 * statistics.quantiles(self.load.seconds, n=100, method="inclusive")[percent - 1]


def parse(argv=None) -> argparse.Namespace:
    parser = make_parser("benchmarks.serving_load", __doc__)
    parser.add_argument("artifact", type=Path, metavar="ARTIFACT", help="a .tflite, .onnx or .keras file")
    parser.add_argument("--seconds", type=float, default=20, help="of each kind of load (default: %(default)s)")
    parser.add_argument("--images", type=int, default=32, help="of a large request, and of a batch (default: 32)")
    parser.add_argument("--connections", type=int, default=4, help="with large requests (default: %(default)s)")
    parser.add_argument("--record", action="store_true", help="put the figures of large requests on record")
    args = parser.parse_args(argv)
    if not 0.5 <= args.seconds <= 600:
        raise InputError(f"--seconds: expected 0.5 to 600, received {args.seconds}.")
    if min(args.images, args.connections) < 1:
        raise InputError(f"--images, --connections: expected 1 or more, received {args.images}, {args.connections}.")
    return args


@contextlib.contextmanager
def server(artifact: Path, *options, log_file: Path | None = None):
    """(port, process) of a server on a free port; its log goes to `log_file`, or to one that goes with it."""
    command = [sys.executable, "-m", "tfcifar.serve", f"model={artifact}", "--port", "0", *map(str, options)]
    with open(log_file, "w+") if log_file else tempfile.NamedTemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            while not (found := re.search(r"^serving on http://\S+:(\d+)", Path(log.name).read_text(), re.MULTILINE)):
                if process.poll() is not None:
                    raise InputError(f"the server has ended: {Path(log.name).read_text().strip()[-500:]}")
                time.sleep(0.1)
            time.sleep(1)  # from the line to the first answer
            yield int(found[1]), process
        finally:
            process.terminate()
            process.wait()


def infer_request(images: int, image_shape: tuple[int, ...]) -> bytes:
    """A binary infer request of the Open Inference Protocol, with random images."""
    import numpy as np

    shape = [images, *image_shape]
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8).tobytes()
    tensor = {"name": "images", "shape": shape, "datatype": "UINT8", "parameters": {"binary_data_size": len(pixels)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    return post("/v2/models/model/infer", head + pixels, headers)


def raw_speed(runtime, images: int, seconds: float) -> float:
    """Images/s of a loaded model in a loop, without anything around it."""
    import numpy as np

    batch = np.random.default_rng(0).integers(0, 256, (images, *runtime.image_shape), np.uint8)
    runtime(batch)
    calls, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        runtime(batch)
        calls += 1
    return calls * images / (time.perf_counter() - started)


class Memory(threading.Thread):
    """Samples the resident bytes of a process until `stop`; empty where there is no /proc."""

    def __init__(self, process: int):
        super().__init__(daemon=True)
        self.path, self.samples, self.ended = Path(f"/proc/{process}/statm"), [], threading.Event()

    def run(self) -> None:
        while self.path.exists() and not self.ended.wait(0.1):
            self.samples.append(int(self.path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))

    def stop(self) -> tuple[list[int], list[int]] | None:
        """The samples of the second quarter of the time and of the last; None: there are none.

        The first quarter fills queues and buffers; after that nothing may grow.
        """
        self.ended.set()
        self.join()
        quarter = len(self.samples) // 4
        return (self.samples[quarter : 2 * quarter], self.samples[-quarter:]) if quarter else None


def memory_in_words(quarters: tuple[list[int], list[int]] | None, figure: Callable[[list[int]], float] = max) -> str:
    """What `Memory.stop` gives, for example "121 MB in the second quarter of the time, 121 MB in the last"."""
    if quarters is None:
        return "unknown"
    second, last = (f"{figure(samples) / 1e6:.0f} MB" for samples in quarters)
    return f"{second} in the second quarter of the time, {last} in the last"


def measure(args) -> tuple[list[Row], str]:
    """Rows for the table, and what is said of memory under overload."""
    from export.runtimes import open_artifact

    runtime = open_artifact(args.artifact)
    single, large = (infer_request(images, runtime.image_shape) for images in (1, args.images))
    raw = [raw_speed(runtime, args.images, args.seconds / 2)]
    raw_single = raw_speed(runtime, 1, args.seconds / 2)
    with server(args.artifact, "--max-batch", args.images) as (port, process):
        rows = [Row(f"{args.images} images a request, {args.connections} callers", args.images,
                    asyncio.run(saturate(port, large, args.connections, args.seconds)))]  # fmt: skip
        raw.append(raw_speed(runtime, args.images, args.seconds / 2))  # again: a busy machine changes its speed
        rows[0] = Row(rows[0].name, args.images, rows[0].load, statistics.mean(raw))
        rows.append(Row(f"1 image, {SINGLE_CALLERS} callers", 1,
                        asyncio.run(saturate(port, single, SINGLE_CALLERS, args.seconds)), raw_single))  # fmt: skip
        rate = OVERLOAD * rows[0].load.per_second()
        memory = Memory(process.pid)
        memory.start()
        overload = asyncio.run(offer(port, large, 64, args.seconds, rate))
        rows.append(Row(f"{args.images} images, {rate:,.0f} requests/s offered", args.images, overload))
        said = memory_in_words(memory.stop())
    with server(args.artifact, "--max-batch", 1, "--max-delay", 0) as (port, _):
        load = asyncio.run(saturate(port, single, SINGLE_CALLERS, args.seconds))
        rows.insert(2, Row(f"1 image, {SINGLE_CALLERS} callers, without batching", 1, load, raw_single))
    return rows, said


def table(rows: list[Row]) -> str:
    lines = [
        "| load | requests/s | images/s | of the model alone | p50 ms | p99 ms | other answers |",
        "|---|--:|--:|--:|--:|--:|---|",
        *(f"| {' | '.join(row.cells())} |" for row in rows),
    ]
    return "\n".join(lines)


def records(row: Row, environment: dict, seconds: float) -> list[dict]:
    """The figures of the large requests in the form of results/summary.json."""
    values = (row.load.per_second(), row.milliseconds(99), row.images_per_second / row.raw)
    return [
        summary_entry("server", metric, round(value, 3), unit, environment, round(seconds, 1), "docs/serving.md")
        for (metric, unit), value in zip(FIGURES.items(), values, strict=True)
    ]


def main() -> None:
    args = parse()
    started = time.perf_counter()
    rows, memory = measure(args)
    print(table(rows))
    print(f"memory of the server under overload: {memory}")
    if rows[-1].load.not_sent:
        print(f"overload: {rows[-1].load.not_sent} requests were not sent: all connections were waiting")
    if args.record:
        from tfcifar.environment import describe_command, describe_hardware
        from tfcifar.reporting.results import put_on_record

        seconds = time.perf_counter() - started
        put_on_record(records(rows[0], describe_command() | {"hardware": describe_hardware([])}, seconds))


if __name__ == "__main__":
    run(main)
