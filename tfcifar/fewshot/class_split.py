"""Which classes are learned from, which choose, and which judge: no class is in two of them."""

import re
from dataclasses import dataclass

import numpy as np

from pipelines.errors import InputError
from pipelines.sources import Examples, Source
from pipelines.splits import training_pool
from tfcifar.fewshot.cifar_fs import CIFAR_FS

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class ClassPart:
    """The images of some classes. Their labels are places in `class_names`."""

    class_names: tuple[str, ...]
    examples: Examples


@dataclass(frozen=True)
class ClassSplit:
    """Meta-train, meta-validation (None: no classes to choose by) and meta-test classes of a source."""

    source: Source
    train: ClassPart
    validation: ClassPart | None
    test: ClassPart


def split_by_class(source: Source, split: str, seed: int = 0) -> ClassSplit:
    """Divide the classes of `source`. All images are from its training pool: its test part stays closed.

    Args:
        split: "6/2/2", numbers of meta-train, meta-validation and meta-test classes, drawn with `seed`; or "cifar-fs",
            the split of CIFAR-100 in Bertinetto et al. 2019 (arXiv:1805.08136).

    Raises:
        InputError: another text, more classes than there are, or a class of the list that the source does not have.
    """
    names = _official(source) if split == "cifar-fs" else _drawn(source, split, seed)
    pool = training_pool(source)
    parts = [_part(pool, source.class_names, each) for each in names]
    return ClassSplit(source, parts[0], parts[1] if names[1] else None, parts[2])


def _drawn(source: Source, split: str, seed: int) -> list[tuple[str, ...]]:
    match = re.fullmatch(r"(\d+)/(\d+)/(\d+)", split)
    if not match:
        raise InputError(f"class split: expected numbers of classes such as 6/2/2, or cifar-fs; received {split!r}.")
    counts = [int(each) for each in match.groups()]
    there = len(source.class_names)
    if counts[0] < 2 or counts[1] == 1 or counts[2] < 2 or sum(counts) > there:
        raise InputError(
            f"class split: expected at least 2 classes in each part (0 will do for the second), together at most the "
            f"{there} of {source.name}; received {split}."
        )
    # RandomState, because NumPy promises that its stream never changes; that of Generator may.
    order = [source.class_names[index] for index in np.random.RandomState(seed).permutation(there)]
    ends = np.cumsum(counts)
    return [tuple(order[end - count : end]) for count, end in zip(counts, ends, strict=True)]


def _official(source: Source) -> list[tuple[str, ...]]:
    names = [CIFAR_FS[part] for part in PARTS]
    missing = sorted({name for part in names for name in part} - set(source.class_names))
    if missing:
        raise InputError(f"class split: cifar-fs is one of CIFAR-100; {source.name} has no class {missing[0]}.")
    return names


def _part(pool: Examples, class_names: tuple[str, ...], names: tuple[str, ...]) -> ClassPart:
    place = np.full(len(class_names), -1)
    place[[class_names.index(name) for name in names]] = np.arange(len(names))
    chosen = pool.take(np.flatnonzero(place[pool.labels] >= 0))
    return ClassPart(names, Examples(chosen.images, place[chosen.labels].astype(np.int64), chosen.files))
