"""The phases of a run: which part of the model trains in which epochs, and at which learning rate."""

from dataclasses import dataclass

from tfcifar.models import MODELS
from tfcifar.recipe import Recipe

HEAD = "head"  # the name of the phase in which the backbone is frozen
SMALL_IMAGES = "small images"


@dataclass(frozen=True)
class Phase:
    """Epochs [first_epoch, last_epoch) in which the head and the top `trainable_share` of the backbone train.

    image_size: what the model computes on, in pixels, where that is not its own size.
    """

    name: str
    first_epoch: int
    last_epoch: int
    trainable_share: float
    image_size: int | None = None


def phases_of(recipe: Recipe) -> list[Phase]:
    """The head phase if the recipe has one, the epochs on small images if there are any, then the others.

    A transfer model may take the last in several steps, as its backbone is unfrozen.
    """
    transfer, small = recipe.transfer, recipe.small_images
    small_size = small.image_size if small.epochs else None
    phases = [Phase(HEAD, 0, transfer.head_epochs, 0.0, small_size)] if transfer.head_epochs else []
    first = transfer.head_epochs + small.epochs
    last_of_all = transfer.head_epochs + recipe.epochs
    if small.epochs:
        phases.append(Phase(SMALL_IMAGES, transfer.head_epochs, first, 1.0, small_size))
    if not MODELS[recipe.model.name].pretrained:
        return [*phases, Phase("train", first, last_of_all, 1.0)]
    for step, share in enumerate(transfer.unfreeze, start=1):
        is_last = step == len(transfer.unfreeze)
        last = last_of_all if is_last else first + transfer.unfreeze_epochs
        name = "fine-tune" if share == 1.0 else f"fine-tune top {share:.0%}"
        phases.append(Phase(name, first, last, share))
        first = last
    return phases
