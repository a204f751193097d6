"""Augmentation policies as hyperparameters, and back: what KerasTuner stores is what a recipe holds."""

import dataclasses

from keras_tuner import HyperParameters

from pipelines.policy_config import POLICY_OPERATIONS, Step
from tfcifar.recipe import Recipe

PLACES = 2  # operations of a sub-policy, as in AutoAugment
PROBABILITIES = (0.2, 0.4, 0.6, 0.8, 1.0)
MAGNITUDES = (3, 6, 9, 12, 15, 18, 21, 24, 27, 30)  # of 30
CHOICES = {"operation": POLICY_OPERATIONS, "probability": PROBABILITIES, "magnitude": MAGNITUDES}
LAYERS = (1, 2, 3)  # of RandAugment, as in its paper

Decisions = list[tuple[int, int, int]]  # for each operation its place in each of CHOICES


def policy_space(sub_policies: int) -> HyperParameters:
    """Three choices for each operation of each sub-policy."""
    hp = HyperParameters()
    for number in range(sub_policies * PLACES):
        for what, choices in CHOICES.items():
            hp.Choice(f"{number}.{what}", list(choices))
    return hp


def values_of(decisions: Decisions) -> dict:
    """The hyperparameters that stand for `decisions`."""
    return {
        f"{number}.{what}": choices[place]
        for number, places in enumerate(decisions)
        for (what, choices), place in zip(CHOICES.items(), places, strict=True)
    }


def decisions_of(values: dict) -> Decisions:
    """The other way round."""
    decisions = []
    for number in range(_operations(values)):
        operation, probability, magnitude = (
            choices.index(values[f"{number}.{what}"]) for what, choices in CHOICES.items()
        )
        decisions.append((operation, probability, magnitude))
    return decisions


def policy_of(values: dict) -> tuple[str, ...]:
    """The policy as a recipe holds it."""
    steps = [Step(*(values[f"{number}.{what}"] for what in CHOICES)) for number in range(_operations(values))]
    parts = [steps[start : start + PLACES] for start in range(0, len(steps), PLACES)]
    return tuple(" ".join(map(str, part)) for part in parts)


def policy_recipe(values: dict, recipe: Recipe, epochs: int | None = None) -> Recipe:
    """`recipe` with the policy that `values` stand for; for `TrainingTuner`, with the epochs of the recipe."""
    augment = dataclasses.replace(recipe.augment, policy=policy_of(values), randaugment_layers=0)
    return recipe.replace(augment=augment)


def randaugment_space() -> HyperParameters:
    """RandAugment's two numbers."""
    hp = HyperParameters()
    hp.Choice("layers", list(LAYERS))
    hp.Int("magnitude", 1, 30)
    return hp


def randaugment_recipe(values: dict, recipe: Recipe, epochs: int | None = None) -> Recipe:
    """`recipe` with RandAugment; as `policy_recipe`."""
    augment = dataclasses.replace(
        recipe.augment,
        policy=(),
        randaugment_layers=values["layers"],
        randaugment_magnitude=float(values["magnitude"]),
    )
    return recipe.replace(augment=augment)


def _operations(values: dict) -> int:
    return sum(name.endswith(".operation") for name in values)
