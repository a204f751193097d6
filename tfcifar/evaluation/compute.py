"""What a training run cost in arithmetic, whatever hardware it ran on."""

import dataclasses

from pipelines.datasets import steps_per_epoch
from pipelines.splits import Splits
from tfcifar.models import MODELS, build_model
from tfcifar.models.complexity import count_macs
from tfcifar.recipe import Recipe
from tfcifar.training.phases import phases_of


def training_pflop(macs: int, images: int) -> float:
    """Training compute in PFLOP (1e15 floating-point operations) as cifar10-airbench counts it: 6 * MACs * images.

    A MAC is two operations, and the backward pass is counted as twice the forward pass: it computes gradients of
    both the activations and the weights. Exact where every layer trains from scratch. For a transfer model it is
    an upper bound: frozen layers have no gradients to compute. Evaluation after each epoch is left out.

    Args:
        macs: multiply-accumulates of one image's forward pass, see `complexity.count_macs`.
        images: images trained on, counted anew in each epoch.

    Source: https://github.com/KellerJordan/cifar10-airbench (its table's PFLOPs); the factor 2 for the backward
    pass is the usual one, as in Kaplan et al. 2020, arXiv:2001.08361, section 2.1.
    """
    return 6 * macs * images / 1e15


def pflop_behind(timing: dict, recipe: Recipe, splits: Splits, macs: int) -> float:
    """`run_pflop` of a finished run, whose timing.json is `timing`; with all before it, if it began from another."""
    return timing["pflop"] if "pflop" in timing else run_pflop(recipe, splits, timing["epochs"], macs)


def run_pflop(recipe: Recipe, splits: Splits, epochs: int, macs: int) -> float:
    """`training_pflop` of a run's `epochs`, each at the image size of its phase; `macs` is that of whole images."""
    images = steps_per_epoch(splits.train, recipe.batch_size) * recipe.batch_size
    total = 0.0
    for phase in phases_of(recipe):
        trained = max(0, min(epochs, phase.last_epoch) - phase.first_epoch)
        if phase.image_size:
            shape, model = (phase.image_size, phase.image_size, 3), recipe.model
            if MODELS[model.name].pretrained:
                model = dataclasses.replace(model, weights=None, image_size=phase.image_size)
            small = build_model(model, shape, splits.num_classes, splits.mean, splits.std)
            total += training_pflop(count_macs(small), trained * images)
        else:
            total += training_pflop(macs, trained * images)
    return total
