"""Show and score what a trained run looks at: Grad-CAM, Grad-CAM++, SmoothGrad, guided saliency, occlusion."""

import argparse
import time
from pathlib import Path

from tfcifar.cli import make_parser, run, start_tensorflow
from tfcifar.explain import METHODS
from tfcifar.run_dir import RunDir

EPILOG = """examples:
  python -m tfcifar.explain runs/level_2-cpu-seed0
  python -m tfcifar.explain runs/level_2-cpu-seed0 --methods grad_cam --layer mobilenetv2_1.00_224/block_13_expand
  python -m tfcifar.explain runs/level_2-cpu-seed0 runs/residual_cnn-cpu-seed0 --record     # scores for results/

Scores are kept in RUN_DIR/explain/ as each method ends: an interrupted command goes on from there."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.explain", __doc__, EPILOG)
    parser.add_argument("run_dir", type=Path, nargs="+", metavar="RUN_DIR", help="made by tfcifar.train")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, help="default: all")
    parser.add_argument(
        "--layer", help="whose maps the Grad-CAMs take; default: the last rectifier with at least 4x4 positions"
    )
    parser.add_argument("--shown", type=int, default=10, metavar="N", help="images a figure (default %(default)s)")
    parser.add_argument("--scored", type=int, default=200, metavar="N",
                        help="validation images that score the methods (default %(default)s)")  # fmt: skip
    parser.add_argument("--record", action="store_true", help="put the scores on record in results/")
    args = parser.parse_args(argv)
    for name in ("shown", "scored"):
        if getattr(args, name) < 1:
            parser.error(f"--{name}: expected 1 or more, received {getattr(args, name)}")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    run_dirs = [RunDir.existing(path) for path in args.run_dir]
    start_tensorflow()
    from tfcifar.explain.explain_run import explain_run
    from tfcifar.reporting.explanations import record_explanations
    from tfcifar.reporting.tables import explanation_table

    rows, started = [], time.perf_counter()
    for run_dir in run_dirs:
        rows += explain_run(run_dir, list(args.methods), args.layer, args.shown, args.scored)
        print(f"figures: {run_dir.explanations}/right.png, wrong.png", flush=True)
    print(explanation_table(rows))
    if args.record:
        record_explanations(rows, time.perf_counter() - started)


if __name__ == "__main__":
    run(main)
