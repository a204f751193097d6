"""Images per second of the training input chain, against what the fast network consumes and PyTorch DataLoaders.

Needs `pip install torch` (for this comparison only). Pin it to the cores that the figures are for:

taskset -c 2,3 python -m benchmarks.data_pipeline --output docs/data_pipeline.md
"""

import importlib.util
import os
import statistics
import time
from pathlib import Path

from benchmarks.document import spread
from benchmarks.records import summary_entry
from pipelines.augment_config import Augment
from pipelines.errors import InputError
from tfcifar.cli import make_parser, run
from tfcifar.environment import cores

NUM_CLASSES = 10
NETWORK = "fast_cnn"
FAST = "fast"
SETS = {
    "none": Augment(),
    FAST: Augment(flip="alternating", crop_padding=2, label_smoothing=0.2),
    "fast, crop 4, cutout 12": Augment(flip="alternating", crop_padding=4, cutout_size=12, label_smoothing=0.2),
    "level_2": Augment(flip="random", crop_padding=4, erasing_probability=0.25, label_smoothing=0.1),
    "mixup": Augment(flip="random", crop_padding=4, mixup_alpha=0.2),
    "cutmix": Augment(flip="random", crop_padding=4, cutmix_alpha=1.0),
    "rand_augment": Augment(flip="random", crop_padding=4, randaugment_layers=2),
    "augmix": Augment(flip="random", crop_padding=4, augmix_chains=3),
}
HEADER = """# Speed of the input chain

    {command}

(`pip install torch` first, for this comparison only.) {hardware}; TensorFlow {tensorflow}, PyTorch {torch}.
{images:,} random uint8 images of 32x32x3 in memory, batches of
{batch_size} as Python receives them; an epoch of each chain per round, without its first tenth, during which it
starts. All run in turn, in one process and its workers, on the same cores. Medians of {rounds} rounds; ratios are of
the two speeds of one round, with the smallest and the largest. "Times the consumption" is against
{consumption}.

"""
FOOTER = """
- Sets: `fast` is alternating flip, crop with 2 pixels of padding, label smoothing 0.2. `level_2` is random flip,
  crop 4, Random Erasing 0.25, smoothing 0.1. Mixup (alpha 0.2), CutMix (alpha 1), RandAugment (2 layers) and AugMix
  (3 chains) come with random flip and crop 4.
- The peers (`benchmarks/peer_torch_data.py`) are map-style `Dataset`s that augment image by image, each behind a
  `DataLoader` with one persistent worker per core ({cores}); without torchvision. "DataLoader" does to a tensor what
  torchvision's transforms do. "Tuned" pads all images before the clock starts and works on NumPy slices of bytes.
- Flip, crop, Cutout and smoothing are the same operations on both sides. Random Erasing draws again where this project
  trims the rectangle. Mixup and CutMix draw one share per batch in the collate function, as torchvision does; this
  project draws one per image. RandAugment and AugMix have no peer without torchvision: their
  cells are empty.
- Both give float32 images in 0..255 and soft labels; PyTorch's have the channels first. Neither is normalized here.
- What an operation costs by itself, AugMix among them, beside Keras' layer: [augmentation.md](augmentation.md).
"""


def parse(argv=None):
    parser = make_parser("benchmarks.data_pipeline", __doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all chains (default: %(default)s)")
    parser.add_argument("--images", type=int, default=50_000, help="images of an epoch (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=500, help="images per batch (default: %(default)s)")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS), metavar="SET", help="default: all")
    parser.add_argument(
        "--consumption", type=float, metavar="IMAGES_PER_S", help=f"default: measured on training steps of {NETWORK}"
    )
    parser.add_argument("--output", type=Path, help="Markdown file to write; the table is printed in any case")
    parser.add_argument("--record", action="store_true", help=f"put the ratios of the set {FAST!r} on record")
    args = parser.parse_args(argv)
    if args.rounds < 1:
        raise InputError(f"--rounds: expected 1 or more, received {args.rounds}.")
    if args.batch_size < 1 or args.images < 2 * args.batch_size:
        raise InputError(
            f"--images: expected two batches or more (one starts the chain, the others are timed), received"
            f" {args.images} images in batches of {args.batch_size}."
        )
    if args.consumption is not None and not args.consumption > 0:
        raise InputError(f"--consumption: expected more than 0 images/s, received {args.consumption}.")
    if args.record and FAST not in args.sets:
        raise InputError(f"--record: expected {FAST!r} among --sets, received {', '.join(args.sets)}.")
    return args


def check_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise InputError("torch: not installed, and the DataLoader peer needs it. Run: pip install torch")


def start_peers(args, images, labels) -> dict:
    """(set, peer) -> DataLoader with running workers; called before TensorFlow has threads, which a fork would lose."""
    from benchmarks.peer_torch_data import AugmentedImages, TunedImages, has_equivalent, make_loader

    loaders = {
        (name, peer): make_loader(dataset(images, labels, NUM_CLASSES, SETS[name]), args.batch_size, cores())
        for name in args.sets
        if has_equivalent(SETS[name])
        for peer, dataset in (("peer", AugmentedImages), ("tuned", TunedImages))
    }
    for loader in loaders.values():
        for _ in loader:  # to the end of the epoch, so that no worker is still busy when the next one is timed
            pass
    return loaders


def images_per_second(batches, steps: int, batch_size: int) -> float:
    """Speed of an iterable of `steps` batches, without the first tenth of them (at least one)."""
    untimed = max(1, steps // 10)
    for number, _ in enumerate(batches, start=1):
        if number == untimed:
            started = time.perf_counter()
    return (steps - untimed) * batch_size / (time.perf_counter() - started)


def make_consumer(batch_size: int):
    """() -> images/s of a few training steps of the fast network on a batch that is already in memory."""
    from benchmarks.train_step import make_step
    from tfcifar.training.precision import cpu_has_bfloat16

    step = make_step(NETWORK, batch_size, "mixed_bfloat16" if cpu_has_bfloat16() else "float32", fused=True)
    step()  # traces the graph
    steps = 4

    def consume() -> float:
        started = time.perf_counter()
        for _ in range(steps):
            step()
        return steps * batch_size / (time.perf_counter() - started)

    return consume


def measure(args) -> dict[str, list[dict]]:
    """Set -> one dict per round: images/s of "chain" and "consumption", and of "peer" and "tuned" if there are such."""
    import numpy as np
    from tqdm import tqdm

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (args.images, 32, 32, 3), dtype=np.uint8)
    labels = random.integers(0, NUM_CLASSES, args.images)
    peers = start_peers(args, images, labels)

    from pipelines.datasets import make_train_dataset, steps_per_epoch
    from pipelines.sources import Examples

    examples = Examples(images, labels)
    steps = steps_per_epoch(examples, args.batch_size)
    consume = (lambda: args.consumption) if args.consumption else make_consumer(args.batch_size)
    rounds = {name: [] for name in args.sets}
    for epoch in tqdm(range(args.rounds), desc="rounds"):
        consumption = consume()
        for name in args.sets:
            batches = make_train_dataset(examples, NUM_CLASSES, SETS[name], args.batch_size, 0, epoch, epoch + 1)
            speeds = {"consumption": consumption, "chain": images_per_second(batches, steps, args.batch_size)}
            for (peer_set, peer), loader in peers.items():
                if peer_set == name:
                    loader.dataset.epoch.fill_(epoch)
                    speeds[peer] = images_per_second(loader, steps, args.batch_size)
            rounds[name].append(speeds)
    return rounds


def ratios(rounds: list[dict], other: str) -> list[float]:
    """Chain over `other` in each round, in ascending order; empty without such a measurement."""
    return sorted(speeds["chain"] / speeds[other] for speeds in rounds if other in speeds)


def table(measured: dict[str, list[dict]]) -> str:
    lines = [
        "| set | images/s | times the consumption | DataLoader images/s | ratio | tuned DataLoader images/s | ratio |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, rounds in measured.items():
        cells = [name, _speed(rounds, "chain"), spread(ratios(rounds, "consumption"), ".0f")]
        for peer in ("peer", "tuned"):
            against = ratios(rounds, peer)
            cells += [_speed(rounds, peer), spread(against, ".1f") if against else ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _speed(rounds: list[dict], key: str) -> str:
    speeds = [round_[key] for round_ in rounds if key in round_]
    return f"{statistics.median(speeds):,.0f}" if speeds else ""


def records(rounds: list[dict], environment: dict, seconds: float) -> list[dict]:
    """The figures of the fast set in the form of results/summary.json."""
    return [
        summary_entry(
            "data_chain",
            metric,
            round(statistics.median(ratios(rounds, other)), 2),
            "ratio",
            environment,
            round(seconds, 1),
            "docs/data_pipeline.md",
            n=len(rounds),
        )
        for metric, other in (
            ("ratio_to_consumption", "consumption"),
            ("ratio_to_pytorch", "peer"),
            ("ratio_to_tuned_pytorch", "tuned"),
        )
    ]


def main() -> None:
    args = parse()
    check_torch()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    started = time.perf_counter()
    measured = measure(args)
    seconds = time.perf_counter() - started

    from importlib.metadata import version

    from tfcifar.environment import describe_environment
    from tfcifar.run_dir import write_text

    rows = table(measured)
    print(rows)
    environment = describe_environment()
    if args.output:
        speed = statistics.median(speeds["consumption"] for speeds in next(iter(measured.values())))
        source = "given on the command line" if args.consumption else f"{NETWORK}, training steps without input chain"
        header = HEADER.format(
            **environment,
            **environment["packages"],
            torch=version("torch"),
            consumption=f"{speed:,.0f} images/s ({source})",
            **{key: getattr(args, key) for key in ("images", "batch_size", "rounds")},
        )
        write_text(args.output, header + rows + FOOTER.format(cores=cores()))
    if args.record:
        from tfcifar.reporting.results import put_on_record

        put_on_record(records(measured[FAST], environment, seconds))


if __name__ == "__main__":
    run(main)
