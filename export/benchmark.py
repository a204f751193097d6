"""Latency, throughput, memory and size of exported models on the runtimes that they are for, next to each other."""

import argparse
import math
from pathlib import Path

from export.benchmark_run import BATCHES, ROUNDS, SECONDS, default_threads
from pipelines.errors import InputError
from tfcifar.cli import make_parser, run
from tfcifar.environment import cores

EPILOG = """examples:
  python -m export.benchmark runs/level_5-cpu-seed0/export/*.tflite runs/level_5-cpu-seed0/export/*.onnx
  python -m export.benchmark zoo/student/student.int8.tflite zoo/student/model.keras --threads 1 --batch 1 8 --seconds 2
  python -m export.benchmark student.*.tflite student.*.onnx --per-op --record      # for results/

Every model is loaded in a process of its own for each number of threads; one computes at a time. The rounds visit all
of them in turn, each in another order, so that a slow spell of the machine hits all alike. Accuracies come from the
card beside each file or, of the model.keras of a run, from its metrics.json; none is measured here."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("export.benchmark", __doc__, EPILOG)
    parser.add_argument("artifact", nargs="+", metavar="ARTIFACT", help="a .tflite, .onnx or .keras file")
    parser.add_argument("--threads", type=int, nargs="+", default=default_threads(),
                        metavar="N", help="default: 1 2")  # fmt: skip
    parser.add_argument("--batch", type=int, nargs="+", default=list(BATCHES), metavar="N",
                        help="default: 1 32")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="over all configurations (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="S",
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
    if not 0 < args.seconds < math.inf:
        raise InputError(f"--seconds: expected a number above 0, received {args.seconds:g}.")
    if len(set(args.artifact)) < len(args.artifact):
        raise InputError("ARTIFACT: expected each file once, received one twice.")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    from export.benchmark_report import record_latency
    from export.benchmark_run import benchmark_files

    settings = (args.threads, args.batch, args.rounds, args.seconds, args.per_op)
    print(benchmark_files(args.artifact, args.output, *settings))
    print(f"report: {args.output / 'benchmark.html'}, benchmark.md, benchmark.json")
    if args.record:
        from tfcifar.reporting.readme_table import update_readme

        record_latency(args.output)
        update_readme()
        print("recorded in results/latency/ and, of models in zoo/, in the README")


if __name__ == "__main__":
    run(main)
