"""results/: the official figures on record."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import InputError
from tfcifar.evaluation.statistics import mean_and_std
from tfcifar.recipe import Recipe
from tfcifar.recipe_json import load_json
from tfcifar.reporting.run_report import RUN_DIR_OPTION, EvaluatedRun
from tfcifar.run_dir import RunDir, read_json, write_json

PROJECT = Path(__file__).parents[2]
RESULTS = PROJECT / "results"
# What `record` puts into summary.json under one name.
METRICS = ("test_accuracy", "test_accuracy_tta", "train_seconds", "pflop")
# Never mistakes.png: it shows pictures of the data set, which may not be passed on.
FIGURES = ("curves.png", "confusion_matrix.png", "reliability.png", "per_class.png")


def record(name: str, runs: list[EvaluatedRun], results: Path = RESULTS) -> list[dict]:
    """Put what `runs`, one recipe with several seeds, have measured on record as `name`; return the entries.

    results/summary.json receives one entry for each of METRICS that all runs have, test accuracy first,
    results/NAME/ what they rest on: metrics, history, recipe and environment of each run, and figures that show
    no image. Other seeds of the same recipe that are on record already stay and count, so that seeds may be run in
    several sittings; seeds of another recipe go.

    Raises:
        InputError: the runs differ in more than their seeds, or one was not trained: an ensemble, a soup.
    """
    for run in runs:
        if not run.run_dir.history.is_file():
            raise InputError(f"--record: expected training runs, received {run.run_dir.path}, which is made of others.")
    recipes = [load_json(run.run_dir.recipe) for run in runs]
    recipe = recipes[0].replace(seed=0)
    if any(each.replace(seed=0) != recipe for each in recipes) or len({each.seed for each in recipes}) < len(runs):
        raise InputError("--record: expected runs of one recipe that differ in their seeds, received others.")
    for run, each in zip(runs, recipes, strict=True):
        _copy_evidence(run, results / name / f"seed{each.seed}")
    seeds = _seeds_on_record(results / name, recipe)
    metrics, environments = zip(*seeds.values(), strict=True)
    command = command_of_seeds(runs[0].environment["command"], list(seeds))
    common = {
        "n": len(seeds),
        "command": command,
        "seconds": round(sum(each["train_seconds"] for each in metrics) / len(seeds), 1),
        **_in_common(environments),
        "details": f"results/{name}/",
        **({"trained_on": "train + validation"} if recipe.data.train_on_validation else {}),
    }
    if any(each.get("tta") and each["tta"]["views"] != recipe.tta for each in metrics):
        # The command on record must give what stands beside it.
        metrics = [{key: value for key, value in each.items() if key != "tta"} for each in metrics]
    entries = [{"name": name, **figure, **common} for figure in _figures_of(metrics)]
    # All of METRICS go, also one that these runs do not have: it would be a figure of other runs.
    put_on_record(entries, METRICS, results)
    return entries


def _seeds_on_record(folder: Path, recipe: Recipe) -> dict[int, tuple[dict, dict]]:
    """Seed -> (metrics, environment) of the runs of `recipe` in `folder`, by seed; others are deleted there."""
    found = {}
    for seed_folder in folder.glob("seed*"):
        each = load_json(seed_folder / "recipe.json")
        if each.replace(seed=0) == recipe:
            found[each.seed] = (read_json(seed_folder / "metrics.json"), read_json(seed_folder / "environment.json"))
        else:
            shutil.rmtree(seed_folder)
    return dict(sorted(found.items()))


def put_on_record(entries: list[dict], replaced: tuple[str, ...] = (), results: Path = RESULTS) -> None:
    """Write `entries`, all of one name, to results/summary.json in place of those of the same name and metric.

    replaced: metrics of that name to take out besides.
    """
    summary_file = results / "summary.json"
    summary = read_json(summary_file) if summary_file.is_file() else []
    new = {(each["name"], each["metric"]) for each in entries} | {(entries[0]["name"], each) for each in replaced}
    others = [each for each in summary if (each["name"], each["metric"]) not in new]
    write_json(summary_file, sorted([*others, *entries], key=lambda each: (each["name"], each["metric"])))


def record_table(
    name: str, unit: str, rows: int, n: int, command: str, seconds: float, environment: dict, results: Path = RESULTS
) -> None:
    """Put on record that results/NAME/ holds a table, by the number of its rows.

    Args:
        unit: what the rows are, "rows" or "trials"; the metric's name too.
        n: how many judgements are behind each row: seeds, or images.
        command: that makes the table.
        seconds: that it took.
        environment: `hardware` and `commit`; see `describe_environment`, `environment_of`.
    """
    entry = {
        "name": name,
        "metric": unit,
        "value": rows,
        "std": None,
        "n": n,
        "unit": unit,
        "command": command,
        "seconds": round(seconds),
        "hardware": environment["hardware"],
        "commit": environment["commit"],
        "details": f"results/{name}/",
    }
    put_on_record([entry], results=results)


def environment_of(run_dirs: list[RunDir]) -> dict:
    """What `record_table` needs of the environments of several runs: `hardware` and `commit`, all that there were."""
    return _in_common([read_json(run_dir.environment) for run_dir in run_dirs])


def _in_common(environments: Sequence[dict]) -> dict:
    """Each that there was, in one text; None where there was none, as of the commit outside a git checkout."""
    found = {key: dict.fromkeys(each[key] for each in environments if each[key]) for key in ("hardware", "commit")}
    return {key: "; ".join(values) or None for key, values in found.items()}


def _figures_of(metrics: list[dict]) -> list[dict]:
    """Metric, value, std, unit over runs with these metrics.json; a figure that not all of them have is left out."""
    figures = [_mean_figure("test_accuracy", "fraction", [each["accuracy"] for each in metrics])]
    views = {each.get("tta", {}).get("views") for each in metrics}
    if len(views) == 1 and None not in views:
        figure = _mean_figure("test_accuracy_tta", "fraction", [each["tta"]["accuracy"] for each in metrics])
        figures.append(figure | {"views": views.pop()})
    figures.append(_mean_figure("train_seconds", "s", [each["train_seconds"] for each in metrics]))
    if all("pflop" in each for each in metrics):  # runs evaluated before compute was counted have none
        figures.append(_mean_figure("pflop", "PFLOP", [each["pflop"] for each in metrics]))
    return figures


def _mean_figure(metric: str, unit: str, values: list[float]) -> dict:
    mean, std = mean_and_std(values)
    if len(set(values)) == 1 and std is not None:
        std = 0.0  # of compute, which no seed changes; rounding would leave 1e-17
    return {"metric": metric, "value": _short(mean), "std": None if std is None else _short(std), "unit": unit}


def _short(value: float) -> float:
    return float(f"{value:.6g}")  # significant digits: a small model's PFLOP is far below 1


def command_without_output(command: str) -> str:
    """A command without what makes no difference to what it finds: where it is written, and the record itself."""
    return re.sub(r" --output[ =]\S+| --record\b", "", command)


def command_without_run(command: str) -> str:
    """A command without what belongs to one run of it: its output, seeds, run directory, resuming."""
    return re.sub(rf" --seeds?( \d+)+|{RUN_DIR_OPTION}| --resume\b", "", command_without_output(command))


def command_of_seeds(command: str, seeds: Sequence[int]) -> str:
    """The command that makes all runs of a recipe; one that takes no seeds (of a run made from another) as it is."""
    if not re.search(r" -m tfcifar\.train\b", command):
        return command
    return f"{command_without_run(command)} --seed {' '.join(map(str, seeds))}"


def _copy_evidence(run: EvaluatedRun, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    source = run.run_dir
    for file in (source.metrics, source.history, source.per_class, source.recipe, source.timing):
        shutil.copyfile(file, folder / file.name)
    # Where the run lay on the machine that made it is nobody's business, and of no use to anybody else.
    environment = read_json(source.environment)
    environment["command"] = re.sub(RUN_DIR_OPTION, "", environment["command"])
    write_json(folder / source.environment.name, environment)
    shutil.copyfile(source.test_openings, folder / source.test_openings.name)
    for figure in FIGURES:
        shutil.copyfile(source.figures / figure, folder / figure)
