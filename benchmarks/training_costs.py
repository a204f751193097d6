"""Time and money of training, from CIFAR-10 to image folders of ImageNet's size, from the speeds on record.

python -m benchmarks.training_costs --output docs/scaling.md --price cpu=0.10 --price gpu=3.00
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tfcifar.cli import make_parser, run

HEADER = """### Computed: time and money

    {command}

A run of `e` epochs over `i` images takes 6 x MACs x i x e operations (docs of `tfcifar.evaluation.compute`), and
hardware does as many a second as it did in a recorded run (`pflop` over `train_seconds` in
[results/summary.json](../results/summary.json)): of the same network, or else the slowest of its kind, since depthwise
convolutions are bound by memory. Validation is included as it was there; reading files that the disk delivers more
slowly than the network takes them comes on top. Money is hours times a price that is **assumed**: {prices} an hour of a
machine.
{devices}
"""
COLUMNS = [
    "| what is trained | images | pixels | epochs | PFLOP | speed of | TFLOP/s | time | assumed cost |",
    "|---|--:|--:|--:|--:|---|--:|--:|--:|",
]


@dataclass(frozen=True)
class Work:
    """A training run: `epochs` over `images` of `pixels` x `pixels`."""

    name: str
    model: str
    images: int
    pixels: int
    epochs: int


WORK = (
    Work("CIFAR-10, 32 px", "residual_cnn", 45_000, 32, 20),
    Work("CIFAR-10, backbone at 96 px", "mobilenet_v2", 45_000, 96, 10),
    Work("100,000 images, 64 px", "residual_cnn", 100_000, 64, 20),
    Work("100,000 images, backbone at 224 px", "resnet50", 100_000, 224, 10),
    Work("ImageNet's size, fine-tuned", "resnet50", 1_281_167, 224, 10),
    Work("ImageNet's size, from scratch", "resnet50", 1_281_167, 224, 90),
)


@dataclass(frozen=True)
class Speed:
    """Of a recorded run. kind: "gpu" or "cpu"."""

    record: str
    model: str
    kind: str
    hardware: str
    pflop_per_second: float


def parse(argv=None):
    parser = make_parser("benchmarks.training_costs", __doc__)
    parser.add_argument("--price", action="append", required=True, metavar="cpu|gpu=DOLLARS",
                        help="assumed, of an hour of the machine that the speed was recorded on")  # fmt: skip
    parser.add_argument("--devices", type=int, default=1, metavar="N",
                        help="share the work (default 1); the price is then N times as high")  # fmt: skip
    parser.add_argument("--overhead", type=float, default=0.0, metavar="SHARE",
                        help="of N devices, as measured by benchmarks.scaling, for example 0.1")  # fmt: skip
    parser.add_argument("--output", type=Path, help="Markdown file whose section to write; the table is printed")
    args = parser.parse_args(argv)
    try:
        args.price = {kind: float(price) for kind, price in (each.split("=") for each in args.price)}
    except ValueError:
        parser.error("--price: expected cpu=DOLLARS or gpu=DOLLARS")
    if set(args.price) - {"cpu", "gpu"} or args.devices < 1 or args.overhead < 0:
        parser.error("--price: expected cpu=DOLLARS or gpu=DOLLARS; --devices: 1 or more; --overhead: at least 0")
    return args


def speeds_on_record(summary: list[dict], model_of) -> list[Speed]:
    """Of each recorded training run.

    model_of: name of a record -> name of its model, or None where it has no recipe.
    """
    of = {(each["name"], each["metric"]): each for each in summary}
    speeds = []
    for (name, metric), pflop in of.items():
        seconds, model = of.get((name, "train_seconds")), model_of(name)
        if metric == "pflop" and seconds is not None and model is not None:
            kind = "gpu" if re.search(r"NVIDIA|GPU|H100|H200|A100", pflop["hardware"]) else "cpu"
            speeds.append(Speed(name, model, kind, pflop["hardware"], pflop["value"] / seconds["value"]))
    return speeds


def speeds_for(model: str, speeds: list[Speed]) -> list[Speed]:
    """For each hardware on record: that of `model`, else of the slowest network of its kind."""
    from tfcifar.models import MODELS

    found = {}
    alike = [each for each in speeds if MODELS[each.model].depthwise == MODELS[model].depthwise]
    for speed in sorted(alike, key=lambda each: (each.model != model, each.pflop_per_second)):
        found.setdefault(speed.hardware, speed)
    return list(found.values())


def seconds_of(pflop: float, speed: Speed, devices: int, overhead: float) -> float:
    """Devices of one speed share the work; `overhead` is what that costs, as a share."""
    return pflop / speed.pflop_per_second / devices * (1 + overhead)


def rows_of(works: dict[Work, float], speeds: list[Speed], prices: dict, devices: int, overhead: float) -> list[str]:
    """A row for each work (-> its PFLOP) and each hardware that has a price."""
    rows = []
    for work, pflop in works.items():
        for speed in speeds_for(work.model, speeds):
            if speed.kind not in prices:
                continue
            seconds = seconds_of(pflop, speed, devices, overhead)
            cost = seconds / 3600 * prices[speed.kind] * devices
            rows.append(
                f"| {work.name}: {work.model} | {work.images:,} | {work.pixels} | {work.epochs} | {_short(pflop)} "
                f"| {speed.record}, {speed.hardware} | {1000 * speed.pflop_per_second:.2g} | {duration(seconds)} "
                f"| ${cost:,.2f} |"
            )
    return rows


def prices_of(works: Iterable[Work], speeds: list[Speed], prices: dict[str, float]) -> str:
    """Those of `prices` that a row uses, in words."""
    used = {speed.kind for work in works for speed in speeds_for(work.model, speeds)}
    return ", ".join(f"${price:.2f} ({kind})" for kind, price in sorted(prices.items()) if kind in used)


def duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.3g} {unit}"
    return f"{seconds:.0f} s"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def compute(work: Work) -> float:
    """PFLOP of `work`."""
    from tfcifar.evaluation.compute import training_pflop
    from tfcifar.models import MODELS, build_model
    from tfcifar.models.complexity import count_macs
    from tfcifar.recipe import Model

    config = Model(work.model, image_size=work.pixels if MODELS[work.model].pretrained else None)
    model = build_model(config, (work.pixels, work.pixels, 3), 10, (0.5,) * 3, (0.25,) * 3)
    return training_pflop(count_macs(model), work.images * work.epochs)


def main() -> None:
    args = parse()
    from benchmarks.document import write_section
    from tfcifar.environment import current_command
    from tfcifar.recipe_json import load_json
    from tfcifar.reporting.results import RESULTS
    from tfcifar.run_dir import read_json

    def model_of(name: str) -> str | None:
        recipes = sorted((RESULTS / name).glob("seed*/recipe.json"))
        return load_json(recipes[0]).model.name if recipes else None

    speeds = speeds_on_record(read_json(RESULTS / "summary.json"), model_of)
    works = {work: compute(work) for work in WORK}
    table = "\n".join([*COLUMNS, *rows_of(works, speeds, args.price, args.devices, args.overhead)])
    print(table)
    if args.output:
        prices = prices_of(works, speeds, args.price)
        shared = f"\n{args.devices} such machines share the work, with an overhead of {args.overhead:.0%}.\n"
        header = HEADER.format(command=current_command(), prices=prices, devices=shared if args.devices > 1 else "")
        write_section(args.output, "training_costs", header + table)


if __name__ == "__main__":
    run(main)
