"""What to do to a training batch. Imports no TensorFlow, so that recipes and `--help` stay instant."""

import math
from dataclasses import dataclass, field, fields

from pipelines.errors import InputError, check, unknown
from pipelines.policy_config import parse_sub_policy, read_policy

FLIPS = ("none", "random", "alternating")

# Smallest and largest accepted value of each number; None: no upper bound.
BOUNDS = {
    "crop_padding": (0, None),
    "shift_fraction": (0, 0.99),  # by its whole height no image can be reflected
    "rotation_degrees": (0, 180),
    "color_jitter": (0, 1),
    "erasing_probability": (0, 1),
    "cutout_size": (0, None),
    "randaugment_layers": (0, None),
    "randaugment_magnitude": (0, 30),
    "augmix_chains": (0, None),
    "augmix_severity": (0, 10),
    "mixup_alpha": (0, None),
    "cutmix_alpha": (0, None),
    "mix_probability": (0, 1),
    "label_smoothing": (0, 1),
}


@dataclass(frozen=True)
class Augment:
    """The augmentation of a recipe: all off by default, so that a recipe names only what it uses.

    `pipelines.augment.augment_batch` applies it and says in which order.

    Raises:
        InputError: A field has the wrong type or lies out of range; names `augment.<field>`.
    """

    flip: str = "none"  # none | random | alternating
    crop_padding: int = 0  # pixels of reflected border around the image before a random crop
    shift_fraction: float = 0.0  # of height and width, up to: 0.1 shifts by -10% to +10%
    rotation_degrees: float = 0.0  # up to, both ways
    color_jitter: float = 0.0  # of brightness, contrast and saturation: 0.2 draws factors from 0.8 to 1.2
    erasing_probability: float = 0.0  # per image
    cutout_size: int = 0  # pixels, side of the square
    randaugment_layers: int = 0  # operations per image
    randaugment_magnitude: float = 9.0  # of 30, the ranges of torchvision's RandAugment
    augmix_chains: int = 0  # mixed per image; 3 in the paper
    augmix_severity: float = 3.0  # of 10; each operation draws a level up to it
    # Sub-policies such as "rotate:0.6:9 equalize:0.4:0", of which each image draws one; --set takes a JSON file.
    policy: tuple[str, ...] = field(default=(), metadata={"read": read_policy})
    mixup_alpha: float = 0.0  # of Beta(alpha, alpha)
    cutmix_alpha: float = 0.0  # both set: each batch draws one of the two with equal chance
    mix_probability: float = 1.0  # of an image, to be mixed at all; the CutMix paper has 0.5 for CIFAR
    label_smoothing: float = 0.0  # probability mass spread evenly over the classes

    def __post_init__(self):
        if self.flip not in FLIPS:
            raise unknown("augment.flip", str(self.flip), FLIPS)
        for each in fields(self):
            if each.name in BOUNDS:
                _check_number(each.name, each.type, getattr(self, each.name), *BOUNDS[each.name])
        for text in self.policy:
            parse_sub_policy(text)
        check(
            not (self.policy and self.randaugment_layers),
            "augment.randaugment_layers",
            "0 with augment.policy: one of the two",
            self.randaugment_layers,
        )


def _check_number(name, kind, value, low, high):
    accepted = int if kind is int else (int, float)
    in_type = isinstance(value, accepted) and not isinstance(value, bool)
    if in_type and math.isfinite(value) and low <= value and (high is None or value <= high):
        return
    noun = "a whole number" if kind is int else "a number"
    interval = f"of {low} or more" if high is None else f"from {low} to {high}"
    raise InputError(f"augment.{name}: expected {noun} {interval}, received {value!r}.")
