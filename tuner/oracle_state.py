"""KerasTuner's record of a search, so that a search killed at any moment goes on as if it had not been.

KerasTuner writes its files in place, a trial's before its own: a kill in between leaves half a file, or a trial that
nobody would finish.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tfcifar.run_dir import read_json, write_text

if TYPE_CHECKING:
    from keras_tuner.src.engine.stateful import Stateful


def write_state(state: "Stateful", path: str) -> None:
    """Save an oracle or a trial as its own `save` does, but whole or not at all."""
    write_text(Path(path), json.dumps(state.get_state()))


def killable(oracle_class: type) -> type:
    """`oracle_class`, an oracle of KerasTuner, with its files whole and all of its trials accounted for."""

    class Killable(oracle_class):
        trials: dict  # KerasTuner's
        _retry_queue: list

        def save(self):
            write_state(self, self._get_oracle_fname())

        def _save_trial(self, trial):
            write_state(trial, str(Path(self._get_trial_dir(trial.trial_id)) / "trial.json"))

        def reload(self):
            for path in (self._get_oracle_fname(), *Path(self._project_dir).glob("trial_*/trial.json")):
                read_json(Path(path))  # names a damaged one, which KerasTuner would not
            super().reload()
            # In their order, not that of a listing, by which ties are decided; without one that was drawn but is not
            # yet in the oracle's own file, whose random state draws it again, the same.
            self.trials = {trial_id: self.trials[trial_id] for trial_id in self.start_order}
            # Ended, and still called ongoing by the oracle's file of that moment.
            self._retry_queue = [trial_id for trial_id in self._retry_queue if trial_id not in self.end_order]

    return Killable
