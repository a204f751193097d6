"""Find what is wrong with a data set: labels that are likely wrong, and images that are there more than once."""

import argparse
from pathlib import Path

from tfcifar import recipes
from tfcifar.cli import make_parser, run, start_tensorflow
from tfcifar.data_quality import FOLDS, SHOWN, THRESHOLD
from tfcifar.run_dir import RunDir

EPILOG = """examples:
  python -m tfcifar.data_quality labels --recipe fast_94
  python -m tfcifar.data_quality duplicates runs/fast_94-cpu-seed0 --judge runs/fast_94-cpu-seed0 runs/fast_95-cpu-seed0

Both write tables (CSV), a summary (JSON) and data_quality.html, which opens in any browser; with one --output for both
it shows both. It holds images of the data set: keep it where it is, in a folder that git ignores."""
LABELS = """Train the recipe once for each fold of the training images, without that fold, and rank the labels that the
models' predictions of it speak against (confident learning, arXiv:1911.00068). The test split stays closed. Finished
folds are not trained again, an interrupted one goes on from its last whole epoch."""
DUPLICATES = """Find images that show the same photograph, between test and training (validation included) and within
training (after arXiv:1902.00423). Opens the test split, on the record of the run, and chooses nothing by it."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.data_quality", __doc__, EPILOG)
    commands = parser.add_subparsers(dest="command", required=True, metavar="labels|duplicates")

    labels = commands.add_parser("labels", help="labels that are likely wrong", description=LABELS,
                                 epilog="example: python -m tfcifar.data_quality labels --recipe fast_94")  # fmt: skip
    which = labels.add_mutually_exclusive_group(required=True)
    which.add_argument("--level", type=int, choices=recipes.levels(), help="the recipe of a level")
    which.add_argument("--recipe", metavar="NAME|FILE", help=f"{', '.join(recipes.names())}, or a recipe.json")
    labels.add_argument("--preset", choices=recipes.PRESETS, help="as in tfcifar.train")
    labels.add_argument("--dataset", metavar="NAME|PATH", help="as in tfcifar.train")
    labels.add_argument("--data-dir", metavar="FOLDER", help="where TFDS looks; default TFDS_DATA_DIR")
    labels.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="as in tfcifar.train")
    labels.add_argument("--folds", type=int, default=FOLDS, metavar="N", help="models to train (default %(default)s)")
    labels.add_argument("--output", type=Path, metavar="FOLDER", help="default: runs/data_quality/RECIPE-PRESET")
    # What recipe_from_arguments asks for besides.
    labels.set_defaults(model=None, attention=None, weights=None, teacher=None, deterministic=False)

    duplicates = commands.add_parser("duplicates", help="images that are there twice", description=DUPLICATES,
                                     epilog="example: python -m tfcifar.data_quality duplicates runs/demo")  # fmt: skip
    duplicates.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="trained; its model gives the features")
    duplicates.add_argument("--threshold", type=float, default=THRESHOLD, metavar="S",
                            help="least similarity, up to 1 (default %(default)s)")  # fmt: skip
    duplicates.add_argument("--judge", type=Path, nargs="+", default=[], metavar="RUN_DIR",
                            help="evaluated runs: their accuracy without the duplicated test images")  # fmt: skip
    duplicates.add_argument("--output", type=Path, metavar="FOLDER", help="default: RUN_DIR/data_quality")

    for command in (labels, duplicates):
        command.add_argument("--shown", type=int, default=SHOWN, metavar="N",
                             help="findings of each kind on the page (default %(default)s)")  # fmt: skip
    args = parser.parse_args(argv)
    if args.shown < 1:
        parser.error(f"--shown: expected 1 or more, received {args.shown}")
    if args.command == "labels" and args.folds < 2:
        parser.error(f"--folds: expected 2 or more, received {args.folds}")
    if args.command == "duplicates" and not 0 < args.threshold <= 1:
        parser.error(f"--threshold: expected above 0, at most 1, received {args.threshold}")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    find = find_labels if args.command == "labels" else find_duplicates
    find(args)


def find_labels(args: argparse.Namespace) -> None:
    start_tensorflow()
    from tfcifar.data_quality.label_search import search_labels
    from tfcifar.runs import recipe_from_arguments

    recipe = recipe_from_arguments(args)
    output = args.output or Path("runs/data_quality") / recipe.name
    print("\n".join(search_labels(recipe, args.folds, output, args.shown)))
    print(f"table and page: {output}/label_issues.csv, data_quality.html")


def find_duplicates(args: argparse.Namespace) -> None:
    from tfcifar.data_quality.deduplicated_accuracy import judge_runs, judged_table, read_predictions

    run_dir = RunDir.existing(args.run_dir)
    judged = [RunDir.existing_or_ensemble(path) for path in args.judge]  # refused before minutes of search
    predictions = read_predictions(judged)
    start_tensorflow()
    from tfcifar.data_quality.duplicate_search import search_duplicates
    from tfcifar.run_dir import write_csv

    output = args.output or run_dir.data_quality
    found = search_duplicates(run_dir, output, args.threshold, args.shown)
    print("\n".join(found.lines))
    print(f"table and page: {output}/duplicates.csv, data_quality.html")
    if predictions:
        rows = judge_runs(predictions, found.test_labels, found.duplicated)
        write_csv(output / "judged.csv", rows)
        print(judged_table(rows))


if __name__ == "__main__":
    run(main)
