"""An augmentation policy as text: what a recipe holds, and files hand on. Imports no TensorFlow.

A policy is a list of sub-policies, of which each image draws one; a sub-policy is a list of operations, done one after
the other, each with its own probability: "rotate:0.6:9 equalize:0.4:0" rotates six images in ten, at magnitude 9 of 30,
and then equalizes four in ten (Cubuk et al. 2019, "AutoAugment", arXiv:1805.09501).
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import InputError, unknown

# Those of `pipelines.randaugment`, by the same names.
POLICY_OPERATIONS = (
    "identity", "autocontrast", "equalize", "shear_x", "shear_y", "translate_x", "translate_y", "rotate",
    "brightness", "color", "contrast", "sharpness", "posterize", "solarize",
)  # fmt: skip
MAX_MAGNITUDE = 30
SUFFIX = ".json"


@dataclass(frozen=True)
class Step:
    """One operation of a sub-policy. probability: 0..1; magnitude: 0..30, as RandAugment's."""

    operation: str
    probability: float
    magnitude: float

    def __str__(self) -> str:
        return f"{self.operation}:{self.probability:g}:{self.magnitude:g}"


def parse_sub_policy(text: str) -> tuple[Step, ...]:
    """Read "rotate:0.6:9 equalize:0.4:0".

    Raises:
        InputError: no such operation, or a number that is none or out of range.
    """
    steps = tuple(_parse_step(part) for part in text.split())
    if not steps:
        raise InputError("augment.policy: expected sub-policies of at least one operation, received an empty one.")
    return steps


def read_policy(text: str) -> tuple[str, ...]:
    """The value of `--set augment.policy=...`: the policy in a JSON file, or sub-policies separated by commas.

    The recipe holds what was in the file, so that a run can be repeated without it.

    Raises:
        InputError: no such file, or no policy in it.
    """
    if not text.endswith(SUFFIX):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    path = Path(text)
    if not path.is_file():
        raise InputError(f"augment.policy: no such file: {path}.")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["augment"]["policy"]
    except (ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, list) or not found or not all(isinstance(each, str) for each in found):
        raise InputError(
            f'augment.policy: expected {{"augment": {{"policy": ["rotate:0.6:9 equalize:0.4:0", ...]}}}} in {path}, as '
            "tuner.policy writes it, received something else."
        )
    return tuple(found)


def _parse_step(text: str) -> Step:
    name, *numbers = text.split(":")
    if name not in POLICY_OPERATIONS:
        raise unknown("augment.policy", name, POLICY_OPERATIONS)
    try:
        probability, magnitude = map(float, numbers)
    except ValueError:
        raise InputError(f"augment.policy: expected OPERATION:PROBABILITY:MAGNITUDE, received {text!r}.") from None
    for what, value, most in (("probability", probability, 1), ("magnitude", magnitude, MAX_MAGNITUDE)):
        if not (math.isfinite(value) and 0 <= value <= most):
            raise InputError(f"augment.policy: expected a {what} from 0 to {most}, received {value:g} in {text!r}.")
    return Step(name, probability, magnitude)
