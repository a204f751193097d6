"""Images of another kind than those that a network was trained on: generated, noise, or from a folder."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipelines.errors import InputError
from pipelines.image_folder import SUFFIXES, fit_image, fit_images, read_image
from pipelines.synthetic import SHAPES, generate
from tfcifar.prediction.find_images import images_below

COUNT = 2000  # generated images of each kind: a share of them is then known to about one point
OWN = "own"  # what the images that the network is made for are called among these
SEED = 20180807  # not one of the synthetic data set's


def parse_folders(arguments: list[str]) -> dict[str, Path]:
    """NAME=FOLDER, each -> folders by name.

    Raises:
        InputError: another form, a name that is taken, or no such folder.
    """
    folders: dict[str, Path] = {}
    for argument in arguments:
        name, equals, folder = argument.partition("=")
        if not (equals and name and folder):
            raise InputError(f"--ood: expected NAME=FOLDER, received {argument!r}.")
        if name in (*GENERATED, OWN, *folders):
            raise InputError(f"--ood: {name}: expected another name, this one is taken.")
        folders[name] = Path(folder).expanduser()
        image_files(folders[name])
    return folders


def image_files(folder: Path) -> list[Path]:
    """The image files in `folder` and below, sorted. Raises InputError if there are none."""
    if not folder.is_dir():
        raise InputError(f"--ood: no such folder: {folder}.")
    files = images_below(folder)
    if not files:
        raise InputError(f"--ood: expected images ({', '.join(SUFFIXES)}) in {folder}, found none.")
    return files


def folder_images(folder: Path, height: int, width: int) -> np.ndarray:
    """All images in `folder` and below, scaled and cropped, uint8 [n, height, width, 3]."""
    files = tqdm(image_files(folder), desc=f"images of {folder.name}", unit="image", leave=False, disable=None)
    return np.stack([fit_image(read_image(path), height, width) for path in files])


def generated_images(name: str, count: int, height: int, width: int) -> np.ndarray:
    """`count` images of GENERATED, the same on every call, uint8 [count, height, width, 3]."""
    return GENERATED[name](count, height, width)


def _synthetic(count: int, height: int, width: int) -> np.ndarray:
    images = generate(count, len(SHAPES), max(height, width, 8), SEED).images
    return fit_images(np.asarray(images), height, width)


def _uniform_noise(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(SEED).integers(0, 256, (count, height, width, 3), np.uint8)


def _gaussian_noise(count: int, height: int, width: int) -> np.ndarray:
    """Mean 0.5 and standard deviation 1, cut at 0 and 1: Liang et al. 2018, "ODIN" (arXiv:1706.02690)."""
    rng = np.random.default_rng(SEED)
    images = np.empty((count, height, width, 3), np.uint8)
    for image in images:
        image[:] = (np.clip(rng.normal(0.5, 1, image.shape), 0, 1) * 255).round()
    return images


GENERATED = {"synthetic": _synthetic, "uniform_noise": _uniform_noise, "gaussian_noise": _gaussian_noise}
