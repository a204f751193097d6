"""Train a model: one command from images to an evaluated model in a run directory."""

import argparse
from pathlib import Path

from pipelines.errors import unknown
from tfcifar import recipes
from tfcifar.cli import add_strategy, make_parser, run, start_tensorflow
from tfcifar.models import MODELS

ENSEMBLES = 4  # the level that has no recipe
EPILOG = """example:
  python -m tfcifar.train --level 2 --preset cpu --seed 0 --set optimizer.learning_rate=0.0002 --run-dir runs/slower

own images: --dataset FOLDER with FOLDER/train/CLASS/*.png (and FOLDER/test/CLASS/*.png if there are any)"""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.train", __doc__, EPILOG)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--level", type=int, choices=sorted([*recipes.levels(), ENSEMBLES]), help="the recipe of a level"
    )
    which.add_argument("--recipe", metavar="NAME|FILE", help=f"{', '.join(recipes.names())}, or a recipe.json")
    parser.add_argument("--preset", choices=recipes.PRESETS, help="default: gpu where one is seen, else cpu")
    parser.add_argument("--model", nargs="?", const="list", metavar="NAME",
                        help="another model than the recipe's; without a name: list them all")  # fmt: skip
    parser.add_argument("--attention", metavar="se|cbam|mhsa", help="of attention_cnn (default se)")
    parser.add_argument("--weights", metavar="imagenet|none|FILE", help="initial weights of a transfer model")
    parser.add_argument("--teacher", nargs="+", metavar="RUN_DIR",
                        help="learn from these runs or ensembles too: distillation")  # fmt: skip
    parser.add_argument("--dataset", metavar="NAME|PATH",
                        help="a TFDS name, synthetic, an official CIFAR archive, or an image folder")  # fmt: skip
    parser.add_argument("--data-dir", metavar="FOLDER", help="where TFDS looks; default TFDS_DATA_DIR")
    parser.add_argument("--seed", type=int, nargs="+", metavar="N", help="one run for each (default: the recipe's, 0)")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE",
                        help="override a field of the recipe, for example optimizer.learning_rate=0.05")  # fmt: skip
    parser.add_argument("--run-dir", type=Path, metavar="FOLDER", help="default: runs/RECIPE-PRESET-seedN")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run (same options)")
    parser.add_argument("--deterministic", action="store_true", help="equal runs give equal weights")
    add_strategy(parser)
    parser.add_argument("--no-evaluate", action="store_true", help="leave the test split closed")
    args = parser.parse_args(argv)
    if args.model != "list" and args.level is None and args.recipe is None:
        parser.error("one of --level, --recipe is required")
    if args.level == ENSEMBLES:
        parser.error(
            f"--level {ENSEMBLES} combines trained runs: python -m tfcifar.ensemble RUN_DIR...; "
            "docs/tutorials/level_4.md has the rest"
        )
    if args.run_dir and len(args.seed or []) > 1:
        parser.error("--run-dir takes one --seed; without it every seed has its own folder under runs/")
    return args


def print_models() -> None:
    """A table of all models with parameters and MACs, for 10 classes at 32 px."""
    from tfcifar.models import build_model
    from tfcifar.models.complexity import count_macs
    from tfcifar.recipe import Model

    print(f"{'model':14} {'parameters':>12} {'MACs an image':>15}  description")
    for name, entry in MODELS.items():
        model = build_model(Model(name), (32, 32, 3), 10, mean=(0.5,) * 3, std=(0.25,) * 3)
        upscaled = f" (images upscaled to {entry.native_size} px)" if entry.pretrained else ""
        print(f"{name:14} {model.count_params():12,} {count_macs(model):15,}  {entry.description}{upscaled}")


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    if args.model not in (None, "list", *MODELS):
        raise unknown("--model", args.model, MODELS)
    start_tensorflow()
    if args.model == "list":
        print_models()
        return
    from tfcifar.runs import recipe_from_arguments, run_recipe
    from tfcifar.training.devices import open_devices

    devices = open_devices(args.strategy)
    recipe = recipe_from_arguments(args)
    for seed in args.seed or [recipe.seed]:
        run_dir = args.run_dir or Path("runs") / f"{recipe.name}-seed{seed}"
        run_recipe(recipe.replace(seed=seed), run_dir, args.resume, not args.no_evaluate, devices)


if __name__ == "__main__":
    run(main)
