"""Where a run begins that does not begin with a new model, for example from a pruned one."""

from dataclasses import dataclass
from pathlib import Path

import keras

from pipelines.splits import Splits
from tfcifar.evaluation.compute import pflop_behind, run_pflop
from tfcifar.models.complexity import count_macs
from tfcifar.models.multi_task import classifier_of
from tfcifar.recipe import Recipe
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir, read_json


@dataclass(frozen=True)
class Start:
    """A trained model, whose weights and widths take the place of those that a recipe describes.

    model: a .keras file.
    provenance: JSON-ready entries of environment.json: what has been done to what.
    seconds, pflop: of the training behind it.
    """

    model: Path
    provenance: dict
    seconds: float
    pflop: float

    @classmethod
    def behind(cls, source: RunDir, splits: Splits, model: keras.Model, provenance: dict) -> "Start":
        """The model of a finished run, with the costs of its training; `model` is that model, loaded."""
        timing = read_json(source.timing)
        pflop = pflop_behind(timing, load_json(source.recipe), splits, count_macs(classifier_of(model)))
        return cls(source.model, provenance, timing["seconds"], pflop)

    def with_costs(self, summary: dict, recipe: Recipe, splits: Splits, model: keras.Model) -> dict:
        """The `summary` of a run that began here, with the costs of all training: behind it and its own."""
        own = run_pflop(recipe, splits, summary["epochs"], count_macs(classifier_of(model)))
        return summary | {"seconds": round(self.seconds + summary["seconds"], 1), "pflop": self.pflop + own}
