"""What a .keras file asks of memory, looked at before Keras believes it: a file from elsewhere may be a bomb.

Keras itself runs no code of a file in safe mode. But it reads what the file says, builds what its configuration says,
and both may be thousands of times larger than the file.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.errors import InputError

MEMBERS = {"metadata.json": 1 << 20, "config.json": 64 << 20, "model.weights.h5": 8 << 30}  # bytes, unpacked, at most
LARGEST = 4096  # pixels of a side, and whatever other number no weight stands for
FREE = ("seed", "shared_object_id")  # keys whose numbers ask for nothing


def check_keras_file(path: Path) -> None:
    """Raises InputError where a .keras file holds or asks for what no saved model of its size does.

    zipfile.BadZipFile and other errors mean that it is no .keras file at all.
    """
    with zipfile.ZipFile(path) as file:
        for info in file.infolist():
            if info.filename not in MEMBERS:
                raise _refused(path, f"members {', '.join(MEMBERS)}", info.filename)
            if info.file_size > min(MEMBERS[info.filename], max(100 * info.compress_size, 1 << 20)):
                raise _refused(path, "members of their usual size", f"{info.filename} of {info.file_size:,} bytes")
        try:
            config = json.loads(file.read("config.json"))
        except RecursionError:
            raise _refused(path, "a configuration", "one nested without end") from None
        largest = max(LARGEST, _largest_dimension(path, io.BytesIO(file.read("model.weights.h5"))))
    for key, number in _numbers(config):
        if number > largest:
            raise _refused(path, f"at most {largest:,} where its weights have no larger dimension", f"{key} {number:,}")


def _largest_dimension(path: Path, content: io.BytesIO) -> int:
    """Of the weights' shapes. Raises InputError where one takes less of the file than it will of memory."""
    import h5py

    largest = 0

    def look(name, item):
        nonlocal largest
        if isinstance(item, h5py.Dataset):
            if item.nbytes > item.id.get_storage_size():
                raise _refused(path, "weights as they are", f"{name} of {item.shape}, which is not in the file")
            largest = max(largest, *item.shape, 0)

    with h5py.File(content, "r") as file:
        file.visititems(look)
    return largest


def _numbers(config: Any, key: str = "") -> Iterator[tuple[str, int]]:
    """(key, number) of all whole numbers in `config`."""
    if isinstance(config, dict):
        for name, value in config.items():
            yield from _numbers(value, name)
    elif isinstance(config, list):
        for value in config:
            yield from _numbers(value, key)
    elif isinstance(config, int) and key not in FREE:
        yield key, config


def _refused(path: Path, expected: str, received: str) -> InputError:
    return InputError(f"{path}: cannot be loaded as a .keras model: expected {expected}, received {received}.")
