"""Classify image files with a run or an exported model: class names, calibrated probabilities, abstaining."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from pipelines.errors import InputError
from tfcifar.cli import make_parser, run, without_greeting
from tfcifar.prediction.formats import FORMATS, print_rows

USAGE = "python -m tfcifar.predict (MODEL | --zoo NAME) IMAGES [IMAGES ...] [options]"
EPILOG = """examples:
  python -m tfcifar.predict --zoo student cat.png ship.jpg
  python -m tfcifar.predict runs/level_2-cpu-seed0 photos/ --format csv --explain overlays > classes.csv
  find photos -name '*.jpg' | python -m tfcifar.predict --zoo student - --abstain-above 0.01

Images are png, jpg, bmp or webp by their content, of any size. One that cannot be read is a line on stderr; the others
are classified, and the exit code is 2. docs/predict.md says more."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.predict", __doc__, EPILOG)
    parser.usage = USAGE
    parser.add_argument("arguments", nargs="*", metavar="MODEL IMAGES",
                        help="first a .tflite, .onnx or .keras file, a SavedModel or a run directory; then files, "
                             "folders, quoted patterns, or -: one of these on each line of stdin")  # fmt: skip
    parser.add_argument("--zoo", metavar="NAME", help="a model that comes with the code, in zoo/; instead of MODEL")
    parser.add_argument("--top", type=int, default=3, metavar="K", help="classes to show (default: %(default)s)")
    parser.add_argument("--format", choices=FORMATS, default="table", help="default: %(default)s; json: a line each")
    parser.add_argument("--json", action="store_const", dest="format", const="json", help="the same as --format json")
    abstaining = parser.add_mutually_exclusive_group()
    abstaining.add_argument("--min-probability", type=float, metavar="P",
                            help="give no answer where the first class has less than P")  # fmt: skip
    abstaining.add_argument("--abstain-above", type=float, metavar="RISK",
                            help="give no answer where more than this share of such answers may be wrong, by the "
                                 "validation images; for example 0.01")  # fmt: skip
    parser.add_argument(
        "--explain", type=Path, metavar="FOLDER", help="for Grad-CAM overlays; not of .tflite and .onnx"
    )
    args = parser.parse_intermixed_args(argv)
    if args.top < 1:
        parser.error(f"--top: expected at least 1, received {args.top}")
    for name in ("min_probability", "abstain_above"):
        value = getattr(args, name)
        if value is not None and not 0 < value < 1:
            parser.error(f"--{name.replace('_', '-')}: expected above 0 and below 1, received {value}")
    if not args.zoo and len(args.arguments) < 2:
        received = f"only {args.arguments[0]}" if args.arguments else "nothing"
        parser.error(f"expected a model first, or --zoo NAME, and then images; received {received}")
    args.model = None if args.zoo else Path(args.arguments.pop(0))
    args.images = args.arguments
    if not args.images:
        parser.error("expected images")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    for name in args.images if args.zoo else ():
        if (Path(name) / "recipe.json").is_file():  # its figures would be taken for the images
            raise InputError(f"--zoo {args.zoo}: a model was given twice: {name} is a run. Name one of them.")
    from tfcifar.prediction.find_images import find_images
    from tfcifar.prediction.zoo import zoo_model

    path = zoo_model(args.zoo) if args.zoo else args.model
    complaints = []

    def complain(error: object) -> None:
        complaints.append(error)
        print(f"error: {error}", file=sys.stderr, flush=True)

    names = find_images(args.images, complain)
    if names:
        predict(path, names, args, complain)
    if complaints or not names:
        sys.exit(2)


def predict(path: Path, names: list[str], args: argparse.Namespace, complain: Callable[[object], None]) -> None:
    """Open the model in `path` and print what it says of the images. Raises InputError."""
    from export.open_model import open_model
    from tfcifar.evaluation.acceptance import NO_BOUNDS, min_probability_for
    from tfcifar.prediction.classify import classify

    with without_greeting():
        model = open_model(path)
    min_probability = args.min_probability
    if args.abstain_above is not None:
        min_probability = min_probability_for(args.abstain_above, model.acceptance)
    if model.acceptance is None:
        print(f"NOTE: images unlike the model's own are not marked: {NO_BOUNDS}", file=sys.stderr)
    title = f"{path} ({model.platform}); probabilities {'calibrated' if model.scaling else 'NOT calibrated'}"
    if min_probability is not None:
        title += f"; abstains below {min_probability:.1%}"
    print_rows(classify(names, model, args.top, min_probability, args.explain, complain), args.format, names, title)


if __name__ == "__main__":
    run(main)
