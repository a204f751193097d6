"""What --deterministic costs: seconds of a training step with and without it, in processes that take turns.

TensorFlow's switch is one for a whole process, and cannot be turned back.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.children import answer_of, ask
from tfcifar.cli import make_parser, run

EPILOG = """example:
  python -m benchmarks.determinism --output docs/reliability.md"""
HEADER = """### What --deterministic costs

    {command}

{hardware}; TensorFlow {tensorflow}, Keras {keras}. Forward, backward and optimizer on a batch that is already in
memory, images of 32 px; two processes for each network take turns of {steps} steps, {rounds} rounds. Medians; the
ratio is time with it over time without, in each round, with its smallest and largest.

"""
BATCHES = {"small_cnn": 128, "fast_cnn": 250, "residual_cnn": 128, "mobilenet_v2": 64}


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("benchmarks.determinism", __doc__, EPILOG)
    parser.add_argument("--models", nargs="+", choices=BATCHES, default=list(BATCHES), metavar="NAME",
                        help=f"default: all of {', '.join(BATCHES)}")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default %(default)s")
    parser.add_argument("--steps", type=int, default=4, metavar="N", help="of a turn (default %(default)s)")
    parser.add_argument("--output", type=Path, help="Markdown file whose section to write; the table is printed")
    parser.add_argument("--child", choices=("plain", "deterministic"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if min(args.rounds, args.steps) < 1:
        parser.error(f"--rounds, --steps: expected 1 or more, received {args.rounds}, {args.steps}")
    return args


def measure(name: str, rounds: int, steps: int) -> dict[str, list[float]]:
    """Seconds of a step in each round, by mode."""
    children = {mode: _start_child(name, steps, mode) for mode in ("plain", "deterministic")}
    seconds = {mode: [] for mode in children}
    try:
        for _ in range(rounds):
            for mode, child in children.items():
                seconds[mode].append(float(ask(child)))
    finally:
        for child in children.values():
            child.kill()
            child.wait()
    return seconds


def _start_child(name: str, steps: int, mode: str) -> subprocess.Popen:
    options = ["--models", name, "--steps", str(steps), "--child", mode]
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.determinism", *options],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    answer_of(child)  # it has traced its step
    return child


def answer(name: str, steps: int, deterministic: bool) -> None:
    """Time `steps` training steps for each line on stdin."""
    import tensorflow as tf

    from benchmarks.train_step import make_step

    if deterministic:
        tf.keras.utils.set_random_seed(0)
        tf.config.experimental.enable_op_determinism()
    step = make_step(name, BATCHES[name], "float32", fused=True)
    step()
    print("ready", flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        for _ in range(steps):
            step()
        print((time.perf_counter() - started) / steps, flush=True)


def table(measured: dict[str, dict[str, list[float]]]) -> str:
    lines = ["| network | batch | s a step | with --deterministic | ratio |", "|---|--:|--:|--:|--:|"]
    for name, seconds in measured.items():
        plain, deterministic = seconds["plain"], seconds["deterministic"]
        ratios = sorted(b / a for a, b in zip(plain, deterministic, strict=True))
        lines.append(
            f"| {name} | {BATCHES[name]} | {statistics.median(plain):.3f} | {statistics.median(deterministic):.3f} | "
            f"**{statistics.median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f}) |"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    if args.child:
        answer(args.models[0], args.steps, args.child == "deterministic")
        return
    text = table({name: measure(name, args.rounds, args.steps) for name in args.models})
    print(text)
    if args.output:
        from benchmarks.document import write_section
        from tfcifar.environment import describe_environment

        environment = describe_environment()
        header = HEADER.format(
            **environment,
            **environment["packages"],
            steps=args.steps,
            rounds=args.rounds,
        )
        write_section(args.output, "determinism", header + text)


if __name__ == "__main__":
    run(main)
