"""Where the time of a training step of the fast network goes, and what its fast parts are worth.

python -m benchmarks.step_profile --output docs/performance.md
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.document import spread, write_section
from tfcifar.cli import make_parser, run
from tfcifar.environment import cores

HEADER = """## Where a step of the fast network goes

    {command}

{hardware}; TensorFlow {tensorflow}, Keras {keras}. `fast_cnn`, bfloat16, batch {batch_size}, forward, backward, SGD and
metrics, as `fit` runs them.

**Its fast parts.** The variants take turns in one process, {rounds} rounds; the ratio is a variant's time to that of
the network as it is, with the smallest and the largest of a round.

{parts}

**Its convolutions and matrix products.** Times of oneDNN's primitives (`ONEDNN_VERBOSE=1`), one operation at a time
(`TF_NUM_INTEROP_THREADS=1`: side by side they would be counted twice), so the sum is more than a step needs.
The peak is that of a large bfloat16 matrix product on the same cores: {peak:.2f} TFLOP/s.

{kinds}

**Settings of the process.** Each setting in a process of its own, in turn, {rounds} rounds.

{settings}

**Batch size.** In turn in one process, {rounds} rounds.

{batch_sizes}

"""
FOOTER = """
What follows from it:

- The forward pass and the gradient to the input run at nearly the speed of a matrix product; there is little left to
  gain. The gradient to the weights is oneDNN's slowest: under TensorFlow's thread pool its threads cannot wait for each
  other, so each of them transposes the whole input anew, where PyTorch's OpenMP threads share that work. On maps of
  8 pixels and less `FastConv2D` (`tfcifar/models/convolution.py`) takes matrix products in its place; on larger maps
  the shifted copies cost more than they save.
- GELU as Keras composes it reads and writes the activation some ten times; `FusedGelu`
  (`tfcifar/models/activations.py`) does it in one compiled loop forward and one product backward.
- Threads, allocator and batch size: the tables say what each of them is worth; the recipes leave the first two as
  TensorFlow has them. Several steps in one call (`steps_per_execution`) could save at most what a step on a single
  image takes, {python_ms:.1f} ms of {step_ms:.0f} ms: Python, and the updates of the weights besides.
"""
SETTINGS = {
    "as TensorFlow chooses": {},
    "one operation at a time": {"TF_NUM_INTEROP_THREADS": "1"},
    "twice as many threads in an operation": {"TF_NUM_INTRAOP_THREADS": str(2 * cores())},
    "memory is kept (glibc)": {"MALLOC_MMAP_THRESHOLD_": str(2**40), "MALLOC_TRIM_THRESHOLD_": str(2**40)},
}

BATCH_SIZES = (100, 500, 1000, 2000)
WARM_UP = 3  # steps: a graph that makes variables is traced once more in its second call


def parse(argv=None):
    parser = make_parser("benchmarks.step_profile", __doc__)
    parser.add_argument("--batch-size", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--output", type=Path, help="Markdown file whose section to write; the tables are printed")
    parser.add_argument("--steps-of-a-profile", type=int, help=argparse.SUPPRESS)  # what the child process runs
    return parser.parse_args(argv)


def parts(batch_size: int, rounds: int) -> str:
    """The table of variants: each fast part in turn replaced by Keras' own."""
    import keras

    from benchmarks.train_speed import make_step
    from tfcifar.models import activations, convolution, normalization

    def keras_gelu():
        activations.FusedGelu.call = lambda self, inputs, training=None: keras.activations.gelu(
            inputs, approximate=True
        )

    def keras_gradient():
        convolution.FastConv2D.call = lambda self, inputs, training=None: keras.layers.Conv2D.call(self, inputs)

    def keras_norm():
        normalization.FusedBatchNormalization._fused_kernel_applies = lambda self, inputs, mask: False

    kept = (
        activations.FusedGelu.call,
        convolution.FastConv2D.call,
        normalization.FusedBatchNormalization._fused_kernel_applies,
    )
    variants = {
        "as it is": [],
        "Keras' GELU": [keras_gelu],
        "Keras' weight gradient": [keras_gradient],
        "Keras' BatchNorm": [keras_norm],
        "none of the three": [keras_gelu, keras_gradient, keras_norm],
    }
    steps = {}
    for name, replacements in variants.items():
        for replace in replacements:
            replace()
        steps[name] = make_step(batch_size)
        for _ in range(WARM_UP):  # with what was replaced: TensorFlow traces the graph here
            steps[name]()
        (
            activations.FusedGelu.call,
            convolution.FastConv2D.call,
            normalization.FusedBatchNormalization._fused_kernel_applies,
        ) = kept
    return table("variant", _in_turn(steps, rounds, repeat=3))


def settings(batch_size: int, rounds: int) -> str:
    from benchmarks.train_speed import start

    turns = {name: start("ours", batch_size, environment) for name, environment in SETTINGS.items()}
    for turn in turns.values():
        turn(WARM_UP)
    return table("setting", _in_turn({name: lambda turn=turn: turn(1) for name, turn in turns.items()}, rounds, 3))


def batch_sizes(rounds: int) -> str:
    from benchmarks.train_speed import make_step

    steps = {size: make_step(size) for size in BATCH_SIZES}
    for step in steps.values():
        for _ in range(WARM_UP):
            step()
    seconds = {size: [] for size in steps}
    for _ in range(rounds):
        for size, step in steps.items():
            started = time.perf_counter()
            for _ in range(BATCH_SIZES[-1] // size):  # as many images for each
                step()
            seconds[size].append(time.perf_counter() - started)
    lines = ["| batch | images/s | ratio |", "|--:|--:|--:|"]
    for size, own in seconds.items():
        ratios = [one / each for each, one in zip(own, seconds[BATCH_SIZES[0]], strict=True)]
        lines.append(f"| {size} | {BATCH_SIZES[-1] / statistics.median(own):.0f} | {spread(ratios)} |")
    return "\n".join(lines)


def _in_turn(functions: dict, rounds: int, repeat: int) -> dict[str, list[float]]:
    seconds = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            started = time.perf_counter()
            for _ in range(repeat):
                function()
            seconds[name].append((time.perf_counter() - started) / repeat)
    return seconds


def table(what: str, seconds: dict[str, list[float]]) -> str:
    lines = [f"| {what} | ms a step | ratio |", "|---|--:|--:|"]
    first = next(iter(seconds.values()))
    for name, own in seconds.items():
        ratios = [each / one for each, one in zip(own, first, strict=True)]
        lines.append(f"| {name} | {1e3 * statistics.median(own):.0f} | {spread(ratios)} |")
    return "\n".join(lines)


def kinds(batch_size: int, peak: float, steps: int = 4) -> str:
    """The table of oneDNN's primitives by kind, from a child process that prints them."""
    command = [sys.executable, "-m", "benchmarks.step_profile", "--steps-of-a-profile", str(steps)]
    environment = os.environ | {"ONEDNN_VERBOSE": "1", "TF_NUM_INTEROP_THREADS": "1"}
    child = subprocess.run(
        [*command, "--batch-size", str(batch_size)], env=environment, capture_output=True, text=True, check=True
    )
    milliseconds, flop = defaultdict(float), defaultdict(float)
    for line in child.stdout.partition("MARK\n")[2].splitlines():
        fields = line.split(",")
        if "exec" not in fields:
            continue
        primitive, direction, shape = (fields[fields.index("exec") + 2], fields[fields.index("exec") + 4], fields[-2])
        kind = f"convolution, {direction.replace('_', ' ')}" if primitive == "convolution" else primitive
        size = re.search(r"ih(\d+)", shape)
        if primitive == "convolution" and direction == "backward_weights":
            kind += f" ({size[1]} px)"
        milliseconds[kind] += float(fields[-1]) / steps
        flop[kind] += _flop(primitive, shape) / steps
    lines = ["| primitive | ms a step | TFLOP/s | share of the peak |", "|---|--:|--:|--:|"]
    for kind in sorted(milliseconds, key=milliseconds.get, reverse=True):
        speed = flop[kind] / milliseconds[kind] / 1e9
        rate = f"{speed:.2f} | {speed / peak:.0%}" if flop[kind] else "|"
        lines.append(f"| {kind} | {milliseconds[kind]:.0f} | {rate} |")
    return "\n".join(lines)


def _flop(primitive: str, shape: str) -> float:
    if primitive == "convolution":
        size = {name: int(value) for name, value in re.findall(r"(mb|ic|oc|oh|ow|kh|kw)(\d+)", shape)}
        return 2.0 * size["mb"] * size["ic"] * size["oc"] * size["oh"] * size["ow"] * size["kh"] * size["kw"]
    product = re.fullmatch(r"(\d+)x(\d+):(\d+)x(\d+)", shape)
    return 2.0 * int(product[1]) * int(product[2]) * int(product[4]) if product else 0.0


def peak_tflops(size: int = 2048) -> float:
    import tensorflow as tf

    matrix = tf.cast(tf.random.normal((size, size)), tf.bfloat16)
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(matrix, matrix)[0]))
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        product().numpy()
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds) / 1e12


def overhead_seconds() -> float:
    """An upper bound of what a step needs beside its batch: the time of a step on one image."""
    from benchmarks.train_speed import make_step

    step = make_step(1)
    return min(_in_turn({"step": step}, rounds=30, repeat=1)["step"])


def main() -> None:
    args = parse()
    if args.steps_of_a_profile:
        from benchmarks.train_speed import make_step

        step = make_step(args.batch_size)
        for _ in range(WARM_UP):
            step()
        print("MARK", flush=True)
        for _ in range(args.steps_of_a_profile):
            step()
        return
    from tfcifar.environment import describe_environment

    peak = peak_tflops()
    environment = describe_environment()
    text = HEADER.format(
        **environment,
        **environment["packages"],
        batch_size=args.batch_size,
        rounds=args.rounds,
        peak=peak,
        parts=(parts_table := parts(args.batch_size, args.rounds)),
        kinds=kinds(args.batch_size, peak),
        settings=settings(args.batch_size, args.rounds),
        batch_sizes=batch_sizes(args.rounds),
    )
    step_ms = float(re.search(r"as it is \| (\d+)", parts_table)[1])
    text += FOOTER.format(python_ms=1e3 * overhead_seconds(), step_ms=step_ms)
    print(text)
    if args.output:
        write_section(args.output, "step_profile", text)


if __name__ == "__main__":
    run(main)
