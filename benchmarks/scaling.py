"""Weak scaling: what sharing a batch among devices costs, with the same images for each device however many there are.

python -m benchmarks.scaling --output docs/scaling.md
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.children import answer_of, ask
from benchmarks.document import spread, write_section
from tfcifar.cli import make_parser, run

HEADER = """### Measured: weak scaling with logical devices

    {command}

{hardware}; TensorFlow {tensorflow}, Keras {keras}. `{model}` in float32, {batch} images of 32x32 px for each device,
input chain included. The devices are parts of one CPU, and share its cores: `n` devices have `n` times the work of one
and no more hardware, so that without any overhead images/s would stay the same. Each number of devices has a process of
its own; in each of {rounds} rounds all take their turn for {steps} steps. Overhead is one device's images/s over the
row's, minus one: median, with the smallest and the largest of a round.

"""
COLUMNS = ["| devices | images a step | ms a step | images/s | overhead |", "|---|--:|--:|--:|--:|"]


def parse(argv=None):
    parser = make_parser("benchmarks.scaling", __doc__)
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 2, 4], help="default: 1 2 4")
    parser.add_argument("--model", default="residual_cnn", help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=64, help="images of each device (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=5, help="timed steps in a round (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="Markdown file whose section to write; the table is printed")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def answer(model: str, batch: int, steps: int, devices: int) -> None:
    """In a process of its own: train `steps` for each line of stdin, and print how many seconds one took.

    devices: that share each batch; 0: one, without `tf.distribute`.
    """
    import tensorflow as tf

    if devices > 1:
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
    fit = make_training(model, batch * max(devices, 1), devices)
    fit(2)  # traces the graph
    print("ready", flush=True)
    for _ in sys.stdin:
        print(fit(steps), flush=True)


def make_training(model: str, batch_size: int, devices: int):
    """steps -> seconds of one step, of a training that shares its batches among `devices`."""
    import keras
    import numpy as np

    from pipelines.augment_config import Augment
    from pipelines.datasets import make_train_dataset
    from pipelines.sources import Examples
    from tfcifar.models import build_model
    from tfcifar.recipe import Model
    from tfcifar.training.devices import open_devices

    shared = open_devices("mirrored" if devices else "none")
    random = np.random.default_rng(0)
    count = 4 * batch_size
    images = random.integers(0, 256, (count, 32, 32, 3), np.uint8)
    examples = Examples(images, random.integers(0, 10, count))
    augment = Augment(flip="random", crop_padding=2)

    def batches(**shares):
        return make_train_dataset(examples, 10, augment, batch_size, 0, 0, 1, **shares).repeat()

    with shared.scope():
        network = build_model(Model(model), (32, 32, 3), 10, (0.49, 0.48, 0.45), (0.25, 0.24, 0.26))
        trainable = shared.model_class.wrap(network, None, None, integer_labels=False)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        trainable.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss=loss, jit_compile=False)
    train_ds = shared.distributed(batches)

    class Clock(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.ends = []

        def on_train_batch_end(self, batch, logs=None):
            self.ends.append(time.perf_counter())

    clock = Clock()

    def fit(steps: int) -> float:
        trainable.fit(train_ds, steps_per_epoch=steps + 1, callbacks=[clock], shuffle=False, verbose=0)
        return (clock.ends[-1] - clock.ends[0]) / steps  # from the end of the first, which starts the input chain

    return fit


def measure(args) -> dict[int, list[float]]:
    """Seconds of a step in each round, by devices; 0: without tf.distribute."""
    from tqdm import tqdm

    counts = [0, *args.devices]
    sizes = ["--model", args.model, "--batch", str(args.batch), "--steps", str(args.steps)]
    children = {}
    try:
        for count in counts:
            command = [sys.executable, "-m", "benchmarks.scaling", *sizes, "--child", str(count)]
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            children[count] = child
            answer_of(child)  # it has traced its step
        seconds = {count: [] for count in counts}
        for _ in tqdm(range(args.rounds), desc=args.model):
            for count, child in children.items():
                seconds[count].append(float(ask(child)))
        return seconds
    finally:
        for child in children.values():
            child.kill()
            child.wait()


def table(seconds: dict[int, list[float]], batch: int) -> str:
    """The Markdown table of what `measure` returns."""
    rows = list(COLUMNS)
    for count, times in seconds.items():
        images = batch * max(count, 1)
        # Per round: what a step took over what as many single steps would have taken.
        overheads = [own / (max(count, 1) * one) - 1 for own, one in zip(times, seconds[0], strict=True)]
        median = statistics.median(times)
        name = f"{count}" if count else "1, without tf.distribute"
        overhead = spread(overheads, ".0%") if count else ""
        rows.append(f"| {name} | {images} | {1000 * median:.0f} | {images / median:.0f} | {overhead} |")
    return "\n".join(rows)


def main() -> None:
    args = parse()
    if args.child is not None:
        answer(args.model, args.batch, args.steps, args.child)
        return
    from tfcifar.environment import describe_environment

    rows = table(measure(args), args.batch)
    print(rows)
    if args.output:
        environment = describe_environment()
        header = HEADER.format(
            **environment,
            **environment["packages"],
            model=args.model,
            batch=args.batch,
            rounds=args.rounds,
            steps=args.steps,
        )
        write_section(args.output, "scaling", header + rows)


if __name__ == "__main__":
    run(main)
