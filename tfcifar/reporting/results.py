"""results/: the official figures on record, and the README's table that is made from them."""

import re
import shutil
from pathlib import Path

from pipelines.errors import InputError
from tfcifar.evaluation.statistics import mean_and_std
from tfcifar.recipe import load_json
from tfcifar.reporting.run_report import EvaluatedRun
from tfcifar.run_dir import read_json, write_json, write_text

PROJECT = Path(__file__).parents[2]
RESULTS = PROJECT / "results"
README = PROJECT / "README.md"
# Never mistakes.png: it shows pictures of the data set, which may not be passed on.
FIGURES = ("curves.png", "confusion_matrix.png", "reliability.png", "per_class.png")


def record(name: str, runs: list[EvaluatedRun], results: Path = RESULTS) -> dict:
    """Put the test accuracy of `runs`, one recipe with several seeds, on record as `name`; return the entry.

    results/summary.json receives the entry, results/NAME/ what it rests on: metrics, history, recipe and
    environment of each run, and figures that show no image.

    Raises:
        InputError: the runs differ in more than their seeds.
    """
    recipes = [load_json(run.run_dir.recipe) for run in runs]
    if len({recipe.replace(seed=0) for recipe in recipes}) > 1 or len({recipe.seed for recipe in recipes}) < len(runs):
        raise InputError("--record: expected runs of one recipe that differ in their seeds, received others.")
    mean, std = mean_and_std([run.metrics["accuracy"] for run in runs])
    seeds = " ".join(str(recipe.seed) for recipe in recipes)
    entry = {
        "name": name,
        "metric": "test_accuracy",
        "value": round(mean, 6),
        "std": None if std is None else round(std, 6),
        "n": len(runs),
        "unit": "fraction",
        "command": f"{command_without_run(runs[0].environment['command'])} --seed {seeds}",
        "seconds": round(sum(run.metrics["train_seconds"] for run in runs) / len(runs), 1),
        "hardware": runs[0].environment["hardware"],
        "commit": runs[0].environment["commit"],
        "details": f"results/{name}/",
    }
    for run, recipe in zip(runs, recipes, strict=True):
        _copy_evidence(run, results / name / f"seed{recipe.seed}")
    summary_file = results / "summary.json"
    others = [each for each in (read_json(summary_file) if summary_file.is_file() else []) if not _same(each, entry)]
    write_json(summary_file, sorted([*others, entry], key=lambda each: (each["name"], each["metric"])))
    return entry


def command_without_run(command: str) -> str:
    """A training command without what belongs to one run of it: seeds, run directory, resuming."""
    return re.sub(r" --seed( \d+)+| --run-dir[ =]\S+| --resume\b", "", command)


def readme_table(summary: list[dict]) -> str:
    """The README's table of test accuracies, in Markdown."""
    lines = ["| result | test accuracy | training | hardware | command |", "|---|---|---|---|---|"]
    for each in summary:
        if each["metric"] == "test_accuracy":
            spread = "" if each["std"] is None else f" ± {100 * each['std']:.2f}"
            lines.append(
                f"| [{each['name']}]({each['details']}) | **{100 * each['value']:.2f}%**{spread} (n={each['n']}) "
                f"| {each['seconds'] / 60:.0f} min | {each['hardware']} | `{each['command']}` |"
            )
    return "\n".join(lines)


def update_readme(readme: Path = README, results: Path = RESULTS) -> None:
    """Write the table anew between the README's two marks."""
    table = readme_table(read_json(results / "summary.json"))
    text, count = re.subn(
        r"(<!-- results: begin[^>]*-->\n).*?(<!-- results: end -->)",
        lambda match: f"{match[1]}{table}\n{match[2]}",
        readme.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    if count != 1:
        raise InputError(f"{readme}: expected one pair of marks '<!-- results: begin -->' and '<!-- results: end -->'.")
    write_text(readme, text)


def _copy_evidence(run: EvaluatedRun, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    source = run.run_dir
    for file in (source.metrics, source.history, source.per_class, source.environment, source.recipe, source.timing):
        shutil.copyfile(file, folder / file.name)
    shutil.copyfile(source.test_openings, folder / source.test_openings.name)
    for figure in FIGURES:
        shutil.copyfile(source.figures / figure, folder / figure)


def _same(one: dict, other: dict) -> bool:
    return (one["name"], one["metric"]) == (other["name"], other["metric"])
