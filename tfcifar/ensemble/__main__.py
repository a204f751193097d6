"""Make one classifier of several evaluated runs: hard, soft, weighted or stacked vote, and what each member adds."""

import argparse
from pathlib import Path

from tfcifar.cli import make_parser, run, start_tensorflow
from tfcifar.ensemble import VOTES
from tfcifar.recipe import TTA_VIEWS
from tfcifar.run_lock import locked

EPILOG = """examples:
  python -m tfcifar.ensemble runs/level_2-cpu-seed* --output runs/ensemble                # all votes in one table
  python -m tfcifar.ensemble runs/level_2-cpu-seed* runs/residual_cnn-cpu-seed0 --vote weighted --views flip \\
      --select 10 --output runs/ensemble
  python -m tfcifar.report runs/level_2-cpu-seed0 runs/ensemble                           # beside a run

Weights, selection and the choice among votes come from the validation split alone, whose figures are cross-validated.
Runs that were trained on the validation images have nothing to be weighed by and are refused."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.ensemble", __doc__, EPILOG)
    parser.add_argument("run_dir", type=Path, nargs="+", metavar="RUN_DIR", help="evaluated by tfcifar.evaluate")
    parser.add_argument("--vote", choices=VOTES, help="default: all, and the best on the validation split is kept")
    parser.add_argument("--views", choices=TTA_VIEWS, default="none",
                        help="test-time views that the runs were evaluated with (default %(default)s)")  # fmt: skip
    parser.add_argument("--select", type=int, metavar="N",
                        help="choose members by N picks of greedy selection, with replacement")  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER",
                        help="for ensemble.json, predictions.npz, metrics.json, tables and figures")  # fmt: skip
    args = parser.parse_args(argv)
    if args.select is not None and args.select < 1:
        parser.error(f"--select: expected at least 1 pick, received {args.select}")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    start_tensorflow()
    from tfcifar.ensemble.ensemble_runs import ensemble_runs

    with locked(args.output):
        print(ensemble_runs(args.run_dir, args.output, args.vote, args.views, args.select))
    print(f"ensemble: {args.output}/ensemble.json, ensemble.md, metrics.json, predictions.npz, figures/")


if __name__ == "__main__":
    run(main)
