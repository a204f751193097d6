"""A KerasTuner whose trials are training runs, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.errors import FailedTrialError

from tfcifar.recipe import Recipe
from tfcifar.run_dir import RunDir, read_json, write_text
from tfcifar.run_lock import locked
from tuner.oracle_state import killable, write_state
from tuner.space import recipe_from, space_of

OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")
MOST_FAILURES_IN_A_ROW = 5


class TrainingTuner(BaseTuner):
    """Trains each trial's recipe with `python -m tfcifar.train` and reads its best validation accuracy.

    In a process of its own, so that a trial which runs out of memory, or is killed for it, is a failed trial and not
    the end of the search, and so that no trial leaves anything behind in memory. An interrupted trial is tried again
    when the search is resumed, and goes on from its last whole epoch.
    """

    def __init__(self, recipe: Recipe, oracle, output: Path):
        self.recipe = recipe
        super().__init__(oracle, directory=str(output.parent), project_name=output.name, overwrite=False)

    def save(self):
        if not self._is_worker():
            self.oracle.save()
        write_state(self, self._get_tuner_fname())

    def run_trial(self, trial):
        folder = Path(self.get_trial_dir(trial.trial_id))
        values = trial.hyperparameters.values
        recipe = recipe_from(values, self.recipe, values.get("tuner/epochs"))
        recipe = recipe.replace(name=f"trial_{trial.trial_id}")
        write_text(folder / "recipe.json", recipe.to_json())
        run_dir = RunDir(folder / "run")
        with locked(run_dir.path, wait=True):  # a killed search leaves its trial's process, which nobody told
            pass
        code = train_in_child(folder / "recipe.json", run_dir, folder / "train.log")
        if code:
            raise FailedTrialError(f"exit code {code}: {last_line(folder / 'train.log')}")
        accuracy = read_json(run_dir.timing)["val_accuracy"]
        if accuracy is None:
            raise FailedTrialError("no validation accuracy: the loss was not finite")
        return accuracy


def train_in_child(recipe: Path, run_dir: RunDir, log: Path) -> int:
    """Train `recipe` into `run_dir`, or go on with it; return the exit code, negative for a signal."""
    command = [sys.executable, "-m", "tfcifar.train", "--recipe", str(recipe), "--run-dir", str(run_dir.path)]
    with log.open("a", encoding="utf-8") as file:
        return subprocess.run(
            [*command, "--resume", "--no-evaluate"], stdout=file, stderr=subprocess.STDOUT, check=False
        ).returncode


def last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "nothing was written"


def make_oracle(kind: str, recipe: Recipe, trials: int, max_epochs: int, seed: int):
    """The strategy `kind`, one of ORACLES, over the space of `recipe`.

    Hyperband (Li et al. 2018, arXiv:1603.06560) gives most trials few epochs and the best ones `max_epochs`.
    """
    common = {
        "objective": OBJECTIVE,
        "hyperparameters": space_of(recipe),
        "seed": seed + 1,  # KerasTuner takes 0 for none, and draws one
        "tune_new_entries": False,
        "allow_new_entries": False,
        "max_consecutive_failed_trials": MOST_FAILURES_IN_A_ROW,
    }
    if kind == "hyperband":
        oracle = killable(keras_tuner.oracles.HyperbandOracle)(
            max_epochs=max_epochs, hyperband_iterations=trials, **common
        )
        oracle.max_trials = trials
        return oracle
    oracle = {
        "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
        "random": keras_tuner.oracles.RandomSearchOracle,
    }[kind]
    return killable(oracle)(max_trials=trials, **common)
