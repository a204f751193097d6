"""Make the probabilities of runs or ensembles trustworthy: temperature and vector scaling, before and after."""

import argparse
from pathlib import Path

from tfcifar.cli import make_parser, run
from tfcifar.run_dir import RunDir

EPILOG = """examples:
  python -m tfcifar.calibrate runs/level_2-cpu-seed0
  python -m tfcifar.calibrate runs/level_2-cpu-seed0 runs/ensemble

Fitted on the validation split, whose figures are cross-validated. Vector scaling, which can change the predicted class,
is kept only where its NLL there is significantly lower."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.calibrate", __doc__, EPILOG)
    parser.add_argument("run_dir", type=Path, nargs="+", metavar="RUN_OR_ENSEMBLE",
                        help="made by tfcifar.evaluate or tfcifar.ensemble")  # fmt: skip
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    run_dirs = [RunDir.existing_or_ensemble(path) for path in args.run_dir]
    from tfcifar.evaluation.calibrate_run import calibrate_run
    from tfcifar.reporting.tables import calibration_table

    for run_dir in run_dirs:
        print(calibration_table(calibrate_run(run_dir.path)))
        print(f"calibration: {run_dir.calibration}, {run_dir.figures}/calibration.png", flush=True)


if __name__ == "__main__":
    run(main)
