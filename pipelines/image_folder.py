"""Images from a folder of one's own: train/<class>/*.png, and optionally validation/ and test/ like it.

`read_image` and `fit_image` are the one way in which this project reads and resizes an image file; `predict`
uses them as well.
"""

import io
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipelines.disk_images import DiskImages, Images, keep_on_disk
from pipelines.errors import InputError, first_line
from pipelines.examples import Examples, Source

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
OTHER_SUFFIXES = (".gif", ".tif", ".tiff", ".heic", ".avif")  # of images too, which are told where they are left out
ERRORS_SHOWN = 3  # unreadable images that are named
FORMATS = ("PNG", "JPEG", "BMP", "WEBP")  # by content; Pillow knows many more, some of which start other programs
MODES = ("RGB", "RGBA", "L", "LA", "P", "PA", "1", "CMYK", "I;16")
LAYOUT = "train/<class>/*.png, optionally validation/<class>/ and test/<class>/ (png, jpg, jpeg, bmp, webp)"
T = TypeVar("T")


def open_image_folder(root: Path, image_size: int | None = None, cache: str = "memory") -> Source:
    """Open a folder laid out as train/<class>/<image>. Classes are the folders in train/, in sorted order.

    Files with other endings, and names that begin with a dot, are ignored; a note tells of those that may be images
    (.gif, .tif). test/ is listed and read only when `load_test` is called.

    Args:
        root: the folder that holds train/.
        image_size: images become image_size x image_size; None: see `common_size`.
        cache: "disk": images are decoded into a file of the cache folder (see `disk_images`), once, and stay there.

    Raises:
        InputError: another layout, fewer than two classes, an empty or unknown class folder, an unreadable image.
    """
    if not (root / "train").is_dir():
        raise InputError(f"{root}: no folder train/ in it. Expected layout: {LAYOUT}.")
    class_names = tuple(folder.name for folder in _folders(root / "train"))
    if len(class_names) < 2:
        raise InputError(
            f"{root / 'train'}: expected at least 2 class folders, received {len(class_names)}. Layout: {LAYOUT}."
        )
    train_files = _list_files(root / "train", class_names)
    has_validation = (root / "validation").is_dir()
    validation_files = _list_files(root / "validation", class_names) if has_validation else []
    if image_size:
        height, width = image_size, image_size
    else:
        height, width = common_size(list(_of_each(train_files, read_size)))

    def load_test() -> Examples:
        return read(_list_files(root / "test", class_names), height, width)

    read = _read if cache == "memory" else _read_to_disk
    # Together, so that both are in one file: a fold, or a final model, takes from both.
    examples, count = read(train_files + validation_files, height, width), len(train_files)
    train = _part(examples, 0, count) if has_validation else examples
    return Source(
        name=root.resolve().name,
        class_names=class_names,
        image_shape=(height, width, 3),
        train=train,
        validation=_part(examples, count, len(examples)) if has_validation else None,
        load_test=load_test if (root / "test").is_dir() else None,
    )


def read_class_folders(folder: Path, height: int, width: int) -> tuple[tuple[str, ...], Examples]:
    """Class names and all images of a folder laid out as <class>/<image>, as one part of an image folder is.

    Raises:
        InputError: no such folder, fewer than two classes, an empty class folder, an unreadable image.
    """
    class_names = tuple(each.name for each in _folders(folder)) if folder.is_dir() else ()
    if len(class_names) < 2:
        raise InputError(f"{folder}: expected a folder with at least 2 class folders, received {len(class_names)}.")
    return class_names, _read(_list_files(folder, class_names), height, width)


def read_image(source: str | Path | bytes, max_pixels: int | None = None) -> np.ndarray:
    """Read one image file (a path, or the file's bytes) as RGB: uint8 [h, w, 3].

    Grey, palette, black-and-white and CMYK images become RGB; of 16 bits the upper 8 count; transparent pixels show
    white; a camera's EXIF rotation is applied. Of an animation the first frame counts. What the file is called does
    not matter, only what is in it.

    Args:
        max_pixels: height x width; a larger image is refused by its header, before anything is decoded.

    Raises:
        InputError: not an image of FORMATS, truncated, larger than `max_pixels` or than Pillow's decompression bomb
            limit (89 megapixels), or of a mode without one obvious 8-bit RGB meaning (float, LAB, ...).
    """
    name = "image" if isinstance(source, bytes) else source
    try:
        with _open(source) as image:
            if max_pixels is not None and image.width * image.height > max_pixels:
                raise InputError(
                    f"{name}: expected at most {max_pixels:,} pixels, received {image.width} x {image.height}."
                )
            if image.mode not in MODES:
                raise InputError(f"{name}: image mode: expected {', '.join(MODES)}, received {image.mode}.")
            image = ImageOps.exif_transpose(image)
            if image.mode == "I;16":
                image = _in_8_bits(image)
            if image.has_transparency_data:
                layers = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), layers)
            return np.array(image.convert("RGB"))
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, ...
        raise _unreadable(name, error) from error


def read_size(path: str | Path) -> tuple[int, int]:
    """(height, width) of an image file as `read_image` would return it, from its header alone."""
    try:
        with _open(path) as image:
            sideways = image.getexif().get(0x0112, 1) >= 5  # EXIF orientations 5..8 swap the sides
            return (image.width, image.height) if sideways else (image.height, image.width)
    except Exception as error:
        raise _unreadable(path, error) from error


def fit_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale an image to cover height x width, keeping its proportions, and crop the centre.

    Bilinear over the whole footprint of each output pixel, thus free of aliasing when it shrinks an image.

    Args:
        image: uint8 [h, w, 3].

    Returns:
        uint8 [height, width, 3]; `image` itself if it has this size.
    """
    if image.shape[:2] == (height, width):
        return image
    return np.array(ImageOps.fit(Image.fromarray(image), (width, height), Image.Resampling.BILINEAR))


def fit_images(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """`fit_image` of each: uint8 [n, h, w, 3] -> [n, height, width, 3]; `images` itself if they have this size."""
    if images.shape[1:3] == (height, width):
        return images
    return np.stack([fit_image(image, height, width) for image in images])


def common_size(sizes: list[tuple[int, int]]) -> tuple[int, int]:
    """The (height, width) for images of `sizes`: theirs if they agree, else a square.

    The square's side is the median of the shorter sides, at least 32 and at most 224 pixels: below, there is
    nothing to see; above, ImageNet backbones gain little and every step costs more.
    """
    if len(set(sizes)) == 1:
        height, width = sizes[0]
        return int(height), int(width)
    side = int(np.clip(np.median([min(size) for size in sizes]), 32, 224))
    return side, side


def _open(source: str | Path | bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)


def _in_8_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits -> of 8, with white for the one value that may be transparent."""
    grey = np.asarray(image)
    return Image.fromarray(np.where(grey == image.info.get("transparency", -1), 255, grey >> 8).astype(np.uint8))


def _unreadable(name: object, error: Exception) -> InputError:
    reason = first_line(error)
    if isinstance(error, UnidentifiedImageError):  # its own text shows Python's name of the bytes
        reason = f"no {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file"
    return InputError(f"{name}: cannot be read as an image ({reason}).")


def _folders(parent: Path) -> list[Path]:
    return sorted(child for child in parent.iterdir() if child.is_dir() and not child.name.startswith("."))


def _list_files(part: Path, class_names: tuple[str, ...]) -> list[tuple[Path, int]]:
    """(file, label) of every image of train/, validation/ or test/, sorted by class and file name."""
    files = []
    left_out: list[Path] = []
    for folder in _folders(part):
        if folder.name not in class_names:
            raise InputError(f"{folder}: train/ has no such class. Classes: {', '.join(class_names)}.")
        images = sorted(
            path
            for path in folder.iterdir()
            if path.is_file() and path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        )
        if not images:
            raise InputError(f"{folder}: expected images ({', '.join(SUFFIXES)}), received none.")
        files += [(path, class_names.index(folder.name)) for path in images]
        left_out += [path for path in folder.iterdir() if path.suffix.lower() in OTHER_SUFFIXES and path.name[0] != "."]
    if not files:
        raise InputError(f"{part}: no class folders in it. Expected layout: {LAYOUT}.")
    if left_out:
        endings = ", ".join(sorted({path.suffix.lower() for path in left_out}))
        print(f"NOTE: {part}: files left out: {len(left_out):,} ({endings}); images are {', '.join(SUFFIXES)}.",
              file=sys.stderr, flush=True)  # fmt: skip
    return files


def _of_each(files: list[tuple[Path, int]], read: Callable[[Path], T]) -> Iterator[T]:
    """`read` of each path, without those that it raises InputError for: all of them are one error, at the end."""
    errors = []
    for path, _ in files:
        try:
            found = read(path)
        except InputError as error:
            errors.append(error)
            continue
        yield found
    if len(errors) > 1:
        first = " ".join(map(str, errors[:ERRORS_SHOWN]))
        raise InputError(f"{len(errors):,} of {len(files):,} images cannot be used, among them: {first}")
    if errors:
        raise errors[0]


def _read(files: list[tuple[Path, int]], height: int, width: int) -> Examples:
    images = np.empty((len(files), height, width, 3), np.uint8)
    for index, image in enumerate(_of_each(files, lambda path: fit_image(read_image(path), height, width))):
        images[index] = image
    return _examples(images, files)


def _read_to_disk(files: list[tuple[Path, int]], height: int, width: int) -> Examples:
    known = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path, _ in files]
    decoded = _of_each(files, lambda path: fit_image(read_image(path), height, width))
    return _examples(keep_on_disk(decoded, len(files), (height, width, 3), repr(known)), files)


def _examples(images: Images, files: list[tuple[Path, int]]) -> Examples:
    names = np.array(["/".join(path.parts[-3:]) for path, _ in files])  # part/class/file
    return Examples(images, np.array([label for _, label in files], np.int64), names)


def _part(examples: Examples, start: int, stop: int) -> Examples:
    """A view in memory, or still on the disk."""
    if isinstance(examples.images, DiskImages):
        return examples.take(np.arange(start, stop))
    files = None if examples.files is None else examples.files[start:stop]
    return Examples(examples.images[start:stop], examples.labels[start:stop], files)
