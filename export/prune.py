"""Prune a trained run and fine-tune what is left: zeros in place of small weights, or fewer channels."""

import argparse
from pathlib import Path

from export.pruning_config import METHODS, PATTERNS, SCHEDULES, SCOPES, SCORES, Pruning
from pipelines.errors import check
from tfcifar.cli import add_strategy, make_parser, run, start_tensorflow
from tfcifar.run_dir import RunDir
from tfcifar.run_lock import locked
from tfcifar.training.devices import check_one_machine, open_devices

EPILOG = """examples:
  python -m export.prune runs/residual_cnn-cpu-seed0 --method channels --sparsity 0.5 --epochs 10 --output runs/half
  python -m export.prune runs/residual_cnn-cpu-seed0 --method magnitude --sparsity 0.8 --schedule polynomial \\
      --epochs 10 --output runs/sparse
  python -m export.prune runs/residual_cnn-cpu-seed0 --method magnitude --pattern 2:4 --epochs 5 --output runs/two_four
  python -m tfcifar.evaluate runs/half

magnitude: the smallest weights of each kernel but the first and last become zeros; for files that are compressed, and
  for hardware with kernels for zeros. channels: the network becomes smaller and faster everywhere.
Data, augmentation, batches and optimizer are those of the run's recipe (Adam for magnitude where that is Muon)."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("export.prune", __doc__, EPILOG)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="made by tfcifar.train")
    parser.add_argument("--method", choices=METHODS, required=True, help="what goes: see below")
    parser.add_argument("--sparsity", type=float, default=0.5, metavar="SHARE",
                        help="of the weights or channels that goes (default 0.5)")  # fmt: skip
    parser.add_argument("--epochs", type=int, required=True, metavar="N", help="of fine-tuning")
    parser.add_argument("--learning-rate", type=float, metavar="X",
                        help="at its start; default: the recipe's peak, or Adam's 0.001")  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="the pruned run")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted pruning (same options)")
    magnitude = parser.add_argument_group("--method magnitude")
    magnitude.add_argument("--schedule", choices=SCHEDULES,
                           help="zeros at once (default), or growing over half of the epochs")  # fmt: skip
    magnitude.add_argument("--pattern", choices=PATTERNS, help="two zeros in each four neighbouring weights")
    channels = parser.add_argument_group("--method channels")
    channels.add_argument("--score", choices=SCORES,
                          help="by the loss on training images (default), or by the size of the filters")  # fmt: skip
    add_strategy(channels)
    channels.add_argument("--scope", choices=SCOPES,
                          help="the same share of each layer (default), or wherever it costs least")  # fmt: skip
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    pruning = Pruning(args.method, args.sparsity, args.schedule, args.pattern, args.score, args.scope)
    check_one_machine(args.strategy, "pruning is for one machine")
    check(
        args.method == "channels" or args.strategy == "none",
        "--strategy",
        "none with --method magnitude: TF-MOT trains on one device",
        args.strategy,
    )
    source = RunDir.existing(args.run_dir)
    start_tensorflow()
    from export.pruned_run import prune_run
    from tfcifar.reporting.tables import pruning_table

    devices = open_devices(args.strategy)
    with locked(args.output):
        found = prune_run(source, RunDir(args.output), pruning, args.epochs, args.learning_rate, args.resume, devices)
    print(pruning_table(found))
    print(f"pruned run: {args.output}; for its test result: python -m tfcifar.evaluate {args.output}")


if __name__ == "__main__":
    run(main)
