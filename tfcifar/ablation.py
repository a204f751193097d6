"""What each part of a level is worth: its grid of recipes, several seeds each, in one table. Resumes by itself."""

import argparse
from pathlib import Path

from pipelines.errors import InputError
from tfcifar import recipes
from tfcifar.cli import add_strategy, make_parser, run, start_tensorflow

EPILOG = """examples:
  python -m tfcifar.ablation --level 2 --seeds 0 1 2
  python -m tfcifar.ablation --level 2 --seeds 0 --rows none all      # a part of the grid, for a start
  python -m tfcifar.ablation --level 2 --seeds 0 1 2 --record         # for results/

The grid is the recipe's `ablation()`. Runs that are finished are not trained again, an interrupted one goes on from
its last whole epoch. Everything is judged on the validation split; the test split stays closed."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.ablation", __doc__, EPILOG)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--level", type=int, choices=recipes.levels(), help="the recipe of a level")
    which.add_argument("--recipe", metavar="NAME", help="any recipe that has a grid")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="default: 0 1 2")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="default: all of the grid")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE",
                        help="override a field in every row, for example epochs=2")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: runs/ablation/RECIPE")
    add_strategy(parser)
    parser.add_argument("--record", action="store_true", help="put the table on record in results/")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    name = args.recipe or f"level_{args.level}"
    grid = recipes.load_grid(name, args.rows)
    if args.record and args.rows:
        raise InputError("--record: expected the whole grid, received --rows.")
    start_tensorflow()
    from tfcifar.evaluation.run_grid import run_grid
    from tfcifar.overrides import override
    from tfcifar.reporting.ablation_report import record_ablation, write_ablation
    from tfcifar.training.devices import open_devices

    devices = open_devices(args.strategy)
    output = args.output or Path("runs/ablation") / name
    overridden = {row: override(recipe, args.set) for row, recipe in grid.items()}
    results = run_grid(overridden, args.seeds, output, devices)
    if devices.chief:
        print(write_ablation(results, output))
        print(f"table and figure: {output}/ablation.md, ablation.csv, ablation.png")
        if args.record:
            record_ablation(f"{name}_ablation", results, output)
    devices.wait()


if __name__ == "__main__":
    run(main)
