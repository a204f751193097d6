"""What the tests of several devices train: a small recipe that uses most parts of a training step.

python -m tests.integration.sharing FOLDER mirrored             # train it on two devices
python -m tests.integration.sharing FOLDER multi_worker poison  # with a loss of NaN on the second one's third step
"""

import sys

import numpy as np
import tensorflow as tf

from pipelines.augment_config import Augment
from pipelines.sources import Examples, Source
from pipelines.splits import Splits, make_splits
from tfcifar.cli import run
from tfcifar.recipe import Model, MultiTask, Optimizer, Recipe, Schedule, SmallImages
from tfcifar.run_dir import RunDir
from tfcifar.training.devices import Devices, open_devices
from tfcifar.training.distributed import DistributedModel
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


class Poison(DistributedModel):
    """A loss that is NaN on one device alone, in one step; its gradient is finite, so that no later one tells."""

    def compute_loss(self, *arguments, **options):
        loss, device = super().compute_loss(*arguments, **options), tf.distribute.get_replica_context()
        if device is None:  # Keras builds its metrics
            return loss
        bad = tf.logical_and(self.optimizer.iterations == 2, device.replica_id_in_sync_group == 1)
        return loss + tf.stop_gradient(tf.where(bad, np.nan, 0.0))


def main() -> None:
    folder, strategy, *poison = sys.argv[1:]
    if strategy == "mirrored":
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    if poison:
        Devices.model_class = Poison
    train(RECIPE, make_test_splits(), RunDir(folder), devices=open_devices(strategy))


if __name__ == "__main__":
    run(main)
