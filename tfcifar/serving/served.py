"""A loaded model behind its queue, and what the protocols need to know of it."""

from pathlib import Path

import numpy as np

from pipelines.errors import InputError, first_line
from tfcifar.evaluation.probabilities import unscaled
from tfcifar.prediction.opened import Loader, Opened
from tfcifar.serving.batching import Batcher
from tfcifar.serving.metrics import Metrics
from tfcifar.serving.settings import Settings


class ServedModel:
    """One version of a model, loaded, warmed up and taking requests.

    Raises:
        InputError: the model cannot be loaded, takes no RGB images of one size, or does not give finite logits for
            batches of any size.
    """

    def __init__(self, name: str, version: int, path: Path, loader: Loader, settings: Settings, metrics: Metrics):
        opened = loader(path, settings.threads)
        self.name, self.version, self.platform = name, version, opened.platform
        self.image_shape, self.card = tuple(opened.image_shape), opened.card
        if [type(size) for size in self.image_shape] != [int, int, int] or self.image_shape[2] != 3:
            raise InputError(f"{path}: expected a model of images [height, width, 3], received {self.image_shape}.")
        self.num_classes = _warm_up(opened, path, settings.max_batch)
        self.class_names = list(opened.class_names or map(str, range(self.num_classes)))
        if len(self.class_names) != self.num_classes:
            raise InputError(
                f"{path}: expected {self.num_classes} class names, one for each logit, received "
                f"{len(self.class_names)}."
            )
        self.calibrated = opened.scaling is not None
        self.scaling = opened.scaling or unscaled(self.num_classes)
        self.acceptance, self.explain = opened.acceptance, opened.explain
        self.max_images = settings.max_queue
        watch = metrics.of_model(name, version)
        self.batcher = Batcher(
            opened.run, settings.max_batch, settings.max_delay, settings.max_queue, watch.on_batch, watch.on_queue
        )

    async def logits(self, images: np.ndarray) -> np.ndarray:
        """uint8 [n, *image_shape] -> float32 [n, k]. Raises RequestError: see `Batcher.submit`."""
        return await self.batcher.submit(images)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """float32 [n, k] -> float64 [n, k], calibrated where the model has a calibration."""
        return np.exp(self.scaling.apply(logits))

    def describe(self) -> dict:
        """JSON-ready, for pages and pickers."""
        return {
            "name": self.name,
            "version": str(self.version),
            "platform": self.platform,
            "image_shape": self.image_shape,
            "class_names": self.class_names,
            "calibrated": self.calibrated,
            "explains": self.explain is not None,
            "card": self.card,
        }


def _warm_up(opened: Opened, path: Path, max_batch: int) -> int:
    """Run the smallest and the largest batch, so that no caller pays for what is built at first use.

    Returns:
        The number of classes.
    """
    for images in (max_batch, 1):
        try:
            logits = opened.run(np.zeros((images, *opened.image_shape), np.uint8))
        except Exception as error:  # runtimes share no base class of errors
            line = first_line(error)
            raise InputError(f"{path}: the model fails on a batch of {images} images: {line}") from error
        if logits.ndim != 2 or len(logits) != images or logits.dtype != np.float32:
            raise InputError(
                f"{path}: expected logits float32 [{images}, num_classes] for {images} images, received "
                f"{logits.dtype} {list(logits.shape)}."
            )
        if not np.isfinite(logits).all():
            raise InputError(f"{path}: expected finite logits, received NaN or infinite ones.")
    return logits.shape[1]
