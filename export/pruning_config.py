"""What is asked of a pruning; nothing heavy is imported here."""

import dataclasses
from dataclasses import dataclass

from export.derived_run import NO_TEACHERS, fine_tuned
from pipelines.errors import check, unknown
from tfcifar.recipe import Optimizer, Recipe

METHODS = ("magnitude", "channels")
SCHEDULES = ("constant", "polynomial")
PATTERNS = {"2:4": (2, 4)}  # zeros, and the weights next to each other among which they are
SCORES = ("taylor", "l1")
SCOPES = ("group", "global")
# Kingma and Ba's own, where the recipe's optimizer is one that tf_keras does not have.
ADAM = Optimizer("adam", learning_rate=1e-3)


@dataclass(frozen=True)
class Pruning:
    """How to prune, and how much. None: the default of the method that the option is for."""

    method: str
    sparsity: float = 0.5  # share of the weights, or of the channels
    schedule: str | None = None  # magnitude: one of SCHEDULES
    pattern: str | None = None  # magnitude: one of PATTERNS; by default the smallest weights, wherever they are
    score: str | None = None  # channels: one of SCORES
    scope: str | None = None  # channels: one of SCOPES

    def __post_init__(self):
        if self.method not in METHODS:
            raise unknown("--method", self.method, METHODS)
        check(0 < self.sparsity < 1, "--sparsity", "a number between 0 and 1", self.sparsity)
        others = ("score", "scope") if self.method == "magnitude" else ("schedule", "pattern")
        for name in others:
            check(getattr(self, name) is None, f"--{name}", f"none with --method {self.method}", getattr(self, name))
        if self.pattern is not None:
            if self.pattern not in PATTERNS:
                raise unknown("--pattern", self.pattern, PATTERNS)
            zeros, among = PATTERNS[self.pattern]
            check(self.sparsity == zeros / among, "--sparsity", f"{zeros / among} with {self.pattern}", self.sparsity)
            check(self.schedule != "polynomial", "--schedule", f"constant with --pattern {self.pattern}", self.schedule)

    def settings(self) -> dict:
        """JSON-ready: all that has a say, with the defaults in place."""
        if self.method == "magnitude":
            own = {"schedule": self.schedule or SCHEDULES[0], "pattern": self.pattern}
        else:
            own = {"score": self.score or SCORES[0], "scope": self.scope or SCOPES[0]}
        return {"method": self.method, "sparsity": self.sparsity, **own}


def fine_tuning_recipe(recipe: Recipe, pruning: Pruning, epochs: int, learning_rate: float | None) -> Recipe:
    """How a pruned run of `recipe` is fine-tuned (see `fine_tuned`): with its optimizer, where it can be.

    The learning rate falls from `learning_rate` to zero; by default from the recipe's own peak, which does better than
    a low one (Renda et al. 2020, "Comparing Rewinding and Fine-tuning in Neural Network Pruning", arXiv:2003.02389).
    """
    optimizer = recipe.optimizer
    if pruning.method == "magnitude":
        recipe = recipe.replace(labels="one_hot")  # which `fine_tune` takes
        if optimizer.name == "muon":
            optimizer = ADAM
    peak = optimizer.learning_rate if learning_rate is None else learning_rate
    optimizer = dataclasses.replace(optimizer, learning_rate=peak, ema_decay=None, swa_epochs=0)
    distill = recipe.distill if pruning.method == "channels" else NO_TEACHERS  # `fine_tune` knows none
    return fine_tuned(recipe, "pruned", epochs, optimizer, distill)
