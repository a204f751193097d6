"""Quantization-aware training: fine-tune a run as it will compute in INT8, where quantizing it after training costs."""

import argparse
from pathlib import Path

from tfcifar.cli import make_parser, run, start_tensorflow
from tfcifar.reporting.tables import or_trained_on
from tfcifar.run_dir import RunDir
from tfcifar.run_lock import locked

EPILOG = """examples:
  python -m export.quantize runs/level_5-cpu-seed0 --epochs 3 --output runs/student-int8
  python -m export.quantize runs/sparse --epochs 3 --keep-zeros --output runs/sparse-int8
  python -m export.compress runs/student-int8

The network is folded first (BatchNorm inside the convolutions) and learns to say, in INT8, what it said before.
python -m export.compress without this quantizes after training; its page shows what that costs, layer by layer."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("export.quantize", __doc__, EPILOG)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="made by tfcifar.train or export.prune")
    parser.add_argument("--epochs", type=int, default=3, metavar="N", help="default %(default)s")
    parser.add_argument("--learning-rate", type=float, default=1e-4, metavar="X",
                        help="of Adam at the start; falls to zero (default %(default)s)")  # fmt: skip
    parser.add_argument("--keep-zeros", action="store_true", help="weights that are zero stay zero: of pruned runs")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="the fine-tuned run")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted one (same options)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    source = RunDir.existing(args.run_dir)
    start_tensorflow()
    from export.quantized_run import quantize_run

    settings = (args.epochs, args.learning_rate, args.keep_zeros, args.resume)
    with locked(args.output):
        found = quantize_run(source, RunDir(args.output), *settings)
    before, after = map(or_trained_on, (found["validation_before"], found["validation"]))
    print(f"validation accuracy in INT8: {after}, before fine-tuning {before}")
    print(f"quantized run: {args.output}, {args.output / 'export'}/*.int8.tflite")


if __name__ == "__main__":
    run(main)
