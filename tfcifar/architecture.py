"""Pages about architectures, made from the models: graph, parameters, MACs, receptive field."""

import argparse
import inspect
from pathlib import Path

from pipelines.errors import unknown
from tfcifar.cli import make_parser, run, start_tensorflow
from tfcifar.models import MODELS

EPILOG = """example:
  python -m tfcifar.architecture fast_cnn residual_cnn --output docs/architectures"""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.architecture", __doc__, EPILOG)
    parser.add_argument("model", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--image-size", type=int, default=32, metavar="PIXELS", help="default: %(default)s")
    parser.add_argument("--classes", type=int, default=10, metavar="N", help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=Path("runs/architectures"), metavar="FOLDER",
                        help="default: %(default)s")  # fmt: skip
    args = parser.parse_args(argv)
    if args.image_size < 16:
        parser.error(f"--image-size: expected 16 or more, received {args.image_size}")
    if args.classes < 2:
        parser.error(f"--classes: expected 2 or more, received {args.classes}")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    for name in args.model:
        if name not in MODELS:
            raise unknown("model", name, MODELS)
    start_tensorflow()
    from tfcifar.models import build_model
    from tfcifar.models.architecture import parts_of
    from tfcifar.recipe import Model
    from tfcifar.reporting.architecture_page import write_page

    shape = (args.image_size, args.image_size, 3)
    for name in args.model or MODELS:
        entry = MODELS[name]
        model = build_model(Model(name), shape, args.classes, mean=(0.5,) * 3, std=(0.25,) * 3)
        builder = getattr(entry.load(), "func", entry.load())
        why = "\n\n".join(filter(None, (inspect.getdoc(inspect.getmodule(builder)), inspect.getdoc(builder))))
        write_page(name, entry.description, why, parts_of(model), args.output)
        print(f"{args.output / name}.md", flush=True)


if __name__ == "__main__":
    run(main)
