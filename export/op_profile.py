"""Where the time of a prediction goes: the operations that a runtime really runs, after all of its fusing.

python -m export.op_profile student.int8.onnx
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.stats import trim_mean

WARM_UP, CALLS = 50, 300
NOT_MEASURED = "not measured: TensorFlow's profiler writes for TensorBoard alone."


def profile(file: str) -> dict:
    """Profile a model, on one thread and one image at a time, in a process of its own.

    Returns:
        `operations`: rows of `operation`, `count` in a call, `microseconds` of these in a call, `share` of the sum of
        all, largest first; or, in place of it, `reason`: why there are none.
    """
    if Path(file).suffix == ".keras":
        return {"reason": NOT_MEASURED}
    done = subprocess.run([sys.executable, "-m", "export.op_profile", file], capture_output=True, text=True)
    if done.returncode:  # even a crash: what LiteRT offers is no part of its Python interface
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"reason": f"no profile: exit code {done.returncode}: {last}"}
    return {"operations": json.loads(done.stdout.splitlines()[-1])}


def rows(times: list[tuple[str, list[int]]]) -> list[dict]:
    """Rows of `profile`, of the kind of each operation and its microseconds in each call."""
    kinds = defaultdict(list)
    for name, microseconds in times:
        # Whole ones: a median would lose what is below; a mean would take in every pause of the machine.
        kinds[name].append(trim_mean(microseconds, 0.25))
    total = sum(map(sum, kinds.values()))
    found = [
        {"operation": name, "count": len(own), "microseconds": round(sum(own), 2), "share": round(sum(own) / total, 5)}
        for name, own in kinds.items()
    ]
    return sorted(found, key=lambda row: -row["microseconds"])


def onnx_operation_times(path: Path, warm_up: int, calls: int) -> list[tuple[str, list[int]]]:
    """Of each operation that a call runs its kind, and its microseconds in each of `calls` calls."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as scratch:
        options.profile_file_prefix = os.path.join(scratch, "profile")
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        (images,) = session.get_inputs()
        for _ in range(warm_up + calls):
            session.run(None, {images.name: np.zeros((1, *images.shape[1:]), np.uint8)})
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes = defaultdict(list)
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            nodes[event["args"]["op_name"], event["args"]["node_index"]].append(event["dur"])
    return [(name, durations[warm_up:]) for (name, _), durations in nodes.items()]


def main() -> None:
    path = Path(sys.argv[1])
    if path.suffix == ".onnx":
        times = onnx_operation_times(path, WARM_UP, CALLS)
    else:
        from export.litert_profile import operation_times

        times = operation_times(path, WARM_UP, CALLS)
    print(json.dumps(rows(times)))


if __name__ == "__main__":
    main()
