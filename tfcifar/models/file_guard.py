"""What a .keras file asks of memory, looked at before Keras believes it: a file from elsewhere may be a bomb.

Keras itself runs no code of a file in safe mode. But it reads what the file says, builds what its configuration says,
and both may be thousands of times larger than the file.
"""

import io
import json
import math
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pipelines.errors import InputError

MEMBERS = {"metadata.json": 1 << 20, "config.json": 64 << 20, "model.weights.h5": 8 << 30}  # bytes, unpacked, at most
LARGEST = 4096  # pixels of a side, and whatever other number no weight stands for
FREE = ("seed", "shared_object_id")  # keys whose numbers ask for nothing
SPARE = 1 << 20  # numbers that a model's variables may have beyond those of its file
LOADING = threading.Lock()


def check_keras_file(path: Path) -> int:
    """Raises InputError where a .keras file holds or asks for what no saved model of its size does.

    zipfile.BadZipFile and other errors mean that it is no .keras file at all.

    Returns:
        How many numbers its weights are, for `no_more_weights_than`.
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
        shapes = _shapes(path, io.BytesIO(file.read("model.weights.h5")))
    largest = max(LARGEST, *(max(shape, default=0) for shape in shapes), 0)
    for key, number in _numbers(config):
        if key == "stateful" and number:  # its size is in no weight
            raise _refused(path, "no layer that keeps a state", "one that is stateful")
        if number > largest:
            raise _refused(path, f"at most {largest:,} where its weights have no larger dimension", f"{key} {number:,}")
    return sum(map(math.prod, shapes))


@contextmanager
def no_more_weights_than(path: Path, numbers: int) -> Iterator[None]:
    """In the block, this thread's variables take room like the `numbers` of a file; InputError where they take more.

    Each number of a configuration may be small, and their product, which is what a weight takes, huge. Metrics and
    optimizers that were compiled into a nested model have variables too.
    """
    import keras

    most, thread = 4 * numbers + SPARE, threading.get_ident()  # 4: an optimizer keeps up to three for each
    left = most

    def counted(variable, initializer, shape=None, *args, **kwargs):
        nonlocal left
        if threading.get_ident() == thread:
            left -= abs(math.prod(shape or ()))
            if left < 0:
                raise MemoryError
        make(variable, initializer, shape, *args, **kwargs)

    with LOADING:
        make = keras.Variable.__init__
        keras.Variable.__init__ = counted
        try:
            yield
        finally:
            keras.Variable.__init__ = make
            if left < 0:  # here, as Keras makes other errors of some that its layers raise
                expected = f"weights like the {numbers:,} numbers in the file"
                raise _refused(path, expected, f"more than {most:,}") from None


def check_weights_file(path: Path) -> None:
    """Raises InputError where a file of weights alone, .h5 or .keras, takes more of memory than of the disk.

    OSError and zipfile.BadZipFile mean that it is no such file at all.
    """
    if path.suffix == ".keras":
        check_keras_file(path)
        return
    with path.open("rb") as file:
        _shapes(path, file)


def _shapes(path: Path, content: BinaryIO) -> list[tuple[int, ...]]:
    """Of the weights. Raises InputError where one takes less of the file than it will of memory."""
    import h5py

    shapes = []

    def look(name, item):
        if isinstance(item, h5py.Dataset):
            if item.nbytes > item.id.get_storage_size():
                raise _refused(path, "weights as they are", f"{name} of {item.shape}, which is not in the file")
            shapes.append(item.shape)

    with h5py.File(content, "r") as file:
        file.visititems(look)
    return shapes


def _numbers(config: Any, key: str = "") -> Iterator[tuple[str, int]]:
    """(key, number) of all whole numbers in `config`."""
    if isinstance(config, dict):
        for name, value in config.items():
            yield from _numbers(bool(value) if name == "stateful" else value, name)
    elif isinstance(config, list):
        for value in config:
            yield from _numbers(value, key)
    elif isinstance(config, int) and key not in FREE:
        yield key, config


def _refused(path: Path, expected: str, received: str) -> InputError:
    return InputError(f"{path}: cannot be loaded: expected {expected}, received {received}.")
