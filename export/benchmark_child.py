"""One model in a process of its own, timed on request; `export.benchmark` starts one for each file and thread count.

    python -m export.benchmark_child student.int8.onnx 1

Answers with a line of JSON when the model is loaded, then with one for each line {"batch": 32, "calls": 10} of stdin.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pipelines.errors import InputError, first_line
from tfcifar.cli import start_tensorflow

UNTIMED = 2  # calls before each measurement: another process has used the caches since the last one


def main() -> None:
    path, threads = Path(sys.argv[1]), int(sys.argv[2])
    # Libraries print to stdout too; the answers go where nobody else writes.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    import numpy as np

    from export.runtimes import open_artifact

    before = peak_bytes()
    try:
        if path.suffix == ".keras":
            limit_keras_threads(threads)
        runtime = open_artifact(path, threads)
    except InputError as error:
        print(json.dumps({"error": str(error)}), file=answers)
        return
    loaded = {"runtime": runtime.name, "precision": getattr(runtime, "precision", None),
              "tensorflow": "tensorflow" in sys.modules}  # fmt: skip
    print(json.dumps(loaded), file=answers)
    pixels = np.random.default_rng(0)
    images: dict[int, np.ndarray] = {}
    for line in sys.stdin:
        request = json.loads(line)
        batch = request["batch"]
        if batch not in images:
            images[batch] = pixels.integers(0, 256, (batch, *runtime.image_shape), dtype=np.uint8)
        try:
            times = time_calls(partial(runtime, images[batch]), request["calls"])
        except Exception as error:  # of a file for one batch size alone; the runtimes' errors share no other base
            print(json.dumps({"error": first_line(error)}), file=answers)
            continue
        now = peak_bytes()
        peak = None if before is None or now is None else now - before
        print(json.dumps({"times": times, "peak_bytes": peak}), file=answers)


def time_calls(call: Callable[[], object], calls: int) -> list[float]:
    """Seconds of each of `calls` calls."""
    for _ in range(UNTIMED):
        call()
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return times


def limit_keras_threads(threads: int) -> None:
    start_tensorflow()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def peak_bytes() -> int | None:
    """The most memory that this process has had so far (VmHWM); None where the system does not say."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
