"""Labelled images, and the data sets that they come from: what every reader gives, whatever it reads."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipelines.disk_images import DiskImages, Images
from pipelines.errors import InputError


@dataclass(frozen=True)
class Examples:
    """Labelled images, in memory or on the disk.

    images: uint8 [n, height, width, 3], RGB, 0..255; `DiskImages` are read where they are indexed.
    labels: int64 [n], class numbers from 0.
    files: str [n], the file that each came from, for people; None where they have no files of their own.

    Raises InputError if dtype, rank or length differ from this.
    """

    images: Images
    labels: np.ndarray
    files: np.ndarray | None = None

    def __post_init__(self):
        images, labels = self.images, self.labels
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
            raise InputError(f"images: expected uint8 [n, h, w, 3], received {images.dtype} {images.shape}.")
        if labels.dtype != np.int64 or labels.shape != (len(images),):
            raise InputError(
                f"labels: expected int64 [{len(images)}], one per image, received {labels.dtype} {labels.shape}."
            )
        if self.files is not None and self.files.shape != labels.shape:
            raise InputError(f"files: expected [{len(images)}], one per image, received {self.files.shape}.")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> "Examples":
        """A copy of the examples at `indices` (int64 [m]), in that order; on the disk no image is copied."""
        files = None if self.files is None else self.files[indices]
        images = self.images.take(indices) if isinstance(self.images, DiskImages) else self.images[indices]
        return Examples(images, self.labels[indices], files)

    def file_of(self, index: int) -> str:
        """The file of one example; empty where there are none."""
        return "" if self.files is None else str(self.files[index])


def joined(first: Examples, second: Examples) -> Examples:
    """`first` followed by `second`; their images are of one size."""
    images: Images
    if isinstance(first.images, DiskImages) and isinstance(second.images, DiskImages):
        images = first.images.followed_by(second.images)
    else:
        images = np.concatenate([first.images, second.images])
    both_have_files = first.files is not None and second.files is not None
    return Examples(
        images,
        np.concatenate([first.labels, second.labels]),
        np.concatenate([first.files, second.files]) if both_have_files else None,
    )


@dataclass(frozen=True)
class Source:
    """A data set as its authors divided it; `splits.make_splits` divides it further.

    image_shape: (height, width, 3) of every image.
    train: the official training part.
    validation: the official validation part, or None.
    load_test: reads the official test part when called, and nothing of it before; None if there is none.
    """

    name: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    train: Examples
    validation: Examples | None
    load_test: Callable[[], Examples] | None


def check_labels(labels: np.ndarray, num_classes: int, where: str) -> None:
    """Raises InputError, naming `where` and the first offender, if a label lies outside 0..num_classes-1."""
    bad = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(bad):
        raise InputError(
            f"{where}: expected labels 0..{num_classes - 1}, received {labels[bad[0]]} at index {bad[0]}"
            f" ({len(bad)} of {len(labels)} labels out of range)."
        )
