"""Search for the hyperparameters of a recipe, on the validation split; the winner is a recipe. Resumes by itself."""

import argparse
from pathlib import Path

from pipelines.errors import InputError
from tfcifar import recipes
from tfcifar.cli import add_strategy, make_parser, run, start_tensorflow
from tfcifar.recipe import Recipe
from tfcifar.run_dir import write_text
from tfcifar.training.devices import check_one_machine, open_devices
from tuner.setup import alone_in, check_other_seeds, judged_recipe, keep_settings

ORACLES = ("bayesian", "hyperband", "random")
EPILOG = """examples:
  python -m tuner.search --recipe level_2 --trials 30
  python -m tuner.search --recipe level_2 --model fast_cnn --trials 30 --oracle hyperband --max-epochs 9
  python -m tuner.search --recipe level_2 --trials 30 --compare 1 2 3   # then winner against recipe, other seeds
  python -m tfcifar.train --recipe runs/tuner/level_2-cpu/winner.json

Several machines: the same command on each, with KERASTUNER_TUNER_ID (chief, worker-0, worker-1, ...) and the chief's
KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT set, and --output on a file system that all see: docs/scaling.md.

Each trial is a training run in a process of its own: one that fails, or runs out of memory, is put down as failed and
the search goes on. The same command again goes on where it stopped. The test split stays closed."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tuner.search", __doc__, EPILOG)
    parser.add_argument("--recipe", required=True, metavar="NAME|FILE", help=f"{', '.join(recipes.names())}, or a file")
    parser.add_argument("--preset", choices=recipes.PRESETS, help="as in tfcifar.train; default: cpu")
    parser.add_argument("--model", metavar="NAME", help="another model than the recipe's")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="as in tfcifar.train")
    parser.add_argument("--oracle", choices=ORACLES, default="bayesian", help="default: %(default)s")
    parser.add_argument("--trials", type=int, default=30, metavar="N", help="in all, failed ones too (default 30)")
    parser.add_argument("--max-epochs", type=int, metavar="N", help="of a trial; default: the recipe's")
    parser.add_argument("--seed", type=int, default=0, help="of the search (default 0)")
    parser.add_argument("--compare", type=int, nargs="+", metavar="SEED",
                        help="then train recipe and winner with these seeds, and test the difference")  # fmt: skip
    add_strategy(parser)
    parser.add_argument("--worker-timeout", type=float, default=60.0, metavar="SECONDS",
                        help="several machines: without a word from a worker, until its trial goes to another "
                        "(default %(default)g)")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: runs/tuner/RECIPE-PRESET")
    parser.add_argument("--record", action="store_true", help="put the table of trials on record in results/")
    args = parser.parse_args(argv)
    if not args.worker_timeout > 0:
        parser.error(f"--worker-timeout: expected more than 0 seconds, received {args.worker_timeout:g}")
    for option, value in (("--trials", args.trials), ("--max-epochs", args.max_epochs)):
        if value is not None and value < 1:
            parser.error(f"{option}: expected 1 or more, received {value}")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    check_one_machine(args.strategy, "a trial trains on one machine, and several machines share the trials")
    recipe = base_recipe(args)
    check_other_seeds(args.compare, recipe)
    output = args.output or Path("runs/tuner") / recipe.name
    with alone_in(output):
        _search(args, recipe, output)


def _search(args: argparse.Namespace, recipe: Recipe, output: Path) -> None:
    max_epochs = args.max_epochs or recipe.epochs
    settings = {"oracle": args.oracle, "max_epochs": max_epochs, "seed": args.seed}
    keep_settings(recipe, settings, output / "search.json")
    start_tensorflow()
    from tfcifar.evaluation.run_grid import run_grid
    from tfcifar.reporting.ablation_report import write_ablation
    from tuner.report import record_search, trials_table, write_search
    from tuner.space import recipe_from
    from tuner.trials import TrainingTuner, best_trials, make_oracle, of_one_machine, run_search

    oracle = make_oracle(args.oracle, recipe, args.trials, max_epochs, args.seed)
    tuner = TrainingTuner(
        recipe.replace(epochs=max_epochs), oracle, output, strategy=args.strategy, timeout=args.worker_timeout
    )
    run_search(tuner, output)
    rows = write_search(tuner, output)
    print(trials_table(rows))
    print(f"all trials: {output}/trials.csv, trials.png")
    best = best_trials(tuner, output)
    winner = recipe_from(best[0].hyperparameters.values, recipe).replace(name=f"{recipe.name}-tuned")
    write_text(output / "winner.json", winner.to_json())
    print(f"winner: {output}/winner.json, for tfcifar.train --recipe")
    compared = None
    if args.compare:
        compared = output / f"compare_{best[0].trial_id}"
        devices = open_devices(args.strategy, of_one_machine())  # not before: they would be missing to the trials
        results = run_grid({"recipe": recipe, "tuned": winner}, args.compare, compared, devices)
        print(write_ablation(results, compared))
    if args.record:
        record_search(rows, output, compared)


def base_recipe(args: argparse.Namespace) -> Recipe:
    """The recipe that is searched around. Raises InputError where it has no validation split to judge by."""
    recipe = judged_recipe("--recipe", args.recipe, args.preset, args.set, args.model)
    if recipe.schedule.stage_epochs and (args.oracle == "hyperband" or args.max_epochs not in (None, recipe.epochs)):
        raise InputError(
            f"--recipe: the stages of {recipe.name}'s schedule add up to {recipe.epochs} epochs; expected trials of as "
            "many (no --max-epochs, --oracle bayesian or random)."
        )
    return recipe


if __name__ == "__main__":
    run(main)
