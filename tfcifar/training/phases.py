"""The phases of a run: which part of the model trains in which epochs, and at which learning rate."""

from dataclasses import dataclass

from tfcifar.models import MODELS
from tfcifar.recipe import Recipe

HEAD = "head"  # the name of the phase in which the backbone is frozen
SMALL_IMAGES = "small images"


@dataclass(frozen=True)
class Phase:
    """Epochs [first_epoch, last_epoch) in which the head and the top `trainable_share` of the backbone train.

    image_size: images are shrunk to it, in pixels; None: they stay as they are.
    """

    name: str
    first_epoch: int
    last_epoch: int
    trainable_share: float
    image_size: int | None = None


def phases_of(recipe: Recipe) -> list[Phase]:
    """The head phase if the recipe has one, then the main phase, in as many steps as it unfreezes the backbone.

    From scratch: the epochs on small images if there are any, then the others.
    """
    if not MODELS[recipe.model.name].pretrained:
        small = recipe.small_images
        phases = [Phase(SMALL_IMAGES, 0, small.epochs, 1.0, small.image_size)] if small.epochs else []
        return [*phases, Phase("train", small.epochs, recipe.epochs, 1.0)]
    transfer = recipe.transfer
    phases = [Phase(HEAD, 0, transfer.head_epochs, 0.0)] if transfer.head_epochs else []
    first = transfer.head_epochs
    last_of_all = transfer.head_epochs + recipe.epochs
    for step, share in enumerate(transfer.unfreeze, start=1):
        is_last = step == len(transfer.unfreeze)
        last = last_of_all if is_last else first + transfer.unfreeze_epochs
        name = "fine-tune" if share == 1.0 else f"fine-tune top {share:.0%}"
        phases.append(Phase(name, first, last, share))
        first = last
    return phases
