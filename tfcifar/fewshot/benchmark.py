"""Every few-shot method on classes that it has never seen, in one table with 95% intervals. Resumes by itself."""

import argparse
from pathlib import Path

from pipelines.errors import InputError
from tfcifar.cli import make_parser, run, start_tensorflow
from tfcifar.fewshot import METHODS
from tfcifar.fewshot.settings import PRESETS, FewShot
from tfcifar.run_lock import locked

EPISODES_ON_RECORD = 600
EPILOG = """examples:
  python -m tfcifar.fewshot.benchmark                                  # CIFAR-10 in two splits, synthetic classes
  python -m tfcifar.fewshot.benchmark --draws 3                        # of classes and trainings; intervals over them
  python -m tfcifar.fewshot.benchmark --data cifar100@cifar-fs --output runs/fewshot/cifar_fs
  python -m tfcifar.fewshot.benchmark --data my_images@12/4/4 --set iterations=3000
  python -m tfcifar.fewshot.benchmark --preset demo                    # seconds, on generated images

--data takes DATASET@A/B/C: A classes to learn from, B to choose by (0: none), C that judge, drawn by split_seed. The
images are those of the training part; the test split stays closed. The same command again goes on where it stopped.
docs/fewshot.md says more."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.fewshot.benchmark", __doc__, EPILOG)
    parser.add_argument("--data", nargs="+", metavar="DATASET@SPLIT", help=f"default: {' '.join(FewShot().data)}")
    parser.add_argument("--data-dir", metavar="FOLDER", help="where TFDS looks; default TFDS_DATA_DIR")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), metavar="NAME", help=", ".join(METHODS))
    parser.add_argument("--preset", choices=list(PRESETS), default="cpu", help="default: %(default)s")
    parser.add_argument("--draws", type=int, metavar="N", help="of classes and trainings (default 1)")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE",
                        help="a field of tfcifar/fewshot/settings.py, for example episodes=1000")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: runs/fewshot/PRESET")
    parser.add_argument("--record", action="store_true", help="put the table on record in results/")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    from tfcifar.overrides import override

    settings = PRESETS[args.preset](FewShot())
    changes = {name: tuple(value) for name, value in (("data", args.data), ("methods", args.methods)) if value}
    if args.draws is not None:
        changes["draws"] = args.draws
    settings = override(settings.replace(**changes), args.set)
    if args.record and settings.episodes < EPISODES_ON_RECORD:
        raise InputError(f"--record: expected at least {EPISODES_ON_RECORD} episodes, received {settings.episodes}.")
    start_tensorflow()
    from tfcifar.fewshot.benchmark_run import run_benchmark
    from tfcifar.reporting.fewshot_report import record_fewshot, write_fewshot

    output = args.output or Path("runs/fewshot") / args.preset
    with locked(output):
        judged = run_benchmark(settings, args.data_dir, output)
        print(write_fewshot(judged, output))
    print(f"table and figure: {output}/fewshot.md, fewshot.csv, fewshot.png")
    if args.record:
        record_fewshot(judged, output)


if __name__ == "__main__":
    run(main)
