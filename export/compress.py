"""From a trained run to files that ship: every format, verified, with cards, error by layer, latency; one summary."""

import argparse
from pathlib import Path

from export.card import FORMATS
from tfcifar.cli import make_parser, run, start_tensorflow
from tfcifar.run_dir import RunDir
from tfcifar.run_lock import locked

EPILOG = """examples:
  python -m export.compress runs/level_5-cpu-seed0
  python -m export.compress runs/level_5-cpu-seed0 --formats tflite_float32 tflite_int8 --no-benchmark
  python -m export.prune runs/level_5-cpu-seed0 --method channels --sparsity 0.4 --epochs 20 --output runs/narrow
  python -m export.compress runs/narrow

Files and their cards go to RUN_DIR/export/. INT8 rounds by training images (GPTQ); the .tflite file of a run of
export.quantize, fine-tuned for it, is taken as it is. Each file is judged on the validation and the test split;
that the test split was opened is recorded in the run."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("export.compress", __doc__, EPILOG)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR",
                        help="made by tfcifar.train, export.prune or export.quantize")  # fmt: skip
    parser.add_argument("--name", metavar="NAME", help="of the files; default: that of the run directory")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS), metavar="FORMAT",
                        help=f"default: all of {', '.join(FORMATS)}")  # fmt: skip
    parser.add_argument("--images", type=int, metavar="N",
                        help="training images by which INT8 rounds (default: 500, or all of fewer)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="by which they are drawn (default 0)")
    parser.add_argument("--no-test", action="store_true", help="leave the test split closed")
    parser.add_argument("--corrupted", type=int, default=0, metavar="N",
                        help="on N corrupted images too, those of tfcifar.robustness --limit N")  # fmt: skip
    parser.add_argument("--no-benchmark", action="store_true", help="measure no latency")
    args = parser.parse_args(argv)
    if args.corrupted < 0:
        parser.error(f"--corrupted: expected a number of images, 0 for none, received {args.corrupted}")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    run_dir = RunDir.existing(args.run_dir)
    start_tensorflow()
    from export.compress_run import compress_run

    name = args.name or run_dir.name
    settings = (args.images, args.seed, not args.no_test, args.corrupted, not args.no_benchmark)
    with locked(run_dir.path):
        print(compress_run(run_dir, name, args.formats, *settings))
    print(f"summary: {run_dir.exports / 'compress.html'}, compress.md")


if __name__ == "__main__":
    run(main)
