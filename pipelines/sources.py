"""Where images come from: one small type for all of them, and the function that opens one by name.

Each kind has a file of its own: `tfds_source`, `cifar_archives`, `image_folder`, `synthetic`.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.disk_images import DiskImages
from pipelines.errors import InputError

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz")


@dataclass(frozen=True)
class Examples:
    """Labelled images, in memory or on the disk.

    images: uint8 [n, height, width, 3], RGB, 0..255; `DiskImages` are read where they are indexed.
    labels: int64 [n], class numbers from 0.
    files: str [n], the file that each came from, for people; None where they have no files of their own.

    Raises InputError if dtype, rank or length differ from this.
    """

    images: np.ndarray | DiskImages
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
        on_disk = isinstance(self.images, DiskImages)
        images = self.images.take(indices) if on_disk else self.images[indices]
        return Examples(images, self.labels[indices], files)

    def file_of(self, index: int) -> str:
        """The file of one example; empty where there are none."""
        return "" if self.files is None else str(self.files[index])


def joined(first: Examples, second: Examples) -> Examples:
    """`first` followed by `second`; their images are of one size."""
    both_have_files = first.files is not None and second.files is not None
    on_disk = isinstance(first.images, DiskImages)
    return Examples(
        first.images.followed_by(second.images) if on_disk else np.concatenate([first.images, second.images]),
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


def open_source(
    dataset: str, data_dir: str | None = None, image_size: int | None = None, cache: str = "memory"
) -> Source:
    """Open a data set by name or path. Its training part is read, its test part is not.

    Args:
        dataset: a TFDS name ("cifar10", "imagenette/160px"), "synthetic" or "synthetic:<num_classes>", or the
            path of an official CIFAR archive, of the folder extracted from one, or of an image folder.
        data_dir: where a TFDS name is looked for; None: $TFDS_DATA_DIR, else ~/tensorflow_datasets. For cifar10
            and cifar100 an official archive or its extracted folder in there serves as well.
        image_size: every image is brought to image_size x image_size pixels; None keeps the data set's own
            size (for images of mixed sizes: the median, see `image_folder.common_size`).
        cache: where decoded images are kept: "memory", or "disk" for image folders that do not fit in memory.

    Raises:
        InputError: no such data set or path, data incomplete or altered, or not an image classification set.
    """
    if image_size is not None and not 1 <= image_size <= 4096:
        raise InputError(f"image_size: expected 1..4096 pixels, received {image_size}.")
    if dataset.split(":")[0] == "synthetic":
        _check_in_memory(dataset, cache)
        from pipelines.synthetic import open_synthetic

        return open_synthetic(dataset, image_size)
    path = Path(dataset).expanduser()
    # A bare word is a TFDS name even where a folder of that name happens to lie in the working directory.
    bare_word = re.fullmatch(r"\w+", dataset) is not None
    if path.exists() and not (bare_word and _is_tfds_name(dataset)):
        return _open_path(path, image_size, cache)
    _check_in_memory(dataset, cache)
    if dataset.startswith(("/", ".", "~")) or dataset.endswith(ARCHIVE_SUFFIXES):
        raise InputError(f"dataset: no such file or folder: {dataset}.")

    from pipelines import tfds_source

    folder = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    # What TFDS has prepared comes first; the empty folders that its failed download leaves do not count.
    if not any((folder / dataset).rglob("dataset_info.json")):
        from pipelines import cifar_archives

        official = cifar_archives.find_official(dataset, folder)
        if official:
            return cifar_archives.open_cifar(official, image_size)
    return tfds_source.open_tfds(dataset, folder, image_size)


def _is_tfds_name(name: str) -> bool:
    from pipelines.tfds_source import list_names

    return name in list_names()


def _check_in_memory(dataset: str, cache: str) -> None:
    if cache != "memory":
        raise InputError(f"data.cache: expected memory for {dataset}, received {cache}, which is for image folders.")


def _open_path(path: Path, image_size: int | None, cache: str) -> Source:
    from pipelines import cifar_archives, image_folder

    if path.is_file() or cifar_archives.is_extracted(path):
        _check_in_memory(str(path), cache)
        return cifar_archives.open_cifar(path, image_size)
    return image_folder.open_image_folder(path, image_size, cache)
