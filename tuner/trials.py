"""A KerasTuner whose trials are training runs, each in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.errors import FailedTrialError, FatalError

from pipelines.errors import CannotWriteError, InputError, cannot_write, first_line
from tfcifar.cli import CANNOT_WRITE
from tfcifar.recipe import Recipe
from tfcifar.run_dir import RunDir, read_json, write_text
from tfcifar.run_lock import locked
from tuner.chief import heard_from, role, serve
from tuner.oracle_state import killable
from tuner.space import recipe_from, space_of

OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")
MOST_FAILURES_IN_A_ROW = 5
WORKER_TIMEOUT = 60.0  # seconds


class TrialCannotWriteError(FatalError, CannotWriteError):
    """What KerasTuner does not put down as a failed trial: it is tried again when the search is."""


class TrainingTuner(BaseTuner):
    """Trains each trial's recipe with `python -m tfcifar.train` and reads its best validation accuracy.

    In a process of its own, so that a trial which runs out of memory, or is killed for it, is a failed trial and not
    the end of the search, and so that no trial leaves anything behind in memory. An interrupted trial is tried again
    when the search is resumed, and goes on from its last whole epoch.

    Args:
        to_recipe: (values, recipe, epochs or None) -> the recipe with the hyperparameters `values`; as `recipe_from`.
    """

    def __init__(
        self,
        recipe: Recipe,
        oracle: keras_tuner.Oracle,
        output: Path,
        to_recipe: Callable = recipe_from,
        strategy: str = "none",
        timeout: float = WORKER_TIMEOUT,
    ):
        self.recipe, self.to_recipe, self.strategy, self.timeout = recipe, to_recipe, strategy, timeout
        super().__init__(oracle, directory=str(output.parent), project_name=output.name, overwrite=False)

    def search(self):
        """Run trials until all have ended; as the chief of several machines, hand them out (see `tuner.chief`)."""
        if role() != "chief":
            return super().search()
        self.save()
        return serve(self.oracle, self.timeout)

    # All there is to keep is the oracle's. KerasTuner would look for it by the name of the machine that began.

    def _get_tuner_fname(self):
        return self.oracle._get_oracle_fname()

    def save(self):
        if not self._is_worker():
            self.oracle.save()

    def reload(self):
        if not self._is_worker():
            self.oracle.reload()

    def _run_and_update_trial(self, trial):
        try:
            super()._run_and_update_trial(trial)
        except (CannotWriteError, OSError) as error:
            explained = cannot_write(error) if isinstance(error, OSError) else error
            if explained is None:
                raise
            raise TrialCannotWriteError(f"search: trial {trial.trial_id}: {explained}") from error

    def run_trial(self, trial):
        folder = Path(self.get_trial_dir(trial.trial_id))
        values = trial.hyperparameters.values
        recipe = self.to_recipe(values, self.recipe, values.get("tuner/epochs"))
        recipe = recipe.replace(name=f"trial_{trial.trial_id}")
        write_text(folder / "recipe.json", recipe.to_json())
        run_dir = RunDir(folder / "run")
        with heard_from(self.oracle, trial.trial_id, self.timeout) if role() == "worker" else nullcontext():
            with locked(run_dir.path, wait=True):  # a killed search leaves its trial's process, which nobody told
                pass
            code = train_in_child(folder / "recipe.json", run_dir, folder / "train.log", self.strategy)
        if code == CANNOT_WRITE:
            raise CannotWriteError(
                f"cannot write to {folder}. See to it, and give the command again. The last it wrote: "
                f"{last_line(folder / 'train.log')}"
            )
        if code:
            raise FailedTrialError(f"exit code {code}: {last_line(folder / 'train.log')}")
        accuracy = read_json(run_dir.timing)["val_accuracy"]
        if accuracy is None:
            raise FailedTrialError("training diverged: no validation accuracy, since the loss was not finite")
        return accuracy


def train_in_child(recipe: Path, run_dir: RunDir, log: Path, strategy: str = "none") -> int:
    """Train `recipe` into `run_dir`, or go on with it; return the exit code, negative for a signal."""
    command = [sys.executable, "-m", "tuner.child", "--recipe", str(recipe), "--run-dir", str(run_dir.path)]
    options = ["--resume", "--no-evaluate", "--strategy", strategy]
    with log.open("a", encoding="utf-8") as file:
        child = subprocess.Popen(
            [*command, *options], stdin=subprocess.PIPE, stdout=file, stderr=subprocess.STDOUT, env=of_one_machine()
        )
        with child:  # an interruption ends it too: its standard input closes
            return child.wait()


def of_one_machine() -> dict[str, str]:
    """The environment, without what makes --strategy auto wait for other machines."""
    return {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}


def last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "nothing was written"


def run_search(tuner: TrainingTuner, output: Path) -> None:
    """Train all trials that are left.

    A worker of a distributed search (see `tuner.chief`) ends here: the chief has the results.

    Raises:
        InputError: one trial after the other has failed, with the reason of the first.
    """
    try:
        tuner.search()
    except RuntimeError as error:  # KerasTuner's way to say that one trial after the other failed
        reason = next((each.message for each in tuner.oracle.trials.values() if each.message), "").strip()
        last = reason.splitlines()[-1] if reason else f"see {output}/trial_*/train.log"
        raise InputError(f"search: {first_line(error)} The first of them: {last}") from None
    if role() == "worker":
        print("worker: every trial has ended; the chief has the result", flush=True)
        sys.exit()


def best_trials(tuner: TrainingTuner, output: Path, count: int = 1) -> list:
    """The best completed trials, at most `count`, the best first. Raises InputError if there is none."""
    best = [trial for trial in tuner.oracle.get_best_trials(count) if trial.status == "COMPLETED"]  # it fills up
    if not best:
        raise InputError(f"search: no trial was completed; see {output}/trial_*/train.log.")
    return best


def make_oracle(kind: str, recipe: Recipe, trials: int, max_epochs: int, seed: int) -> keras_tuner.Oracle:
    """The strategy `kind`, one of ORACLES, over the space of `recipe`, whose own values are its first trial.

    Hyperband (Li et al. 2018, arXiv:1603.06560) gives most trials few epochs and the best ones `max_epochs`.
    """
    common = oracle_options(space_of(recipe), seed)
    if kind == "hyperband":
        oracle = killable(from_defaults(keras_tuner.oracles.HyperbandOracle))(
            max_epochs=max_epochs, hyperband_iterations=trials, **common
        )
        oracle.max_trials = trials
        return oracle
    oracle = {
        "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
        "random": keras_tuner.oracles.RandomSearchOracle,
    }[kind]
    # KerasTuner draws the first 3 trials for each dimension at random: all of a search of thirty would be.
    options = {"num_initial_points": max(3, trials // 3)} if kind == "bayesian" else {}
    return killable(from_defaults(oracle))(max_trials=trials, **options, **common)


def from_defaults(oracle_class: type) -> type:
    """`oracle_class` whose first trial has the space's defaults: no winner is worse than what was there before."""

    class FromDefaults(oracle_class):
        def _random_values(self):
            return super()._random_values() if self.trials else dict(self.get_space().values)

    return FromDefaults


def oracle_options(space: keras_tuner.HyperParameters, seed: int) -> dict:
    """What all strategies have in common but the number of trials."""
    return {
        "objective": OBJECTIVE,
        "hyperparameters": space,
        "seed": seed + 1,  # KerasTuner takes 0 for none, and draws one
        "tune_new_entries": False,
        "allow_new_entries": False,
        "max_consecutive_failed_trials": MOST_FAILURES_IN_A_ROW,
    }
