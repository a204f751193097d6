"""A second head that tells groups of classes apart, such as animals and vehicles, beside the classifier's own.

Caruana 1997, "Multitask Learning" (doi:10.1023/A:1007379606734).
"""

import shlex
from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from pipelines.errors import InputError, unknown

CLASSES, GROUPS = "logits", "group_logits"  # the two outputs


def with_group_head(model: keras.Model, num_groups: int) -> keras.Model:
    """`model` with a second dense head on the same features.

    Returns:
        images -> {"logits": float32 [n, k], "group_logits": float32 [n, num_groups]}.
    """
    features = model.get_layer(CLASSES).input
    groups = layers.Dense(num_groups, dtype="float32", name=GROUPS)(features)
    return keras.Model(model.input, {CLASSES: model.output, GROUPS: groups}, name=model.name)


def classifier_of(model: keras.Model) -> keras.Model:
    """The part of a model with a group head that gives the classes; any other model as it is."""
    return keras.Model(model.input, model.output[CLASSES], name=model.name) if has_groups(model) else model


def has_groups(model: keras.Model) -> bool:
    return isinstance(model.output, dict)


def parse_groups(groups: Sequence[str], class_names: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The names of groups written as "animal: bird cat 'polar bear'", and which class is in which.

    Returns:
        names and float32 [k, groups], 1 where the class is in the group: labels [n, k] times it are those of groups.

    Raises:
        InputError: a group without a name, a class that is unknown, in no group or in two.
    """
    names, matrix = [], np.zeros((len(class_names), len(groups)), np.float32)
    for index, group in enumerate(groups):
        name, colon, members = group.partition(":")
        if not colon or not name.strip():
            raise InputError(f"multi_task.groups: expected 'name: class class ...', received {group!r}.")
        names.append(name.strip())
        for member in _words(members):
            if member not in class_names:
                raise unknown(f"multi_task.groups: {name}", member, class_names)
            matrix[list(class_names).index(member), index] += 1
    for class_name, count in zip(class_names, matrix.sum(1), strict=True):
        if count != 1:
            raise InputError(f"multi_task.groups: expected each class in one group, found {class_name} in {count:.0f}.")
    return names, matrix


def _words(text: str) -> list[str]:
    """Separated by blanks, unless in quotes as in a shell."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InputError(f"multi_task.groups: {str(error).lower()} in {text!r}.") from None
