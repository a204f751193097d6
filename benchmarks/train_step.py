"""Images per second of a training step: number format and BatchNorm kernel, in turn in one run.

python -m benchmarks.train_step --output docs/performance.md
"""

import statistics
import time
from pathlib import Path

from benchmarks.document import spread, write_section
from tfcifar.cli import make_parser, run

HEADER = """## Number format and BatchNorm

    {command}

{hardware}; TensorFlow {tensorflow}, Keras {keras}. Forward, backward and optimizer on one batch of CIFAR-10's shape
that is already in memory; median of {rounds} rounds, the variants in turn in each round, with the smallest and the
largest ratio of a round to the first variant. XLA (`jit_compile`) is off.

"""
FOOTER = """
What follows from it, and where it is decided:

- `FusedBatchNormalization` (`tfcifar/models/normalization.py`) replaces Keras' layer in every model, ImageNet
  backbones included. Keras 3 composes the normalization of a training step from separate operations, each of which
  reads the whole activation from memory again; the fused kernel reads it twice. Weights and results are the same.
- `mixed_precision: auto` (`tfcifar/training/precision.py`) takes bfloat16 on a CPU that multiplies it in hardware,
  but float32 for models of depthwise convolutions.
"""
# The batch sizes are those of level 1 and 2 and of the three-stage recipe.
CASES = {"small_cnn": 128, "residual_cnn": 128, "mobilenet_v2": 64}


def parse(argv=None):
    parser = make_parser("benchmarks.train_step", __doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all variants (default: %(default)s)")
    parser.add_argument(
        "--steps", type=int, default=4, help="timed steps of a variant in a round (default: %(default)s)"
    )
    parser.add_argument("--models", nargs="+", default=list(CASES), choices=list(CASES), help="default: all")
    parser.add_argument("--output", type=Path, help="Markdown file whose section to write; the table is printed")
    return parser.parse_args(argv)


def make_step(name: str, batch_size: int, policy: str, fused: bool):
    """A function that runs one training step of the model."""
    import keras
    import numpy as np

    from tfcifar.models import build_model
    from tfcifar.models.normalization import FusedBatchNormalization
    from tfcifar.recipe import Model

    keras.mixed_precision.set_global_policy(policy)
    model = build_model(Model(name), (32, 32, 3), 10, (0.49, 0.48, 0.45), (0.25, 0.24, 0.26))
    if not fused:
        for layer in model._flatten_layers():
            if isinstance(layer, FusedBatchNormalization):
                layer._fused_kernel_applies = lambda inputs, mask: False  # the parent's own code
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch_size, 32, 32, 3)).astype("float32")
    labels = np.eye(10, dtype="float32")[random.integers(0, 10, batch_size)]
    return lambda: model.train_on_batch(images, labels)


def measure(names: list[str], rounds: int, steps: int) -> list[str]:
    """Rows of the Markdown table."""
    from tqdm import tqdm

    rows = [
        "| model | batch | format | BatchNorm | images/s | ratio (smallest to largest) |",
        "|---|--:|---|---|--:|--:|",
    ]
    variants = [(policy, fused) for policy in ("float32", "mixed_bfloat16") for fused in (False, True)]
    for name in names:
        batch_size = CASES[name]
        functions = {variant: make_step(name, batch_size, *variant) for variant in variants}
        seconds = {variant: [] for variant in variants}
        for function in functions.values():
            function()  # traces the graph
        for _ in tqdm(range(rounds), desc=name):
            for variant, function in functions.items():
                started = time.perf_counter()
                for _ in range(steps):
                    function()
                seconds[variant].append((time.perf_counter() - started) / steps)
        for policy, fused in variants:
            times = seconds[policy, fused]
            ratios = [first / own for first, own in zip(seconds[variants[0]], times, strict=True)]
            rows.append(
                f"| {name} | {batch_size} | {policy} | {'fused' if fused else 'Keras'} "
                f"| {batch_size / statistics.median(times):.0f} | {spread(ratios)} |"
            )
    return rows


def main() -> None:
    args = parse()
    from tfcifar.environment import describe_environment

    environment = describe_environment()
    table = "\n".join(measure(args.models, args.rounds, args.steps))
    print(table)
    if args.output:
        header = HEADER.format(
            **environment,
            **environment["packages"],
            rounds=args.rounds,
        )
        write_section(args.output, "train_step", header + table + "\n" + FOOTER)


if __name__ == "__main__":
    run(main)
