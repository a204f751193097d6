"""Where images come from: the function that opens a data set by name.

Each kind has a file of its own: `tfds_source`, `cifar_archives`, `image_folder`, `synthetic`. What they give is in
`examples`, and may be had from here.
"""

import os
import re
from pathlib import Path

from pipelines.errors import InputError
from pipelines.examples import Examples, Source, check_labels, joined

__all__ = ["Examples", "Source", "check_labels", "is_image_folder", "joined", "open_source"]

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz")


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
    if _is_path(dataset):
        return _open_path(Path(dataset).expanduser(), image_size, cache)
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


def is_image_folder(dataset: str) -> bool:
    """Whether `open_source` takes `dataset` for a folder of images."""
    from pipelines.cifar_archives import is_extracted

    path = Path(dataset).expanduser()
    return dataset.split(":")[0] != "synthetic" and _is_path(dataset) and path.is_dir() and not is_extracted(path)


def _is_path(dataset: str) -> bool:
    # A bare word is a TFDS name even where a folder of that name happens to lie in the working directory.
    bare_word = re.fullmatch(r"\w+", dataset) is not None
    return Path(dataset).expanduser().exists() and not (bare_word and _is_tfds_name(dataset))


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
