"""Judge trained runs on corrupted images: accuracy, mean corruption error, calibration under shift."""

import argparse
from pathlib import Path

from pipelines.corruptions_names import CORRUPTIONS, SEVERITIES
from tfcifar.cli import make_parser, run, start_tensorflow
from tfcifar.robustness import SPLITS
from tfcifar.run_dir import RunDir

EPILOG = """examples:
  python -m tfcifar.robustness runs/fast_94-cpu-seed0 runs/fast_96-cpu-seed0      # the first is the reference
  python -m tfcifar.robustness runs/level_2-cpu-seed0 --split validation --limit 500 --attack
  python -m tfcifar.robustness runs/level_2-cpu-seed0 --corruptions fog frost --severities 1 5

Predictions are kept in RUN_DIR/robustness/ as each corruption ends, so that an interrupted command goes on from there.
The corrupted images are test images, as in CIFAR-10-C; each opening of the test split is recorded in the run.
--attack adds FGSM and PGD-10, as sanity figures: they are not a defence evaluation."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.robustness", __doc__, EPILOG)
    parser.add_argument("run_dir", type=Path, nargs="+", metavar="RUN_DIR", help="made by tfcifar.train")
    parser.add_argument("--corruptions", nargs="+", choices=CORRUPTIONS, default=CORRUPTIONS, metavar="NAME",
                        help=f"default: all 19: {', '.join(CORRUPTIONS)}")  # fmt: skip
    parser.add_argument("--severities", type=int, nargs="+", choices=SEVERITIES, default=SEVERITIES, metavar="1..5",
                        help="default: all five")  # fmt: skip
    parser.add_argument("--split", choices=SPLITS, default="test", help="whose images (default %(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="that many images, drawn at random; default: all")
    parser.add_argument("--attack", action="store_true", help="FGSM and PGD-10 too")
    parser.add_argument("--attacked", type=int, default=500, metavar="N",
                        help="images for --attack (default %(default)s)")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FOLDER",
                        help="for robustness.md, robustness.html and figures; default: runs/robustness, or of a "
                             "single run RUN_DIR/robustness")  # fmt: skip
    args = parser.parse_args(argv)
    for name in ("limit", "attacked"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name}: expected at least 1, received {getattr(args, name)}")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    run_dirs = [RunDir.existing(path) for path in args.run_dir]
    start_tensorflow()
    from tfcifar.reporting.robustness import write_robustness
    from tfcifar.robustness.judge_runs import judge_runs

    judge_runs(
        run_dirs,
        [name for name in CORRUPTIONS if name in args.corruptions],
        sorted(set(args.severities)),
        args.split,
        args.limit,
        args.attacked if args.attack else 0,
    )
    output = args.output or (run_dirs[0].robustness if len(run_dirs) == 1 else Path("runs/robustness"))
    print(write_robustness(run_dirs, output, args.split))
    print(f"report: {output}/robustness.html, robustness.md")


if __name__ == "__main__":
    run(main)
