"""The one fixed train / validation / test split, and its checksums.

The same source and seed give the same split on every machine. For CIFAR-10: 45,000 / 5,000 / 10,000.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipelines.disk_images import Images
from pipelines.errors import InputError
from pipelines.folds import fold_of
from pipelines.sources import Examples, Source, check_labels, joined

TEST_FRACTION = 0.15  # of the training part, where the source has no test part of its own
CHUNK = 16 << 20  # bytes of images that are looked at together
TEST_SEED = 20090408  # a constant: no choice of split_seed may move an image into or out of the test split


@dataclass(frozen=True)
class Splits:
    """What training may see; the test split is not in here.

    checksums: {"train": "sha256:...", "validation": "sha256:..."}, and "held_out" with folds; see `checksum`.
    mean, std: per channel over the pixels of `train`, in units of [0, 1].
    held_out: the fold that is in neither `train` nor `validation`; None without folds.
    """

    source: Source
    train: Examples
    validation: Examples
    checksums: dict[str, str]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    held_out: Examples | None = None

    @property
    def num_classes(self) -> int:
        return len(self.source.class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.source.class_names

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.source.image_shape


def make_splits(
    source: Source,
    validation_fraction: float = 0.1,
    split_seed: int = 0,
    train_on_validation: bool = False,
    folds: int = 0,
    fold: int = 0,
    train_fraction: float = 1.0,
) -> Splits:
    """Divide the training part of `source` per class, in a way fixed by `split_seed`.

    Args:
        source: a source without a test part first gives up TEST_FRACTION of its training part for one.
        validation_fraction: of the training part; unused if the source has an official validation part.
        split_seed: fixes which images validate, and who is in which fold. The test split does not depend on it.
        train_on_validation: for final models, with the recipe already fixed: `train` then includes `validation`.
        folds: hold out one of so many equal parts of `training_pool` first, and divide what is left as if there
            were no more; 0: hold out none.
        fold: the one that is held out, 0..folds-1.
        train_fraction: of the images that are left for training in the end, stratified; the others are not used.

    Raises:
        InputError: an argument or a label out of range, or a class with too few images.
    """
    if not 0 < validation_fraction < 1:
        raise InputError(f"validation_fraction: expected between 0 and 1, received {validation_fraction}.")
    if not 0 <= split_seed < 2**32:
        raise InputError(f"split_seed: expected 0..2**32-1, received {split_seed}.")
    if folds and not (folds >= 2 and 0 <= fold < folds):
        raise InputError(f"folds, fold: expected at least 2 folds and one of 0..folds-1, received {folds}, {fold}.")
    if not 0 < train_fraction <= 1:
        raise InputError(f"train_fraction: expected above 0, at most 1, received {train_fraction}.")
    num_classes = len(source.class_names)
    check_labels(source.train.labels, num_classes, f"{source.name} train")
    if source.validation is not None:
        check_labels(source.validation.labels, num_classes, f"{source.name} validation")
    train = _without_test(source)
    held_out: Examples | None = None
    validation = source.validation
    if folds:
        pool, validation = training_pool(source), None  # the official validation part takes its turn in a fold too
        in_fold = fold_of(pool.labels, folds, split_seed) == fold
        held_out, train = pool.take(np.flatnonzero(in_fold)), pool.take(np.flatnonzero(~in_fold))
    if validation is None:
        keep, validating = _stratified(train.labels, source.class_names, validation_fraction, split_seed)
        train, validation = train.take(keep), train.take(validating)
    if train_on_validation:
        train = joined(train, validation)
    if train_fraction < 1:
        train = train.take(_stratified(train.labels, source.class_names, train_fraction, split_seed)[1])
    mean, std = channel_statistics(train.images)
    parts = {"train": train, "validation": validation} | ({} if held_out is None else {"held_out": held_out})
    checksums = {name: checksum(part) for name, part in parts.items()}
    return Splits(source, train, validation, checksums, mean, std, held_out)


def training_pool(source: Source) -> Examples:
    """All images that may be trained on, in one fixed order: the training part, then an official validation part."""
    train = _without_test(source)
    return train if source.validation is None else joined(train, source.validation)


def open_test_split(source: Source) -> tuple[Examples, str]:
    """Read the test split: (examples, checksum). Nothing calls this but
    `tfcifar.evaluation.openings`, which puts each opening on record.

    It is the source's own test part, or else the TEST_FRACTION that `make_splits` never lets into train or
    validation. No argument of `make_splits` changes it.
    """
    test = _divided(source)[1] if source.load_test is None else source.load_test()
    check_labels(test.labels, len(source.class_names), f"{source.name} test")
    return test, checksum(test)


def checksum(examples: Examples) -> str:
    """ "sha256:<hex>" over shape, pixels and labels, in order; the same on every machine."""
    digest = hashlib.sha256(repr(examples.images.shape).encode())
    for chunk in _chunks(examples.images):
        digest.update(np.ascontiguousarray(chunk).data)
    digest.update(examples.labels.astype("<i8").data)
    return f"sha256:{digest.hexdigest()}"


def channel_statistics(images: Images) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation of each channel over all pixels, in units of [0, 1].

    Exact, from histograms: a float copy of CIFAR-10 would take 600 MB. The standard deviation is over pixels,
    not the mean of per-image deviations, which gives the wrong 0.2023 0.1994 0.2010 seen in many places.

    Args:
        images: uint8 [n, h, w, 3], n >= 1.
    """
    histogram = np.zeros((3, 256), np.int64)
    for chunk in _chunks(images):
        for channel in range(3):
            histogram[channel] += np.bincount(chunk[..., channel].ravel(), minlength=256)
    share = histogram / histogram.sum(axis=1, keepdims=True)
    values = np.arange(256) / 255
    mean = share @ values
    (red, green, blue), (std_red, std_green, std_blue) = mean, np.sqrt(share @ values**2 - mean**2)
    return (float(red), float(green), float(blue)), (float(std_red), float(std_green), float(std_blue))


def _chunks(images: Images) -> Iterator[np.ndarray]:
    """Consecutive parts of at most CHUNK bytes, for images that are not in memory."""
    step = max(1, CHUNK // int(np.prod(images.shape[1:])))
    for start in range(0, len(images), step):
        yield images[start : start + step]


def _without_test(source: Source) -> Examples:
    """The training part, less what it gives up for a test split."""
    return _divided(source)[0] if source.load_test is None else source.train


def _divided(source: Source) -> tuple[Examples, Examples]:
    """The training part of a source without a test part: what is left of it, and the test split carved out of it."""
    keep, test = _stratified(source.train.labels, source.class_names, TEST_FRACTION, TEST_SEED)
    return source.train.take(keep), source.train.take(test)


def _stratified(
    labels: np.ndarray, class_names: tuple[str, ...], fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices (kept, held out), each ascending; of each class round(fraction * count), at least 1, is held out."""
    parts = []
    for label, name in enumerate(class_names):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            raise InputError(
                f"class {name}: {len(members)} image(s) left to split, needed at least 2 (one for each side)."
                " Add images, or supply validation and test parts."
            )
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        # RandomState, because NumPy promises that its stream never changes; that of Generator may.
        parts.append(np.random.RandomState([seed, label]).permutation(members)[:count])
    held_out = np.sort(np.concatenate(parts))
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out
