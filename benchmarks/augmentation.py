"""Images per second of each augmentation, and of the Keras 3 layer that does the same, in one run.

python -m benchmarks.augmentation --output docs/augmentation.md
"""

import statistics
import time
from pathlib import Path

from tfcifar.cli import make_parser, run

HEADER = """# Speed of augmentation

    {command}

{hardware}; TensorFlow {tensorflow}, Keras {keras}. Batches of {batch_size} float32 images of {size}x{size}, inside
`tf.function`; median of {repeats} batches, this project and Keras in turn. "Ratio" is this project over Keras.
"Per image: no" means that the layer gives all images of a batch the same draw.

"""


def parse(argv=None):
    parser = make_parser("benchmarks.augmentation", __doc__)
    parser.add_argument("--batch-size", type=int, default=512, help="images per batch (default: %(default)s)")
    parser.add_argument("--size", type=int, default=32, help="height and width in pixels (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=30, help="timed batches of each (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="Markdown file to write; printed in any case")
    return parser.parse_args(argv)


def operations(labels, example_ids):
    """Name -> (images, seed) -> images [, labels]: every operation at a usual strength."""
    from pipelines import augment as aug

    everyday = aug.Augment(flip="random", crop_padding=4, cutout_size=8, label_smoothing=0.1)
    return {
        "random_flip": aug.random_flip,
        "alternating_flip": lambda images, seed: aug.alternating_flip(images, example_ids, 1, seed),
        "crop_translate": lambda images, seed: aug.crop_translate(images, seed, padding=4),
        "shift": lambda images, seed: aug.shift(images, seed, fraction=0.1),
        "rotate": lambda images, seed: aug.rotate(images, seed, degrees=15),
        "color_jitter": lambda images, seed: aug.color_jitter(images, seed, 0.4, 0.4, 0.4, hue=0.1),
        "random_erasing": lambda images, seed: aug.random_erasing(images, seed, probability=0.5),
        "cutout": lambda images, seed: aug.cutout(images, seed, size=8),
        "rand_augment": lambda images, seed: aug.rand_augment(images, seed, num_layers=2, magnitude=9.0),
        "augmix": lambda images, seed: aug.augmix(images, seed, chains=3, severity=3.0),
        "mixup": lambda images, seed: aug.mixup(images, labels, seed, alpha=0.2),
        "cutmix": lambda images, seed: aug.cutmix(images, labels, seed, alpha=1.0),
        "flip, crop, cutout, smoothing": lambda images, seed: aug.augment_batch(
            images, labels, example_ids, 0, seed, everyday
        ),
    }


def keras_layers(size, labels):
    """Operation name -> (Keras layer's name, images -> images [, labels]) with the same settings."""
    import keras
    import tensorflow as tf

    layers = {
        "random_flip": keras.layers.RandomFlip("horizontal"),
        "crop_translate": keras.layers.RandomCrop(size, size),
        "shift": keras.layers.RandomTranslation(0.1, 0.1, interpolation="nearest"),
        "rotate": keras.layers.RandomRotation(15 / 360),
        "color_jitter": keras.layers.RandomColorJitter(
            brightness_factor=0.4, contrast_factor=0.4, saturation_factor=(0.3, 0.7), hue_factor=0.1
        ),
        "random_erasing": keras.layers.RandomErasing(factor=(0.5, 0.5), scale=(0.02, 0.4)),
        "rand_augment": keras.layers.RandAugment(num_ops=2, factor=0.3),
        "augmix": keras.layers.AugMix(num_chains=3, factor=0.3, all_ops=False),
        "mixup": keras.layers.MixUp(alpha=0.2),
        "cutmix": keras.layers.CutMix(factor=1.0),
    }
    border = [[0, 0], [4, 4], [4, 4], [0, 0]]

    def caller(name, layer):
        if name == "crop_translate":
            return lambda images: layer(tf.pad(images, border, "REFLECT"), training=True)
        if name in ("mixup", "cutmix"):
            return lambda images: layer({"images": images, "labels": labels}, training=True)
        return lambda images: layer(images, training=True)

    return {name: (type(layer).__name__, caller(name, layer)) for name, layer in layers.items()}


def measure(batch_size, size, repeats):
    """One row per operation: name, images/s, Keras layer, its images/s, whether it draws per image."""
    import tensorflow as tf

    images = tf.random.stateless_uniform([batch_size, size, size, 3], (0, 0), 0.0, 255.0)
    labels = tf.one_hot(tf.range(batch_size) % 10, 10)
    layers = keras_layers(size, labels)
    rows = []
    for name, operation in operations(labels, tf.range(batch_size)).items():
        ours = tf.function(operation)
        layer_name, layer = layers.get(name, (None, None))
        runs = {"ours": lambda step, ours=ours: ours(images, tf.stack([0, step]))}
        if layer:
            compiled = tf.function(layer)
            runs["keras"] = lambda step, compiled=compiled: compiled(images)
        speeds = {key: batch_size / seconds for key, seconds in _median_seconds(runs, repeats).items()}
        rows.append(
            (name, speeds["ours"], layer_name, speeds.get("keras"), layer and _draws_per_image(name, layer, images))
        )
    return rows


def _median_seconds(runs, repeats):
    import tensorflow as tf

    seconds = {key: [] for key in runs}
    for step in range(repeats + 2):  # the first two trace and warm up
        for key, once in runs.items():
            start = time.perf_counter()
            tf.nest.flatten(once(tf.constant(step)))[0].numpy()  # waits for the device
            seconds[key].append(time.perf_counter() - start)
    return {key: statistics.median(values[2:]) for key, values in seconds.items()}


def _draws_per_image(name, layer, images):
    """Whether equal images of one batch come out different; not visible where two images are mixed."""
    import numpy as np
    import tensorflow as tf

    if name in ("mixup", "cutmix"):
        return None
    equal = tf.tile(images[:1], [32, 1, 1, 1])
    # Several times: RandAugment may happen to choose an operation that has no magnitude.
    return any(bool(np.ptp(np.asarray(layer(equal)), axis=0).max() > 0) for _ in range(8))


def table(rows):
    lines = ["| operation | images/s | Keras layer | images/s | ratio | per image |", "|---|--:|---|--:|--:|---|"]
    for name, ours, layer, theirs, per_image in rows:
        keras = f"{layer} | {theirs:,.0f} | {ours / theirs:.1f}" if layer else "- | |"
        lines.append(
            f"| {name} | {ours:,.0f} | {keras} | {'' if per_image is None else 'yes' if per_image else 'no'} |"
        )
    return "\n".join(lines) + "\n"


def main(argv=None):
    args = parse(argv)
    from tfcifar.environment import describe_environment
    from tfcifar.run_dir import write_text

    rows = table(measure(args.batch_size, args.size, args.repeats))
    print(rows)
    if args.output:
        environment = describe_environment()
        header = HEADER.format(**environment, **environment["packages"], **vars(args))
        write_text(args.output, header + rows)


if __name__ == "__main__":
    run(main)
