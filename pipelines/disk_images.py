"""Images that stay on the disk: decoded once into one file of bytes, read from there batch by batch."""

import contextlib
import glob
import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from pipelines.errors import cannot_write
from pipelines.processes import is_running


class DiskImages:
    """uint8 [n, height, width, 3] in a file. An index reads those images alone, as an array like any other.

    The pages that the system keeps of the file in memory are its own to take back.
    """

    dtype, ndim = np.dtype(np.uint8), 4

    def __init__(self, path: Path, image_shape: tuple[int, int, int], rows: np.ndarray):
        """rows: int64 [n], which images of the file these are, in this order."""
        height, width, channels = image_shape
        self.path, self.image_shape, self.rows = path, (height, width, channels), rows
        self._file = np.memmap(path, np.uint8, "r").reshape(-1, *self.image_shape)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self.rows), *self.image_shape)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.array(self._file[self.rows[index]])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        """All of them, in memory: for what cannot do with less."""
        return self[:].astype(dtype or self.dtype, copy=False)

    def astype(self, dtype: DTypeLike) -> np.ndarray:
        return self.__array__(dtype)

    def take(self, indices: np.ndarray) -> "DiskImages":
        """Those at `indices`, still on the disk."""
        return DiskImages(self.path, self.image_shape, self.rows[indices])

    def followed_by(self, other: "DiskImages") -> "DiskImages":
        """Both, where they lie in one file."""
        if self.path != other.path:
            raise ValueError(f"images: expected those of one file. Received: {self.path}, {other.path}")
        return DiskImages(self.path, self.image_shape, np.concatenate([self.rows, other.rows]))


Images: TypeAlias = np.ndarray | DiskImages  # what only indexes its images takes either


def cache_folder() -> Path:
    """$TFCIFAR_CACHE, else ~/.cache/tfcifar (or where XDG_CACHE_HOME says)."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TFCIFAR_CACHE") or f"{base}/tfcifar").expanduser()


def keep_on_disk(images: Iterable[np.ndarray], count: int, image_shape: tuple[int, int, int], key: str) -> DiskImages:
    """`count` images (uint8, `image_shape`) in a file of the cache folder; made only where it is not there, or damaged.

    Args:
        key: says what they are made of: another key is another file.

    Raises:
        InputError: the disk is full, or the cache folder may not be written to.
    """
    name = hashlib.sha256(f"{key} {count} {image_shape}".encode()).hexdigest()[:32]
    path, record = cache_folder() / f"{name}.uint8", cache_folder() / f"{name}.json"
    if not _is_whole(path, record, count * int(np.prod(image_shape))):
        try:
            _write(path, record, images)
        except OSError as error:
            raise cannot_write(error, path) or error from error
    return DiskImages(path, image_shape, np.arange(count))


def _is_whole(path: Path, record: Path, size: int) -> bool:
    if not (path.is_file() and record.is_file()):
        return False
    try:
        whole = path.stat().st_size == size and json.loads(record.read_text())["sha256"] == _digest(path)
    except (ValueError, KeyError, TypeError):  # no such record
        whole = False
    if not whole:
        print(f"NOTE: {path}: incomplete or altered, and is made again.", file=sys.stderr, flush=True)
    return whole


def _write(path: Path, record: Path, images: Iterable[np.ndarray]) -> None:
    """Both files under temporary names first; the record last, which says that there is a whole file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = f".{path.stem}.{platform.node()}-"  # hosts may share the folder, and know their own processes only
    for left in path.parent.glob(f"{glob.escape(own)}*.tmp"):
        with contextlib.suppress(ValueError):  # another's name
            if not is_running(int(left.name.removeprefix(own).removesuffix(".tmp"))):
                left.unlink()
    temporary, digest = path.with_name(f"{own}{os.getpid()}.tmp"), hashlib.sha256()
    try:
        with temporary.open("wb") as file:
            for image in images:
                content = image.tobytes()
                file.write(content)
                digest.update(content)
        record.unlink(missing_ok=True)
        os.replace(temporary, path)
        temporary.write_text(json.dumps({"sha256": digest.hexdigest()}))
        os.replace(temporary, record)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
