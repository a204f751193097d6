"""Average the weights of several trained runs into one model, a model soup: the cost of one at prediction."""

import argparse
from pathlib import Path

from tfcifar.cli import make_parser, run, start_tensorflow
from tfcifar.run_dir import RunDir
from tfcifar.run_lock import locked

EPILOG = """examples:
  python -m tfcifar.soup runs/level_2-cpu-seed* --output runs/level_2-soup
  python -m tfcifar.soup runs/level_2-cpu-seed* --output runs/level_2-soup --greedy
  python -m tfcifar.evaluate runs/level_2-soup

For runs that began with the same pretrained weights. BatchNorm statistics are measured anew on the training images,
without augmentation. --greedy adds runs by validation accuracy and keeps those with which the soup is no worse."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.soup", __doc__, EPILOG)
    parser.add_argument("run_dir", type=Path, nargs="+", metavar="RUN_DIR", help="made by tfcifar.train")
    parser.add_argument("--output", type=Path, required=True, metavar="RUN_DIR",
                        help="the soup, a run directory for evaluate, predict, explain")  # fmt: skip
    parser.add_argument("--greedy", action="store_true", help="only runs that help; default: all")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    run_dirs = [RunDir.existing(path) for path in args.run_dir]
    start_tensorflow()
    from tfcifar.reporting.tables import soup_table
    from tfcifar.training.model_soup import make_soup

    with locked(args.output):
        print(soup_table(make_soup(run_dirs, RunDir(args.output), args.greedy)))
    print(f"soup: {args.output}; for its test result: python -m tfcifar.evaluate {args.output}")


if __name__ == "__main__":
    run(main)
