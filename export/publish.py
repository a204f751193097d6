"""Put a trained student and its INT8 file into the zoo: a run directory that anyone can use, with a model card."""

import argparse
from pathlib import Path

from tfcifar.cli import make_parser, run
from tfcifar.prediction.zoo import ZOO
from tfcifar.run_dir import RunDir
from tfcifar.run_lock import locked

EPILOG = """examples:
  python -m export.publish runs/level_5-cpu-seed0 student
  python -m export.publish runs/level_5-cpu-seed0 student --int8 runs/student-int8/export/student-int8.int8.tflite
  python -m tfcifar.predict --zoo student photo.png
  python -m tfcifar.train --recipe ic01 --teacher zoo/student

zoo/NAME/ holds the float model with its recipe, the INT8 file with its card, and README.md, made of both. No image and
nothing of the machine goes along. What is there of the same name is replaced, and so are its
figures in results/summary.json and its row in the README."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("export.publish", __doc__, EPILOG)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="evaluated by tfcifar.evaluate")
    parser.add_argument("name", metavar="NAME", help="under which it is published")
    parser.add_argument("--int8", type=Path, metavar="FILE",
                        help="verified by export.compress; default: the only one in RUN_DIR/export/")  # fmt: skip
    parser.add_argument("--zoo", type=Path, default=ZOO, metavar="FOLDER", help="default: zoo/ beside the code")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    from export.zoo_entry import write_zoo_entry
    from tfcifar.reporting.readme_table import update_readme
    from tfcifar.reporting.zoo_record import record_published

    folder = args.zoo / args.name
    with locked(folder):
        sizes = write_zoo_entry(RunDir.existing(args.run_dir), args.int8, args.name, folder)
    if args.zoo.resolve() == ZOO.resolve():
        record_published(folder)
        update_readme()
    for file, size in sizes.items():
        print(f"{size / 1e6:8.3f} MB  {folder / file}")


if __name__ == "__main__":
    run(main)
