"""Episodes: small classification problems drawn from many classes, each with a few images to learn from."""

from dataclasses import dataclass

import numpy as np

from pipelines.errors import InputError
from tfcifar.fewshot.class_split import ClassPart, ClassSplit
from tfcifar.fewshot.settings import FewShot


@dataclass(frozen=True)
class Episode:
    """N classes, labelled 0..N-1 anew: K images each to learn from, others to be judged by.

    support_images: uint8 [N * K, h, w, 3], class by class; support_labels: int64 [N * K].
    query_images: uint8 [N * Q, h, w, 3], none of them a support image; query_labels: int64 [N * Q].
    """

    support_images: np.ndarray
    support_labels: np.ndarray
    query_images: np.ndarray
    query_labels: np.ndarray


class EpisodeSampler:
    """Draws episodes from a part of the classes. Each is a pure function of the seed and its number.

    Args:
        ways: N, classes of an episode.
        shots: K, images of each class to learn from.
        queries: Q, images of each class to be judged by.
        flip: mirror each image with probability 1/2, as augmentation.

    Raises:
        InputError: fewer classes than `ways`, or a class with too few images.
    """

    def __init__(self, part: ClassPart, ways: int, shots: int, queries: int, seed: int, flip: bool = False):
        if not 2 <= ways <= len(part.class_names):
            raise InputError(f"ways: expected 2 to {len(part.class_names)}, the classes there are, received {ways}.")
        labels = part.examples.labels
        self.members = [np.flatnonzero(labels == label) for label in range(len(part.class_names))]
        for name, members in zip(part.class_names, self.members, strict=True):
            if len(members) < shots + queries:
                raise InputError(
                    f"class {name}: expected at least {shots + queries} images, for {shots} shots and {queries} "
                    f"queries, received {len(members)}."
                )
        self.images = part.examples.images
        self.ways, self.shots, self.queries, self.seed, self.flip = ways, shots, queries, seed, flip

    def draw(self, number: int) -> Episode:
        """The episode of this number, 0 or more."""
        # RandomState, because NumPy promises that its stream never changes; that of Generator may.
        random = np.random.RandomState([self.seed, number])
        classes = random.permutation(len(self.members))[: self.ways]
        chosen = np.stack(
            [random.permutation(self.members[each])[: self.shots + self.queries] for each in classes]
        )  # [N, K + Q]
        images = self.images[chosen]
        if self.flip:
            images = np.where(random.rand(*chosen.shape, 1, 1, 1) < 0.5, images[:, :, :, ::-1], images)
        support, query = images[:, : self.shots], images[:, self.shots :]
        labels = np.arange(self.ways)
        return Episode(
            support.reshape(-1, *images.shape[2:]),
            labels.repeat(self.shots),
            query.reshape(-1, *images.shape[2:]),
            labels.repeat(self.queries),
        )


def training_sampler(split: ClassSplit, settings: FewShot) -> EpisodeSampler:
    """The episodes that are learned from."""
    ways = min(settings.ways, len(split.train.class_names))
    return EpisodeSampler(split.train, ways, settings.train_shots, settings.queries, settings.seed, flip=True)


def validation_sampler(split: ClassSplit, settings: FewShot) -> EpisodeSampler | None:
    """The episodes that choose an iteration; None without classes to choose by."""
    if split.validation is None:
        return None
    ways = min(settings.ways, len(split.validation.class_names))
    return EpisodeSampler(split.validation, ways, settings.train_shots, settings.queries, settings.seed)
