"""Learning-rate schedules, as functions of the step."""

import math

import keras
from keras import ops
from keras.optimizers import schedules

from tfcifar.recipe import Recipe
from tfcifar.training.phases import HEAD, Phase


@keras.saving.register_keras_serializable(package="tfcifar")
class OneCycle(schedules.LearningRateSchedule):
    """Linear from peak / 25 to the peak, then cosine to peak / 10,000 (Smith and Topin 2018, arXiv:1708.07120)."""

    def __init__(self, peak: float, warmup_steps: int, total_steps: int):
        self.peak, self.warmup_steps, self.total_steps = peak, warmup_steps, total_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        start, end = self.peak / 25, self.peak / 10_000
        rising = start + (self.peak - start) * step / max(self.warmup_steps, 1)
        done = ops.clip((step - self.warmup_steps) / max(self.total_steps - self.warmup_steps, 1), 0.0, 1.0)
        falling = end + (self.peak - end) * (1 + ops.cos(math.pi * done)) / 2
        return ops.where(step < self.warmup_steps, rising, falling)

    def get_config(self):
        return {"peak": self.peak, "warmup_steps": self.warmup_steps, "total_steps": self.total_steps}


@keras.saving.register_keras_serializable(package="tfcifar")
class Triangle(schedules.LearningRateSchedule):
    """Linear from a fifth of the peak to the peak, then linear to zero; with `warmup_steps` 0 from the peak on."""

    def __init__(self, peak: float, warmup_steps: int, total_steps: int):
        self.peak, self.warmup_steps, self.total_steps = peak, warmup_steps, total_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = 0.2 + 0.8 * step / max(self.warmup_steps, 1)
        falling = (self.total_steps - step) / (self.total_steps - self.warmup_steps)
        return self.peak * ops.where(step < self.warmup_steps, rising, ops.maximum(falling, 0.0))

    def get_config(self):
        return {"peak": self.peak, "warmup_steps": self.warmup_steps, "total_steps": self.total_steps}


@keras.saving.register_keras_serializable(package="tfcifar")
class StartingAt(schedules.LearningRateSchedule):
    """`schedule` seen from an optimizer that is built anew at `first_step` of the main phase."""

    def __init__(self, schedule: schedules.LearningRateSchedule, first_step: int):
        self.schedule, self.first_step = schedule, first_step

    def __call__(self, step):
        return self.schedule(step + self.first_step)

    def get_config(self):
        return {"schedule": schedules.serialize(self.schedule), "first_step": self.first_step}

    @classmethod
    def from_config(cls, config):
        return cls(schedules.deserialize(config["schedule"]), config["first_step"])


def main_schedule(recipe: Recipe, steps_per_epoch: int) -> schedules.LearningRateSchedule:
    """The learning rate of the main phase, by its step (counted from the end of the head phase)."""
    peak, schedule = recipe.optimizer.learning_rate, recipe.schedule
    total = recipe.epochs * steps_per_epoch
    warmup = round(schedule.warmup_epochs * steps_per_epoch)
    if schedule.name == "stages":
        ends = [
            sum(schedule.stage_epochs[: i + 1]) * steps_per_epoch - 1 for i in range(len(schedule.stage_epochs) - 1)
        ]
        return schedules.PiecewiseConstantDecay(ends, list(schedule.stage_learning_rates))
    if schedule.name == "one_cycle":
        return OneCycle(peak, warmup, total)
    if schedule.name == "linear":
        return Triangle(peak, warmup, total)
    if schedule.name == "cosine":
        if not warmup:
            return schedules.CosineDecay(peak, total)
        return schedules.CosineDecay(0.0, total - warmup, warmup_target=peak, warmup_steps=warmup)
    # constant, with or without warm-up
    return schedules.PolynomialDecay(peak if not warmup else 0.0, max(warmup, 1), end_learning_rate=peak)


def schedule_for(recipe: Recipe, phase: Phase, steps_per_epoch: int) -> float | schedules.LearningRateSchedule:
    """The learning rate of `phase`, by the step of its own optimizer."""
    if phase.name == HEAD:
        return recipe.transfer.head_learning_rate
    if recipe.schedule.name == "plateau":
        return recipe.optimizer.learning_rate  # ReduceOnPlateau sets it anew for each epoch
    first_step = (phase.first_epoch - recipe.transfer.head_epochs) * steps_per_epoch
    schedule = main_schedule(recipe, steps_per_epoch)
    return StartingAt(schedule, first_step) if first_step else schedule


def plateau_rate(peak: float, losses: list[float], patience: int, factor: float) -> float:
    """The learning rate after epochs with these validation losses: `peak`, times `factor` for each plateau so far.

    A plateau is `patience` epochs in a row without a loss lower than any before; then counting starts again.
    """
    rate, lowest, waited = peak, math.inf, 0
    for loss in losses:
        lowest, waited = (loss, 0) if loss < lowest else (lowest, waited + 1)
        if waited == patience:
            rate, waited = rate * factor, 0
    return rate
