"""This project's training step against the same network in PyTorch, in turn, on the same cores.

python -m benchmarks.train_speed --output docs/performance.md     # pip install torch
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.children import ask
from tfcifar.cli import make_parser, run

HEADER = """## The fast network against PyTorch

    {command}

(`pip install torch` first, for this comparison only.) {hardware}; TensorFlow {tensorflow}, Keras {keras},
PyTorch {torch}. The network of `fast_94` (`fast_cnn`: 2.0 M
parameters, 118 M MACs) at 32 px, forward, backward and SGD with Nesterov momentum (on both sides; PyTorch's
Muon takes no convolutions) on a batch that is already in memory, bfloat16 on both sides. Two
processes on the same cores take turns of {steps} steps, {rounds} rounds; the ratio is that of each round (above 1: this
project is faster), with its smallest and largest value.

The PyTorch side (`benchmarks/peer_torch.py`) runs eagerly with autocast, channels_last and one thread a core, under
three settings of the memory allocator (glibc's); this project leaves it as it is. The first row of a batch size, the
one on record, is against PyTorch's fastest.

"""
ROW = "| {batch_size} | {peer} | {ours:.3f} | {theirs:.3f} | **{ratio:.2f}** ({low:.2f} to {high:.2f}) |"
LEARNING_RATE = 1e-3


def parse(argv=None):
    parser = make_parser("benchmarks.train_speed", __doc__)
    parser.add_argument("--batch-size", type=int, nargs="+", default=[1000, 500], help="default: 1000 500")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each side (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=4, help="steps in a turn (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="Markdown file whose section to write; the table is printed")
    parser.add_argument("--record", action="store_true", help="put the ratio of the first batch size on record")
    parser.add_argument("--side", choices=("ours", "peer"), help=argparse.SUPPRESS)  # what the child processes run
    return parser.parse_args(argv)


def make_step(batch_size: int):
    """One call of the function that `fit` calls for each batch, metrics included."""
    import keras
    import numpy as np
    import tensorflow as tf

    from tfcifar.models import build_model
    from tfcifar.recipe import Model
    from tfcifar.training.trainable import TrainableModel

    keras.utils.set_random_seed(0)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = build_model(Model("fast_cnn"), (32, 32, 3), 10, (0.49, 0.48, 0.45), (0.25, 0.24, 0.26))
    trainable = TrainableModel.wrap(model, device_augment=None, average=None, integer_labels=False)
    trainable.compile(
        keras.optimizers.SGD(LEARNING_RATE, momentum=0.85, nesterov=True),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    trainable.optimizer.build(trainable.trainable_variables)
    random = np.random.default_rng(0)
    images = tf.constant(random.integers(0, 256, (batch_size, 32, 32, 3)).astype("float32"))
    labels = tf.one_hot(random.integers(0, 10, batch_size), 10)
    batches = iter(tf.data.Dataset.from_tensors((images, labels)).repeat())
    trainable.make_train_function()
    return lambda: float(trainable.train_function(batches)["loss"])  # waits for the result


def serve(side: str, batch_size: int) -> None:
    """In a child process: run as many steps as each line of stdin says, answer with the seconds they took."""
    if side == "ours":
        step = make_step(batch_size)
    else:
        from benchmarks import peer_torch
        from tfcifar.environment import cores

        step = peer_torch.make_step(batch_size, cores(), LEARNING_RATE)
    for line in sys.stdin:
        started = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(time.perf_counter() - started, flush=True)


def start(side: str, batch_size: int, environment: dict):
    """A function that lets a child process run a number of steps and returns their seconds."""
    command = [sys.executable, "-m", "benchmarks.train_speed", "--side", side, "--batch-size", str(batch_size)]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | environment
    )
    return lambda steps: float(ask(child, steps))


def measure(batch_size: int, rounds: int, steps: int) -> list[dict]:
    """One row for each setting of the peer, the fastest first."""
    from tqdm import tqdm

    from benchmarks.peer_torch import ENVIRONMENTS

    sides = {"ours": start("ours", batch_size, {})}
    sides |= {name: start("peer", batch_size, environment) for name, environment in ENVIRONMENTS.items()}
    for turn in sides.values():
        turn(3)  # traces the graph, fills the caches
    seconds = {name: [] for name in sides}
    for _ in tqdm(range(rounds), desc=f"batch {batch_size}"):
        for name, turn in sides.items():
            seconds[name].append(turn(steps) / steps)
    rows = []
    for peer in ENVIRONMENTS:
        ratios = [theirs / ours for theirs, ours in zip(seconds[peer], seconds["ours"], strict=True)]
        rows.append(
            {
                "batch_size": batch_size,
                "peer": peer,
                "ours": statistics.median(seconds["ours"]),
                "theirs": statistics.median(seconds[peer]),
                "ratio": statistics.median(ratios),
                "std": statistics.stdev(ratios) if rounds > 1 else None,
                "low": min(ratios),
                "high": max(ratios),
            }
        )
    return sorted(rows, key=lambda row: row["theirs"])


def main() -> None:
    args = parse()
    if args.side:
        serve(args.side, args.batch_size[0])
        return
    from importlib.metadata import PackageNotFoundError, version

    from pipelines.errors import InputError

    try:
        torch_version = version("torch")
    except PackageNotFoundError:
        raise InputError("train_speed: expected PyTorch beside TensorFlow, found none; pip install torch.") from None
    from benchmarks.document import write_section
    from tfcifar.environment import describe_environment

    rows = [row for batch_size in args.batch_size for row in measure(batch_size, args.rounds, args.steps)]
    table = "\n".join(
        [
            "| batch | peer | this project, s a step | peer, s a step | ratio |",
            "|--:|---|--:|--:|--:|",
            *(ROW.format(**row) for row in rows),
        ]
    )
    print(table)
    environment = describe_environment()
    if args.output:
        header = HEADER.format(
            **environment,
            **environment["packages"],
            torch=torch_version,
            steps=args.steps,
            rounds=args.rounds,
        )
        write_section(args.output, "train_speed", header + table)
    if args.record:
        from benchmarks.records import summary_entry
        from tfcifar.reporting.results import put_on_record

        entry = summary_entry(
            "train_step",
            "ratio_to_pytorch",
            round(rows[0]["ratio"], 4),
            "ratio",
            environment,
            round(rows[0]["ours"], 4),
            str(args.output) if args.output else None,
            n=args.rounds,
            std=rows[0]["std"] and round(rows[0]["std"], 4),
        )
        put_on_record([entry | {"batch_size": rows[0]["batch_size"]}])


if __name__ == "__main__":
    run(main)
