"""Train one recipe with several seeds: test accuracy, training time and compute, beside published results."""

import argparse
import time
from pathlib import Path

from tfcifar.cli import make_parser, run, start_tensorflow

EPILOG = """example:
  python -m benchmarks.time_to_accuracy fast_94 --seeds 0 1 2 3 4 --output results/fast_94/time_to_accuracy.md

Runs are those of tfcifar.train, runs/RECIPE-PRESET-seedN: finished ones are read, interrupted ones continued."""

# (script, mean test accuracy with six-view TTA, PFLOP, seconds on one A100 GPU, 400 W), from the tables of
# https://github.com/KellerJordan/cifar10-airbench (README; paper: arXiv:2404.00498). No plain accuracy is
# published there.
PUBLISHED = {
    "fast_94": [("airbench94.py", 0.9401, 0.36, 3.83), ("airbench94_muon.py", 0.9401, 0.29, 2.59)],
    "fast_95": [("airbench95.py", 0.9501, 1.4, 10.4)],
    "fast_96": [("airbench96.py", 0.9603, 4.9, 34.7), ("airbench96_faster.py", 0.9600, 3.1, 27.3)],
}


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("benchmarks.time_to_accuracy", __doc__, EPILOG)
    parser.add_argument("recipe", metavar="NAME", help="a recipe of tfcifar.train, for example fast_94")
    parser.add_argument("--seeds", "--seed", type=int, nargs="+", default=[0, 1, 2, 3, 4], metavar="N",
                        help="one run for each (default: 0 1 2 3 4)")  # fmt: skip
    parser.add_argument("--preset", help="as in tfcifar.train")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="as in tfcifar.train")
    parser.add_argument("--output", type=Path, help="Markdown file to write; the table is printed in any case")
    return parser.parse_args(argv)


def train_all(args: argparse.Namespace) -> list:
    """The evaluated runs (`EvaluatedRun`) of the recipe, one for each seed, trained as far as they are not yet."""
    from tfcifar import train
    from tfcifar.reporting.run_report import load_run
    from tfcifar.runs import recipe_from_arguments, run_recipe

    options = [f"--set={each}" for each in args.set] + ([f"--preset={args.preset}"] if args.preset else [])
    recipe = recipe_from_arguments(train.parse(["--recipe", args.recipe, *options]))
    runs = []
    for seed in args.seeds:
        run_dir = Path("runs") / f"{recipe.name}-seed{seed}"
        run_recipe(recipe.replace(seed=seed), run_dir, resume=True)
        runs.append(load_run(run_dir))
    return runs


def table(runs: list, recipe_name: str) -> str:
    """Markdown: a row for each of `runs`, their mean, standard deviation and 95% interval, the published rows."""
    metrics = [run.metrics for run in runs]
    columns = {  # of each figure: its values, and how they are written
        "plain": ([m["accuracy"] for m in metrics], "{:.2%}".format),
        "tta": ([m["tta"]["accuracy"] for m in metrics if "tta" in m], "{:.2%}".format),
        "seconds": ([m["train_seconds"] for m in metrics], "{:.1f}".format),
        "pflop": ([m["pflop"] for m in metrics], "{:.3g}".format),
    }
    if len(columns["tta"][0]) < len(metrics):
        columns["tta"] = ([None] * len(metrics), lambda _: "not used")
    lines = [
        "| run | test accuracy | with TTA | training seconds | PFLOP |",
        "|---|--:|--:|--:|--:|",
        *(
            _row(run.run_dir.name, *(write(values[i]) for values, write in columns.values()))
            for i, run in enumerate(runs)
        ),
    ]
    summaries = [_summary(values, write) for values, write in columns.values()]
    lines += [
        _row(name, *(each[i] for each in summaries)) for i, name in enumerate(("**mean**", "std", "95% interval"))
    ]
    for script, accuracy, pflop, seconds in PUBLISHED.get(recipe_name, []):
        lines.append(_row(f"published: {script}", "", f"{accuracy:.2%}", f"{seconds} (A100)", f"{pflop}"))
    return "\n".join(lines)


def _summary(values: list, write) -> tuple[str, str, str]:
    """Mean, standard deviation and 95% interval of one column, as text; empty where there is none.

    The interval covers the seeds' spread, not the finite test set's, which all seeds share (see `wilson_interval`).
    """
    from tfcifar.evaluation.statistics import mean_and_std, mean_interval

    if None in values:
        return "", "", ""
    mean, std = mean_and_std(values)
    if std is None or len(set(values)) == 1:  # a single value, or one that no seed changes: compute
        return write(mean), "", ""
    _, half = mean_interval(values)
    return write(mean), write(std), f"{write(mean - half)} to {write(mean + half)}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    start_tensorflow()
    started = time.perf_counter()
    runs = train_all(args)
    environment = runs[0].environment
    seconds = sum(run.metrics["train_seconds"] for run in runs)
    notes = (
        f"{environment['hardware']}; TensorFlow {environment['packages']['tensorflow']}, Keras "
        f"{environment['packages']['keras']}, commit {environment['commit']}. n={len(runs)}; {seconds:.0f} s of "
        f"training in all; this command took {time.perf_counter() - started:.0f} s with start-up, evaluation and "
        "figures, and without what earlier calls had trained. Standard deviation and interval (of the mean, Student's "
        "t) are over seeds. PFLOP: 6 * MACs * images trained on."
    )
    text = f"{table(runs, args.recipe)}\n\n{notes}\n"
    print(text)
    if args.output:
        from tfcifar.run_dir import write_text

        write_text(args.output, f"# Time to accuracy: {args.recipe}\n\n    {environment['command']}\n\n{text}")


if __name__ == "__main__":
    run(main)
