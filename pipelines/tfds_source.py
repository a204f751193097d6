"""Images from TensorFlow Datasets (https://www.tensorflow.org/datasets): any set of (image, label) pairs."""

import difflib
import io
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import InputError, NotAtHandError, first_line
from pipelines.examples import Examples, Source, check_labels
from pipelines.image_folder import common_size, fit_image

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_datasets as tfds

DECODE_BATCH = 512  # images per step from tf.data to NumPy: large enough that Python's share is small


def open_tfds(name: str, data_dir: Path, image_size: int | None = None) -> Source:
    """Open a TFDS data set; without the network when `data_dir` holds it, else by downloading it there.

    The split "test" is the test part. A set without one but with "validation" (ImageNet and its relatives)
    gives the latter as official validation part, and has no test part.

    Args:
        name: as TFDS writes it, with config and version if wanted: "cifar10", "imagenette/160px", "cifar10:3.0.2".
        data_dir: the TFDS folder, which holds one folder per data set.
        image_size: see `sources.open_source`.

    Raises:
        InputError: unknown name; no (image, label) pairs; damaged files.
        NotAtHandError: not on the disk, and not to be downloaded.
    """
    builder = _builder(name, data_dir)
    # Before any download: 25 GB of COCO would be a high price for learning that it has no class labels.
    image_feature, label_feature = _supervised_features(builder, name)
    if not builder.info.splits:  # they are known only when the data set is on the disk
        _download(builder, name, data_dir)
    splits = builder.info.splits
    if "train" not in splits:
        raise InputError(f"{name}: expected a split named train, received {', '.join(splits) or 'none'}.")
    shape = image_feature.shape
    height, width = (image_size, image_size) if image_size else shape[:2]
    if height is None or width is None:
        sizes = [image.shape[:2] for image, _ in _pairs(builder, "train")]
        height, width = common_size(sizes)

    def read(split: str) -> Examples:
        if shape == (height, width, 3):
            return _read_fixed(builder, split)
        return _read_fitted(builder, split, height, width)

    train = read("train")
    check_labels(train.labels, label_feature.num_classes, f"{name} train")
    has_validation = "validation" in splits
    return Source(
        name=name,
        class_names=tuple(label_feature.names),
        image_shape=(height, width, 3),
        train=train,
        validation=read("validation") if has_validation else None,
        load_test=(lambda: read("test")) if "test" in splits else None,
    )


def list_names() -> list[str]:
    """The names of the data sets that TFDS can build, from the installed package (no network)."""
    return _import_tfds().list_builders(with_community_datasets=False)


def _import_tfds():
    # TensorFlow's C++ greetings (oneDNN, no CUDA) would bury our one-line errors. Ours only as a default.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow_datasets as tfds

    return tfds


def _builder(name: str, data_dir: Path) -> "tfds.core.DatasetBuilder":
    tfds = _import_tfds()
    base = re.split(r"[/:]", name)[0]
    if base not in list_names() and not (data_dir / base).is_dir():  # a folder: the user's own TFDS data set
        raise _unknown_name(name, list_names())
    try:
        return tfds.builder(name, data_dir=str(data_dir))
    except Exception as error:  # TFDS raises many types for a wrong config, version or folder
        raise InputError(f"{name}: TFDS cannot open it in {data_dir}: {_first_line(error)}") from error


def _download(builder: "tfds.core.DatasetBuilder", name: str, data_dir: Path) -> None:
    tfds = _import_tfds()
    print(f"{name}: not in {data_dir}; downloading it with TFDS.", file=sys.stderr, flush=True)
    with _quick_quiet_download(tfds), redirect_stdout(io.StringIO()):
        try:
            builder.download_and_prepare()
        except Exception as error:  # no network, a server's answer, a missing extra package, a full disk, ...
            raise NotAtHandError(
                f"{name}: not found in {data_dir}, and the download failed ({_cause(error)})."
                " Put it there, or set TFDS_DATA_DIR to the folder that holds it, prepared by TFDS or as the official"
                " archive. Commands with --dataset take an image folder as well."
            ) from error


def _unknown_name(name: str, names: list[str]) -> InputError:
    nearest = difflib.get_close_matches(name, [*names, "synthetic"], n=5)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    others = ", ".join([*nearest[1:], "synthetic"] if "synthetic" not in nearest else nearest[1:])
    return InputError(
        f"dataset: no such name or folder: {name}.{hint} Other choices: {others}, a path to an official CIFAR archive"
        " or an image folder, or any name that TFDS lists."
    )


@contextmanager
def _quick_quiet_download(tfds):
    """TFDS asks ten times over 204 s (measured) before it believes that there is no network; here 3 times, ~1 s."""
    from tensorflow_datasets.core.download import downloader

    retries = downloader.MAX_RETRIES
    downloader.MAX_RETRIES = 3
    # Not set back below: the other files' download threads go on complaining after the first has failed.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        yield
    finally:
        downloader.MAX_RETRIES = retries


def _supervised_features(builder: "tfds.core.DatasetBuilder", name: str) -> tuple:
    """The image and the label feature, or InputError if the set does not consist of such pairs."""
    tfds = _import_tfds()
    keys, features = builder.info.supervised_keys, builder.info.features
    if keys and len(keys) == 2 and all(isinstance(key, str) for key in keys):
        image, label = features[keys[0]], features[keys[1]]
        if isinstance(image, tfds.features.Image) and isinstance(label, tfds.features.ClassLabel):
            if image.np_dtype != np.uint8 or image.shape[-1] not in (1, 3):
                raise InputError(
                    f"{name}: expected uint8 images with 1 or 3 channels, received {np.dtype(image.np_dtype)}"
                    f" {image.shape}."
                )
            return image, label
    raise InputError(
        f"{name}: expected an image classification set (supervised keys: one image, one class label),"
        f" received features {', '.join(features)}."
    )


@contextmanager
def _naming_damaged_files(builder: "tfds.core.DatasetBuilder", split: str) -> Iterator[None]:
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        for path in builder.info.splits[split].filepaths:
            try:
                for _ in tf.data.TFRecordDataset(str(path)):
                    pass
            except tf.errors.OpError as damage:
                raise InputError(
                    f"{path}: damaged or incomplete ({_first_line(damage)}). Delete its folder to have it made again."
                ) from error
        raise InputError(f"{builder.data_path}: cannot read {split}: {_first_line(error)}") from error


def _dataset(builder: "tfds.core.DatasetBuilder", split: str) -> "tf.data.Dataset":
    return builder.as_dataset(split=split, as_supervised=True, shuffle_files=False)


def _read_fixed(builder: "tfds.core.DatasetBuilder", split: str) -> Examples:
    """Images of one known size, decoded by tf.data on all cores into one preallocated array."""
    count = builder.info.splits[split].num_examples
    images = np.empty((count, *builder.info.features[builder.info.supervised_keys[0]].shape), np.uint8)
    labels = np.empty(count, np.int64)
    start = 0
    with _naming_damaged_files(builder, split):
        for batch_images, batch_labels in _dataset(builder, split).batch(DECODE_BATCH).prefetch(2):
            stop = start + len(batch_labels)
            images[start:stop], labels[start:stop] = batch_images.numpy(), batch_labels.numpy()
            start = stop
    _check_count(builder, split, start, count)
    return Examples(images, labels)


def _pairs(builder: "tfds.core.DatasetBuilder", split: str) -> Iterator[tuple[np.ndarray, int]]:
    with _naming_damaged_files(builder, split):
        yield from _dataset(builder, split).prefetch(16).as_numpy_iterator()


def _read_fitted(builder: "tfds.core.DatasetBuilder", split: str, height: int, width: int) -> Examples:
    """Images of any size or grey ones, brought to [height, width, 3] one by one."""
    count = builder.info.splits[split].num_examples
    images, labels = np.empty((count, height, width, 3), np.uint8), np.empty(count, np.int64)
    read = 0
    for image, label in _pairs(builder, split):
        rgb = np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image
        images[read], labels[read] = fit_image(rgb, height, width), label
        read += 1
    _check_count(builder, split, read, count)
    return Examples(images, labels)


def _check_count(builder: "tfds.core.DatasetBuilder", split: str, received: int, expected: int) -> None:
    if received != expected:
        raise InputError(f"{builder.data_path}: {split}: expected {expected} examples, received {received}.")


def _first_line(error: Exception) -> str:
    """The part of a TensorFlow or TFDS message that says something to a user."""
    text = first_line(error)
    text = re.sub(r"\{\{.*?\}\} |Failed to construct dataset .*?\}\": | \[Op:.*", "", text)
    return text[:200].rstrip(" .")


def _cause(error: Exception) -> str:
    text = str(error)
    unresolved = re.search(r"Failed to resolve '([^']+)'", text)
    return f"no network: cannot resolve {unresolved.group(1)}" if unresolved else _first_line(error)
