"""Latency, throughput, memory and size of exported models on the runtimes that they are for, next to each other."""

import argparse
import os
import time
from pathlib import Path

from pipelines.errors import InputError
from tfcifar.cli import make_parser, run

EPILOG = """examples:
  python -m export.benchmark runs/student/export/student.*.tflite runs/student/export/student.*.onnx
  python -m export.benchmark student.int8.tflite teacher.keras --threads 1 --batch 1 8 --seconds 2
  python -m export.benchmark student.*.tflite student.*.onnx --per-op --record      # for results/

Every model is loaded in a process of its own for each number of threads; one computes at a time. The rounds visit all
of them in turn, each in another order, so that a slow spell of the machine hits all alike. Accuracies come from the
card beside each file; none is measured here."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("export.benchmark", __doc__, EPILOG)
    parser.add_argument("artifact", nargs="+", metavar="ARTIFACT", help="a .tflite, .onnx or .keras file")
    parser.add_argument("--threads", type=int, nargs="+", default=[each for each in (1, 2) if each <= cores()],
                        metavar="N", help="default: 1 2")  # fmt: skip
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32], metavar="N", help="default: 1 32")
    parser.add_argument("--rounds", type=int, default=10, help="over all configurations (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.5, metavar="S",
                        help="of a measurement: each configuration has one a round (default %(default)s)")  # fmt: skip
    parser.add_argument("--per-op", action="store_true", help="also where the time goes: operations and their shares")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmark"), metavar="FOLDER",
                        help="for benchmark.json, .md, .html and figures (default %(default)s)")  # fmt: skip
    parser.add_argument("--record", action="store_true", help="put the table on record in results/")
    args = parser.parse_args(argv)
    for option, values, most in (("--threads", args.threads, cores()), ("--batch", args.batch, None)):
        wrong = [each for each in values if each < 1 or (most and each > most)]
        if wrong or len(set(values)) < len(values):
            limit = f"1 to {most} (the cores of this process)" if most else "1 or more"
            raise InputError(f"{option}: expected different numbers, {limit}, received {' '.join(map(str, values))}.")
    if args.rounds < 1:
        raise InputError(f"--rounds: expected 1 or more, received {args.rounds}.")
    if not args.seconds > 0:
        raise InputError(f"--seconds: expected more than 0, received {args.seconds:g}.")
    if len(set(args.artifact)) < len(args.artifact):
        raise InputError("ARTIFACT: expected each file once, received one twice.")
    return args


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    from export.benchmark_artifacts import describe, describe_machine, name_apart
    from export.benchmark_measure import measure
    from export.benchmark_report import record_latency, write_report
    from export.op_profile import profile
    from tfcifar.run_dir import write_json

    artifacts = [describe(file) for file in args.artifact]
    started = time.perf_counter()
    found = measure(args.artifact, args.threads, args.batch, args.rounds, args.seconds)
    for artifact in artifacts:
        artifact["precision"] = found["loaded"][artifact["file"]]["precision"] or artifact["precision"]
    results = {
        "environment": describe_machine(),
        "threads": args.threads,
        "batch": args.batch,
        "rounds": args.rounds,
        "seconds_of_a_measurement": args.seconds,
        "artifacts": name_apart(artifacts),
        "measurements": found["measurements"],
        "failed": found["failed"],
        "operations": {file: profile(file) for file in args.artifact} if args.per_op else {},
        "seconds": round(time.perf_counter() - started, 1),
    }
    write_json(args.output / "benchmark.json", results)
    print(write_report(args.output))
    print(f"report: {args.output / 'benchmark.html'}, benchmark.md, benchmark.json")
    if args.record:
        record_latency(args.output)
        print("recorded in results/latency/")


if __name__ == "__main__":
    run(main)
