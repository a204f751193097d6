"""Learn an augmentation policy by REINFORCE, on the validation split, beside random search and RandAugment."""

import argparse
from pathlib import Path

from pipelines.errors import InputError
from tfcifar import recipes
from tfcifar.cli import make_parser, run, start_tensorflow
from tfcifar.recipe import Recipe
from tuner.policy_searches import RANDAUGMENT_SETTINGS, SEARCHES
from tuner.setup import alone_in, check_other_seeds, judged_recipe

EPILOG = """examples:
  python -m tuner.policy --trials 60                                   # three searches of 60 short trainings each
  python -m tuner.policy --trials 60 --searches reinforce              # the first alone
  python -m tuner.policy --trials 60 --compare 1 2 3 --record          # then all at full budget, with a paired test
  python -m tfcifar.train --recipe fast_94 --run-dir runs/fast_94-policy \\
      --set augment.policy=runs/policy/policy_proxy-cpu/reinforce/policy.json

A trial trains --recipe, a small network on a part of the images, with one policy more. The best policies of a search
are joined into one, policy.json, which any recipe takes; policy.png shows it on generated images. The same command
again goes on where it stopped. The test split stays closed. docs/augmentation_policy.md says more."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tuner.policy", __doc__, EPILOG)
    parser.add_argument("--recipe", default="policy_proxy", metavar="NAME|FILE",
                        help="what a trial trains (default: %(default)s)")  # fmt: skip
    parser.add_argument("--full", default="policy_full", metavar="NAME|FILE",
                        help="what --compare trains (default: %(default)s)")  # fmt: skip
    parser.add_argument("--preset", choices=recipes.PRESETS, help="as in tfcifar.train, of both; default: cpu")
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="as in tfcifar.train, of both"
    )
    parser.add_argument("--searches", nargs="+", choices=list(SEARCHES), default=list(SEARCHES), metavar="NAME",
                        help=f"default: {' '.join(SEARCHES)}")  # fmt: skip
    parser.add_argument("--trials", type=int, default=60, metavar="N", help="of each search (default %(default)s)")
    parser.add_argument("--sub-policies", type=int, default=5, metavar="N", help="of a trial (default %(default)s)")
    parser.add_argument("--best", type=int, default=5, metavar="N",
                        help="policies that are joined in the end (default %(default)s)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the searches (default 0)")
    parser.add_argument("--compare", type=int, nargs="+", metavar="SEED",
                        help="then train --full with each result and without, and test the differences")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: runs/policy/RECIPE-PRESET")
    parser.add_argument("--record", action="store_true", help="put tables and figures on record in results/")
    args = parser.parse_args(argv)
    for name in ("trials", "sub_policies", "best"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')}: expected 1 or more, received {getattr(args, name)}")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    proxy = judged_recipe("--recipe", args.recipe, args.preset, args.set)
    full = judged_recipe("--full", args.full, args.preset, args.set)
    if args.record and not args.compare:
        raise InputError("--record: expected --compare with it: a search alone says nothing about full budget.")
    check_other_seeds(args.compare, proxy)
    if "randaugment" in args.searches and args.trials > RANDAUGMENT_SETTINGS:
        raise InputError(
            f"--trials: expected at most {RANDAUGMENT_SETTINGS} with randaugment, which has no more settings, received "
            f"{args.trials}; --searches leaves it out."
        )
    output = args.output or Path("runs/policy") / proxy.name
    with alone_in(output):
        _search(args, proxy, full, output)


def _search(args: argparse.Namespace, proxy: Recipe, full: Recipe, output: Path) -> None:
    start_tensorflow()
    from tuner.chief import role
    from tuner.policy_conclusion import write_conclusion
    from tuner.policy_report import record_policies, write_searches
    from tuner.policy_searches import compare_found, search_policy

    if role() != "alone" and len(args.searches) > 1:  # a worker ends with the first
        raise InputError(f"--searches: expected one on several machines, received {' '.join(args.searches)}.")
    found = [
        search_policy(name, proxy, args.trials, args.sub_policies, args.best, args.seed, output / name)
        for name in args.searches
    ]
    print(write_searches(found, output))
    print(f"policies: {', '.join(str(each.fragment) for each in found)}")
    if args.compare:
        compared = output / "compare"
        text, results = compare_found(found, full, args.compare, compared)
        print(text)
        print(write_conclusion(found, results, compared))
        print(f"table and figure: {compared}/ablation.md, ablation.csv, ablation.png; conclusion.md")
        if args.record:
            record_policies(found, results, output, compared)


if __name__ == "__main__":
    run(main)
