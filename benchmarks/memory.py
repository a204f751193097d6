"""Memory of training and evaluation on two image folders, one ten times the other: with and without data.cache=disk.

Each run is a process of its own. What counts is its anonymous memory at most: pages of the cache's file are the
system's to take back. Allocators and threads alone make it differ by some ten MB from run to run.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tfcifar.cli import make_parser, run

EPILOG = """example:
  python -m benchmarks.memory --output docs/reliability.md"""
HEADER = """### Measured: ten times as many images

    {command}

{hardware}; TensorFlow {tensorflow}. One epoch of the smoke recipe and its evaluation, on
generated image folders whose images are resized to {side}x{side} px: a sixth to train on, the rest to
validate and to test, so that the small one too has several batches (of 500) of each. A process for each run. Peak of
its anonymous memory (`RssAnon`, looked at every {interval_ms:.0f} ms): pages of the cache's file are not in
it, being the system's to take back. TensorFlow alone takes hundreds of MB, and a run differs by some ten MB from one
time to the next.

"""
SIDE = 48  # pixels that images are resized to, so that decoded ones are much larger than their files
INTERVAL = 0.02  # seconds between two looks


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("benchmarks.memory", __doc__, EPILOG)
    parser.add_argument("--images", type=int, default=3000, metavar="N",
                        help="of the small folder (default %(default)s); the other has ten times as many")  # fmt: skip
    parser.add_argument("--output", type=Path, help="Markdown file whose section to write; the table is printed")
    args = parser.parse_args(argv)
    if args.images < 600:
        parser.error(f"--images: expected 600 or more, received {args.images}")
    return args


def write_images(folder: Path, count: int) -> None:
    """`count` files of 8x8 px in two classes: of twelve, two to train on, five to validate and five to test."""
    import numpy as np
    from PIL import Image

    random = np.random.RandomState(0)
    for index in range(count):
        part = "train" if index % 12 < 2 else "validation" if index % 12 < 7 else "test"
        path = folder / part / "ab"[index // 12 % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.randint(0, 256, (8, 8, 3)).astype(np.uint8)).save(path)


def peak_of_run(images: Path, cache: str, folder: Path) -> int:
    """Bytes of anonymous memory, at most, of a process that trains and evaluates."""
    fields = (f"data.cache={cache}", f"data.image_size={SIDE}", "epochs=1", "batch_size=50", "model.widths=4")
    options = ["--recipe", "smoke", "--preset", "cpu", "--dataset", str(images), "--run-dir", str(folder / "run")]
    child = subprocess.Popen(
        [sys.executable, "-m", "tfcifar.train", *options, *(word for field in fields for word in ("--set", field))],
        cwd=Path(__file__).parents[1], env=os.environ | {"TFCIFAR_CACHE": str(folder / "cache")},
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    peak = 0
    while child.poll() is None:
        peak = max(peak, anonymous_bytes(child.pid))
        time.sleep(INTERVAL)
    if child.returncode:
        raise RuntimeError(f"tfcifar.train ended with exit code {child.returncode}")
    return peak


def anonymous_bytes(process: int) -> int:
    """Of `process` now; 0 where it has ended."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    return 0


def measure(images: int) -> dict[str, tuple[int, int]]:
    """Bytes with `images` and with ten times as many, by cache."""
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in (images, 10 * images):
            write_images(folder / str(count), count)
        for cache in ("memory", "disk"):
            small, large = (
                peak_of_run(folder / str(count), cache, folder / f"{cache}{count}") for count in (images, 10 * images)
            )
            peaks[cache] = small, large
    return peaks


def table(images: int, peaks: dict[str, tuple[int, int]]) -> str:
    def decoded(count: int) -> str:
        return f"{count:,} images ({count * SIDE * SIDE * 3 / 1e6:.0f} MB decoded)"

    lines = [f"| `data.cache` | {decoded(images)} | {decoded(10 * images)} | more |", "|---|--:|--:|--:|"]
    for cache, (small, large) in peaks.items():
        lines.append(f"| {cache} | {small / 1e6:.0f} MB | {large / 1e6:.0f} MB | **{(large - small) / 1e6:.0f} MB** |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    text = table(args.images, measure(args.images))
    print(text)
    if args.output:
        from benchmarks.document import write_section
        from tfcifar.environment import describe_environment

        environment = describe_environment()
        header = HEADER.format(**environment, **environment["packages"], side=SIDE, interval_ms=1000 * INTERVAL)
        write_section(args.output, "memory", header + text)


if __name__ == "__main__":
    run(main)
