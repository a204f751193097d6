"""What the tests of several devices train: a small recipe that uses most parts of a training step.

python -m tests.integration.sharing FOLDER 2    # train it on two devices
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipelines.augment_config import Augment
from pipelines.sources import Examples, Source
from pipelines.splits import Splits, make_splits
from tfcifar.recipe import Model, MultiTask, Optimizer, Recipe, Schedule, SmallImages
from tfcifar.run_dir import RunDir
from tfcifar.training.devices import open_devices
from tfcifar.training.trainer import train

# Whatever an image draws, and whom it is mixed with, must not depend on how many devices share the batch.
AUGMENT = Augment(flip="alternating", crop_padding=2, cutout_size=4, mixup_alpha=0.4, label_smoothing=0.1)


# Small images first, Muon on the convolutions and SGD on the rest, a clipped gradient, an average over steps, a second
# head, BatchNorm of maps and of vectors.
RECIPE = Recipe(
    "shared",
    Model("residual_cnn", widths=(4,)),
    epochs=2,
    batch_size=16,
    augment=AUGMENT,
    optimizer=Optimizer("muon", learning_rate=0.05, momentum=0.6, weight_decay=0.01, clip_norm=0.5, ema_decay=0.9),
    schedule=Schedule("linear"),
    small_images=SmallImages(1, image_size=16),
    multi_task=MultiTask(("warm: red", "cold: green blue")),
    mixed_precision="float32",
)


def make_test_splits() -> Splits:
    """70 images of 20 px in three classes, each brighter in the colour of its class: 63 to train on, 7 to validate."""
    random = np.random.RandomState(0)
    labels = np.arange(70, dtype=np.int64) % 3
    images = random.randint(0, 100, (70, 20, 20, 3)).astype(np.uint8)
    images[np.arange(70), :, :, labels] += 100
    return make_splits(Source("colours", ("red", "green", "blue"), (20, 20, 3), Examples(images, labels), None, None))


def main() -> None:
    folder, devices = Path(sys.argv[1]), int(sys.argv[2])
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
    train(RECIPE, make_test_splits(), RunDir(folder), devices=open_devices("mirrored"))


if __name__ == "__main__":
    main()
