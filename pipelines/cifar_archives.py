"""The official CIFAR-10 and CIFAR-100 files (https://www.cs.toronto.edu/~kriz/cifar.html), checked before use.

Four releases: each data set in a Python version (pickles) and a binary one, as a .tar.gz or the folder in it.
Members of a .tar.gz are read in memory; nothing is extracted to disk.
"""

import hashlib
import importlib
import io
import pickle
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.errors import InputError
from pipelines.examples import Examples, Source, check_labels
from pipelines.image_folder import fit_images

PIXELS = 3 * 32 * 32  # bytes of one image: the red, the green, then the blue plane, each row by row


@dataclass(frozen=True)
class Release:
    """One of the four official releases.

    train, test, meta: file names inside the folder. label: the key of the labels (Python version).
    label_bytes: before the pixels of a record; the last of them is the label (binary version).
    """

    dataset: str
    archive: str
    folder: str
    train: tuple[str, ...]
    test: str
    meta: str
    label: bytes = b"labels"
    meta_key: bytes = b"label_names"
    label_bytes: int = 0  # 0: the Python version


RELEASES = (
    Release(
        "cifar10", "cifar-10-python.tar.gz", "cifar-10-batches-py",
        tuple(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta",
    ),
    Release(
        "cifar10", "cifar-10-binary.tar.gz", "cifar-10-batches-bin",
        tuple(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin", "batches.meta.txt", label_bytes=1,
    ),
    Release(
        "cifar100", "cifar-100-python.tar.gz", "cifar-100-python",
        ("train",), "test", "meta", label=b"fine_labels", meta_key=b"fine_label_names",
    ),
    Release(
        "cifar100", "cifar-100-binary.tar.gz", "cifar-100-binary",
        ("train.bin",), "test.bin", "fine_label_names.txt", label_bytes=2,
    ),
)  # fmt: skip

MD5 = {
    "cifar-10-python.tar.gz": "c58f30108f718f92721af3d95e74349a",
    "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
    "cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85",
    "cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8",
    "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
    "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
    "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
    "cifar-10-batches-py/batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    "cifar-100-python/train": "16019d7e3df5f24257cddd939b257f8d",
    "cifar-100-python/test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "cifar-100-python/meta": "7973b15100ade9c7d40fb424638fde48",
    # Rebuilt from TFDS cifar10:3.0.2, whose `id` feature keeps the official order: one label byte and 3072
    # channel-first bytes a record, 10,000 records a file. Public CMake and Go downloaders list the same sums.
    "cifar-10-batches-bin/data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "cifar-10-batches-bin/data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "cifar-10-batches-bin/data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "cifar-10-batches-bin/data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "cifar-10-batches-bin/data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    "cifar-10-batches-bin/test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
}
# Where no sum is published (CIFAR-100 binary, extracted) the size must be exact: records of 2 + 3072 bytes.
SIZES = {"cifar-100-binary/train.bin": 50_000 * 3074, "cifar-100-binary/test.bin": 10_000 * 3074}


def find_official(dataset: str, folder: Path) -> Path | None:
    """The official archive of `dataset` ("cifar10" or "cifar100"), or its extracted folder, in `folder`."""
    for release in RELEASES:
        for candidate in (folder / release.folder, folder / release.archive):
            if release.dataset == dataset and candidate.exists():
                return candidate
    return None


def is_extracted(folder: Path) -> bool:
    """Whether `folder` is, or directly holds, the folder in one of the official archives."""
    return _release_of_folder(folder) is not None


def open_cifar(path: Path, image_size: int | None = None) -> Source:
    """Open an official archive (known by its MD5, whatever its name) or an extracted folder (by its files).

    Every file's MD5 is checked as it is read; for CIFAR-100's extracted binary files no sum is published, and
    their exact size and label range are checked instead. The test file is not opened before `load_test` is
    called (the MD5 of a whole archive covers it unread). CIFAR-100 gives its 100 fine labels.

    Raises:
        InputError: not an official file, incomplete or altered, or a pickle that holds more than arrays.
    """
    if path.is_file():
        release, read = _open_archive(path)
    else:
        known = _release_of_folder(path)
        if known is None:
            raise InputError(f"{path}: expected the files of an extracted CIFAR archive, received none.")
        release, folder = known

        def read(names: tuple[str, ...]) -> dict[str, bytes]:
            return {name: _read_checked(folder, release.folder, name) for name in names}

    def load(contents: dict[str, bytes]) -> Examples:
        parts = [_parse(release, name, content, len(class_names)) for name, content in contents.items()]
        images = np.concatenate([part.images for part in parts])
        if image_size:
            images = fit_images(images, image_size, image_size)
        return Examples(images, np.concatenate([part.labels for part in parts]))

    contents = read((release.meta, *release.train))
    class_names = _class_names(release, contents.pop(release.meta))
    train = load(contents)
    return Source(
        name=release.dataset,
        class_names=class_names,
        image_shape=train.images.shape[1:],
        train=train,
        validation=None,
        load_test=lambda: load(read((release.test,))),
    )


def _open_archive(path: Path) -> tuple[Release, Callable[[tuple[str, ...]], dict[str, bytes]]]:
    with path.open("rb") as file:
        received = hashlib.file_digest(file, "md5").hexdigest()
    release = next((known for known in RELEASES if MD5[known.archive] == received), None)
    if release is None:
        raise InputError(_mismatch(path.name, MD5.get(path.name, "of an official CIFAR archive"), received))

    def read(names: tuple[str, ...]) -> dict[str, bytes]:
        found = {}
        try:
            with tarfile.open(path) as archive:
                for member in archive:  # in one pass: going back means decompressing from the start again
                    folder, _, name = member.name.rpartition("/")
                    wanted = folder == release.folder and name in names and member.isfile()
                    if wanted and (content := archive.extractfile(member)):
                        found[name] = content.read()
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise InputError(f"{path}: not a readable archive: {error}.") from error
        if missing := set(names) - set(found):
            raise InputError(f"{path}: expected {release.folder}/{min(missing)} in it, received none.")
        return {name: found[name] for name in names}

    return release, read


def _release_of_folder(path: Path) -> tuple[Release, Path] | None:
    for folder in (path, *(path / release.folder for release in RELEASES)):
        for release in RELEASES:
            # Two files, not one, for a file named train could be anything; not all, so that a missing one
            # is reported as missing.
            if sum((folder / name).is_file() for name in (*release.train, release.test, release.meta)) >= 2:
                return release, folder
    return None


def _read_checked(folder: Path, key: str, name: str) -> bytes:
    path = folder / name
    if not path.is_file():
        raise InputError(f"{name}: missing in {folder}. Extract the archive again.")
    content = path.read_bytes()
    expected, received = MD5.get(f"{key}/{name}"), hashlib.md5(content).hexdigest()
    if expected and received != expected:
        raise InputError(_mismatch(name, expected, received))
    size = SIZES.get(f"{key}/{name}", len(content))
    if len(content) != size:
        raise InputError(f"{name}: expected {size} bytes, received {len(content)}; the file is incomplete.")
    return content


def _mismatch(name: str, expected: str, received: str) -> str:
    return (
        f"{name}: expected md5 {expected}, received {received}; the file is incomplete or altered. Download it again."
    )


def _class_names(release: Release, content: bytes) -> tuple[str, ...]:
    if release.label_bytes:
        names = content.decode("ascii", "replace").split()
    else:
        names = [name.decode() for name in _unpickle(release.meta, content).get(release.meta_key, [])]
    expected = 10 if release.dataset == "cifar10" else 100
    if len(names) != expected:
        raise InputError(f"{release.meta}: expected {expected} class names, received {len(names)}.")
    return tuple(names)


def _parse(release: Release, name: str, content: bytes, num_classes: int) -> Examples:
    if release.label_bytes:
        width = release.label_bytes + PIXELS
        if not content or len(content) % width:
            raise InputError(f"{name}: expected records of {width} bytes, received {len(content)} bytes in all.")
        records = np.frombuffer(content, np.uint8).reshape(-1, width)
        pixels, labels = records[:, release.label_bytes :], records[:, release.label_bytes - 1]
    else:
        batch = _unpickle(name, content)
        try:
            pixels, labels = np.asarray(batch[b"data"]), np.asarray(batch[release.label])
        except KeyError as error:
            raise InputError(f"{name}: expected a batch with data and labels, {error} is missing.") from error
        if labels.dtype.kind not in "iu" or labels.ndim != 1:
            raise InputError(f"{name}: labels: expected int [n], received {labels.dtype} {labels.shape}.")
        if pixels.dtype != np.uint8 or pixels.shape != (len(labels), PIXELS):
            raise InputError(
                f"{name}: data: expected uint8 [{len(labels)}, 3072], received {pixels.dtype} {pixels.shape}."
            )
    labels = labels.astype(np.int64)
    check_labels(labels, num_classes, name)
    # Copied, so that pixels lie in memory in the order in which everything else reads them.
    images = np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return Examples(images, labels)


class _ArrayUnpickler(pickle.Unpickler):
    """A pickle may name any function to be called while it loads; these three are all that an array needs."""

    def find_class(self, module, name):
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            # The old name, which the files use, warns in NumPy 2; the new one is private, and untyped.
            return importlib.import_module("numpy._core.multiarray")._reconstruct
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise InputError(f"pickle: expected only NumPy arrays, received {module}.{name}; it was not run.")


def _unpickle(name: str, content: bytes) -> dict:
    try:
        batch = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise InputError(f"{name}: not a readable pickle ({error}).") from error
    if not isinstance(batch, dict):
        raise InputError(f"{name}: expected a pickled dict, received {type(batch).__name__}.")
    return batch
