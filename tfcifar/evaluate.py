"""Judge trained runs on the test split, once for each model and choice of views: metrics, predictions, figures."""

import argparse
from pathlib import Path

from tfcifar.cli import make_parser, run, start_tensorflow
from tfcifar.recipe import TTA_VIEWS
from tfcifar.run_dir import RunDir

EPILOG = """examples:
  python -m tfcifar.evaluate runs/level_2-cpu-seed0
  python -m tfcifar.evaluate runs/level_2-cpu-seed0 --tta flip_translate"""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.evaluate", __doc__, EPILOG)
    parser.add_argument("run_dir", type=Path, nargs="+", metavar="RUN_DIR", help="made by tfcifar.train")
    parser.add_argument("--tta", choices=TTA_VIEWS,
                        help="views of test-time augmentation, reported beside the plain figure; "
                             "default: as the recipe says")  # fmt: skip
    return parser.parse_args(argv)


def evaluate_and_print(run_dir: RunDir, tta: str | None = None) -> None:
    """Evaluate one run, with the views `tta` or the recipe's own, and print its short result table."""
    from tfcifar.evaluation.evaluate_run import evaluate_run
    from tfcifar.reporting.tables import result_table

    metrics = evaluate_run(run_dir, tta)
    print(result_table(metrics))
    print(f"figures: {run_dir.figures}/", flush=True)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    run_dirs = [RunDir.existing(path) for path in args.run_dir]
    start_tensorflow()
    for run_dir in run_dirs:
        evaluate_and_print(run_dir, args.tta)


if __name__ == "__main__":
    run(main)
