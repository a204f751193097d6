"""The searches that are compared, each with the same number of trials, and what comes out of them."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfcifar.recipe import Recipe

if TYPE_CHECKING:
    from keras_tuner import Oracle

# Name -> how a table calls what it found.
SEARCHES = {"reinforce": "learned policy", "random": "random search", "randaugment": "RandAugment"}
WITHOUT = "no policy"
RANDAUGMENT_SETTINGS = 90  # 3 numbers of layers times 30 magnitudes: see `tuner.policy_space`
SITTINGS = "sittings.jsonl"


@dataclass(frozen=True)
class Found:
    """What a search found. fragment: the JSON file with `augment`; rows: of its trials, the best first."""

    search: str
    fragment: Path
    augment: dict
    rows: list[dict]

    @property
    def seconds(self) -> float:
        """Of training, of all trials together."""
        return sum(row["seconds"] or 0.0 for row in self.rows)


def search_policy(
    search: str, recipe: Recipe, trials: int, sub_policies: int, best: int, seed: int, output: Path
) -> Found:
    """Do a search, or what is left of it, and write its result: policy.json, and policy.png if it is a policy.

    Args:
        search: one of SEARCHES.
        recipe: what a trial trains.
        best: trials whose policies are joined, as the paper joins five; of RandAugment's only the best counts.

    Raises:
        InputError: `output` holds another search, or no trial was completed.
    """
    from tfcifar.run_dir import write_json
    from tuner.policy_space import policy_of, policy_recipe, randaugment_recipe
    from tuner.reinforce import make_policy_oracle
    from tuner.report import trial_rows
    from tuner.setup import keep_settings
    from tuner.trials import TrainingTuner, best_trials, run_search

    keep_settings(recipe, {"search": search, "sub_policies": sub_policies, "seed": seed}, output / "search.json")
    to_recipe = randaugment_recipe if search == "randaugment" else policy_recipe
    tuner = TrainingTuner(recipe, make_policy_oracle(search, sub_policies, trials, seed), output, to_recipe)
    begin_sitting(tuner.oracle, output)
    run_search(tuner, output)
    chosen = best_trials(tuner, output, 1 if search == "randaugment" else best)
    if search == "randaugment":
        augment = to_recipe(chosen[0].hyperparameters.values, recipe).augment
        fragment = {name: getattr(augment, name) for name in ("randaugment_layers", "randaugment_magnitude")}
    else:
        policies = [sub for trial in chosen for sub in policy_of(trial.hyperparameters.values)]
        fragment = {"policy": list(dict.fromkeys(policies))}
    evidence = {
        "search": search,
        "trials": len(tuner.oracle.trials),
        "sittings": read_sittings(output),
        "joined": [{"trial": trial.trial_id, "val_accuracy": trial.score} for trial in chosen],
        "recipe": recipe.name,
    }
    path = output / "policy.json"
    write_json(path, {"augment": fragment, "found_by": evidence})
    if "policy" in fragment:
        from tuner.policy_figure import plot_policy

        plot_policy(fragment["policy"], output / "policy.png")
    return Found(search, path, fragment, trial_rows(tuner))


def begin_sitting(oracle: "Oracle", output: Path) -> None:
    """Add to sittings.jsonl of a search when it was started or continued, and where, unless nothing is left to do."""
    from tfcifar.run_dir import append_line
    from tuner.chief import role

    if role() == "worker" or len(oracle.end_order) >= oracle.max_trials:
        return
    begun = [trial for trial in oracle.start_order if trial not in oracle.end_order]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    append_line(output / SITTINGS, json.dumps({"time": now, "finished": len(oracle.end_order), "continued": begun}))


def read_sittings(output: Path) -> list[dict]:
    """One for each: time, finished (trials before it) and continued (those that had been interrupted)."""
    path = output / SITTINGS
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def compare_found(found: list[Found], full: Recipe, seeds: list[int], output: Path) -> tuple[str, list]:
    """Train `full` with what each search found, and without, and judge them: the text of the table, and its rows.

    The first search's result is what the others are compared with, on the same validation images and seeds.
    """
    import dataclasses

    from tfcifar.evaluation.run_grid import run_grid
    from tfcifar.reporting.ablation_report import write_ablation

    grid: dict[str, Recipe] = {}
    for each in found:
        changes: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in each.augment.items()
        }
        plain = dataclasses.replace(full.augment, policy=(), randaugment_layers=0)
        grid[SEARCHES[each.search]] = full.replace(augment=dataclasses.replace(plain, **changes))
    grid[WITHOUT] = full
    results = run_grid(grid, seeds, output)
    return write_ablation(results, output), results
