"""All five levels, one after the other, on one split; then a report on what each of them is worth and costs.

Every step is a command of its own, printed as it starts. Interrupted, the same command goes on where it was.
"""

import argparse
import re
from pathlib import Path

from tfcifar.cli import make_parser, run
from tfcifar.ladder.steps import LEVELS
from tfcifar.recipes import PRESETS
from tfcifar.run_lock import locked

EPILOG = """examples:
  python -m tfcifar.ladder --preset demo                      # small networks, a quarter of an hour
  python -m tfcifar.ladder --preset cpu                       # the real one, hours
  python -m tfcifar.ladder --preset demo --dataset my_images  # own images: my_images/train/CLASS/*.png
  python -m tfcifar.ladder --preset cpu --from 4              # levels 4 and 5 again, on what 1 to 3 have made

Everything is in runs/ladder-PRESET/, of other data than CIFAR-10 in runs/ladder-PRESET-NAME/: level_1, level_2,
level_3, ensemble, level_5, logs, report.html."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.ladder", __doc__, EPILOG)
    parser.add_argument("--preset", choices=PRESETS, default="cpu", help="how large (default %(default)s)")
    parser.add_argument("--from", dest="first", type=int, choices=LEVELS, metavar="LEVEL",
                        help="do the steps of this level and those after it again; a training that has ended "
                             "stays as long as its folder does")  # fmt: skip
    parser.add_argument("--dataset", metavar="NAME|PATH", help="as for tfcifar.train (default: cifar10)")
    parser.add_argument("--image-size", type=int, metavar="PIXELS",
                        help="bring all images to this size (default of a folder: demo 32, else 64)")  # fmt: skip
    parser.add_argument("--data-dir", metavar="FOLDER", help="where TFDS looks; default TFDS_DATA_DIR")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="default: runs/ladder-PRESET, of another data set runs/ladder-PRESET-NAME",
    )
    parser.add_argument("--record", action="store_true", help="put the report on record in results/")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    from pipelines.sources import is_image_folder
    from tfcifar.environment import describe_command
    from tfcifar.ladder.again import begin_at
    from tfcifar.ladder.climb import climb
    from tfcifar.ladder.journal import Journal
    from tfcifar.ladder.own_images import default_folder, fit_recipes
    from tfcifar.ladder.steps import plan
    from tfcifar.recipe import Data
    from tfcifar.reporting.ladder_report import record_ladder, write_ladder
    from tfcifar.reporting.results import command_without_output

    folder = args.output or default_folder(args.preset, args.dataset)
    chosen = {"--dataset": args.dataset, "--data-dir": args.data_dir}
    data = [each for option, value in chosen.items() if value for each in (option, value)]
    fitted = None
    if args.image_size is not None or (args.dataset and is_image_folder(args.dataset)):
        fitted = fit_recipes(args.preset, args.dataset or Data().dataset, args.data_dir, args.image_size)
    steps = plan(args.preset, folder, data, fitted)
    with locked(folder):
        journal = Journal(folder)
        begin_at(args.first, steps, journal)
        print(f"ladder: {len(steps)} steps -> {folder}", flush=True)
        climb(steps, journal)
        described = describe_command()
        whole = re.sub(r" --from[ =]\d| --record\b", "", described["command"])
        print(write_ladder(folder, {f"{step.level} {step.name}": step.command for step in steps}, whole))
        print(f"report: {folder / 'report.html'}, report.md, report.json")
        if args.record:
            record_ladder(folder, command_without_output(whole), described["commit"])


if __name__ == "__main__":
    run(main)
