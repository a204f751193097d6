"""How sure trained runs are: MC dropout, ensemble, abstaining, foreign images; scores, tables and figures."""

import argparse
from pathlib import Path

from tfcifar.cli import make_parser, run, start_tensorflow
from tfcifar.run_dir import RunDir
from tfcifar.uncertainty import SPLITS

EPILOG = """examples:
  python -m tfcifar.uncertainty runs/residual_cnn-cpu-seed0
  python -m tfcifar.uncertainty runs/level_2-cpu-seed0 runs/level_2-cpu-seed1 --ood svhn=images/svhn
  python -m tfcifar.uncertainty runs/fast_95-cpu-seed* --split test --dropout 0.2"""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.uncertainty", __doc__, EPILOG)
    parser.add_argument("run_dir", type=Path, nargs="+", metavar="RUN_DIR",
                        help="made by tfcifar.train; several, evaluated, are an ensemble too")  # fmt: skip
    parser.add_argument("--split", choices=SPLITS, default="validation",
                        help="own images to judge (default %(default)s); test is opened on record")  # fmt: skip
    parser.add_argument("--samples", type=int, default=30, metavar="N",
                        help="passes with dropout (default %(default)s); 0: no MC dropout")  # fmt: skip
    parser.add_argument("--dropout", type=float, metavar="RATE",
                        help="of Dropout layers that were trained at 0; others keep their rate")  # fmt: skip
    parser.add_argument("--ood", nargs="+", default=[], metavar="NAME=FOLDER",
                        help="foreign images beside the generated ones, in a folder or below it")  # fmt: skip
    parser.add_argument("--fitted", type=int, metavar="N",
                        help="training images that Mahalanobis and kNN know (default: all)")  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("runs/uncertainty"), metavar="FOLDER",
                        help="for the report on several runs (default %(default)s)")  # fmt: skip
    args = parser.parse_args(argv)
    if args.samples < 0 or args.samples == 1:
        parser.error(f"--samples: expected 2 or more, or 0, received {args.samples}")
    if args.dropout is not None and not 0 < args.dropout < 1:
        parser.error(f"--dropout: expected above 0 and below 1, received {args.dropout}")
    if args.fitted is not None and args.fitted < 1:
        parser.error(f"--fitted: expected 1 or more, received {args.fitted}")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    run_dirs = [RunDir.existing(path) for path in args.run_dir]
    from tfcifar.uncertainty.foreign_images import parse_folders

    folders = parse_folders(args.ood)
    start_tensorflow()
    from tfcifar.environment import record_command
    from tfcifar.reporting.uncertainty_report import write_uncertainty, write_uncertainty_comparison
    from tfcifar.run_dir import write_json
    from tfcifar.uncertainty.ensemble import judge_ensemble, score_ensemble
    from tfcifar.uncertainty.measure_run import check_split, measure_run
    from tfcifar.uncertainty.scores import score_run

    check_split(run_dirs, args.split)
    # Before the long work: runs that make no ensemble should be refused at once.
    ensemble = judge_ensemble(run_dirs, args.split) if len(run_dirs) > 1 else None
    outputs = []
    for run_dir in run_dirs:
        outputs.append(measure_run(run_dir, args.split, args.samples, args.dropout, folders, args.fitted))
        write_json(run_dir.uncertainty / "scores.json", score_run(outputs[-1], run_dir.name))
        record_command(run_dir.path)
        text = write_uncertainty(run_dir.uncertainty)
        if ensemble is None:
            print(text)
        print(f"report: {run_dir.uncertainty / 'report.html'}, report.md", flush=True)
    if ensemble is not None:
        write_json(args.output / "ensemble.json", score_ensemble(ensemble, run_dirs, outputs))
        print(write_uncertainty_comparison([run_dir.uncertainty for run_dir in run_dirs], args.output))
        print(f"report: {args.output / 'report.html'}, report.md")


if __name__ == "__main__":
    run(main)
