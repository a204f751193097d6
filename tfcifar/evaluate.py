"""Judge finished runs on the test split, every opening of it on record: metrics, predictions, figures.

With --compare-tta: what each choice of views is worth on the validation split, and costs; the test split stays closed.
"""

import argparse
from pathlib import Path

from tfcifar.cli import make_parser, run, start_tensorflow
from tfcifar.recipe import TTA_VIEWS
from tfcifar.run_dir import RunDir
from tfcifar.run_lock import locked

EPILOG = """examples:
  python -m tfcifar.evaluate runs/level_2-cpu-seed0
  python -m tfcifar.evaluate runs/level_2-cpu-seed0 --tta flip_translate
  python -m tfcifar.evaluate runs/level_2-cpu-seed0 --compare-tta           # which views? by validation, with costs"""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.evaluate", __doc__, EPILOG)
    parser.add_argument("run_dir", type=Path, nargs="+", metavar="RUN_DIR", help="made by tfcifar.train")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--tta", choices=TTA_VIEWS,
                       help="views of test-time augmentation, reported beside the plain figure; "
                            "default: as the recipe says")  # fmt: skip
    which.add_argument("--compare-tta", action="store_true",
                       help="instead: all views on the validation split, in RUN_DIR/tta.csv")  # fmt: skip
    return parser.parse_args(argv)


def compare_tta_and_print(run_dir: RunDir) -> None:
    """Compare all test-time views of one run on its validation split, and print the table."""
    from tfcifar.evaluation.tta_comparison import compare_views
    from tfcifar.reporting.tables import views_table

    print(views_table(compare_views(run_dir)))
    print(f"table: {run_dir.tta}", flush=True)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    run_dirs = [RunDir.existing(path) for path in args.run_dir]
    start_tensorflow()
    from tfcifar.runs import evaluate_and_print

    for run_dir in run_dirs:
        with locked(run_dir.path):
            if args.compare_tta:
                compare_tta_and_print(run_dir)
            else:
                evaluate_and_print(run_dir, args.tta)


if __name__ == "__main__":
    run(main)
