"""Teach a trained model new classes with 1 to 20 images of each, in seconds; keep the result for predict and serve."""

import argparse
import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tfcifar.cli import make_parser, run, start_tensorflow
from tfcifar.fewshot import METHODS
from tfcifar.prediction.formats import FORMATS

if TYPE_CHECKING:
    from tfcifar.fewshot.new_classes import NewClassifier

EPILOG = """examples:
  python -m tfcifar.fewshot --run zoo/student --support birds/ --query photos/
  python -m tfcifar.fewshot --run zoo/student --support birds/ --output birds.keras
  python -m tfcifar.predict birds.keras photos/        # or tfcifar.serve
  python -m tfcifar.fewshot --run runs/fewshot/cpu/synthetic_100_60_20_20/maml --support birds/ --query photos/

--support FOLDER holds CLASS/*.png (png, jpg, bmp or webp, of any size). Where the images of --query lie in folders
named like the classes, their accuracy is printed. Probabilities are calibrated where every class has 2 images or more.
docs/fewshot.md says more; `python -m tfcifar.fewshot.benchmark` compares the methods."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.fewshot", __doc__, EPILOG)
    parser.add_argument("--run", type=Path, required=True, metavar="RUN_DIR", help="trained, or meta-trained")
    parser.add_argument("--support", type=Path, required=True, metavar="FOLDER", help="CLASS/*.png to learn from")
    parser.add_argument("--query", nargs="+", metavar="IMAGES", help="files, folders, or - as in tfcifar.predict")
    parser.add_argument("--method", choices=list(METHODS),
                        help="default: linear_probe for a run, its own for what was meta-trained")  # fmt: skip
    parser.add_argument("--top", type=int, default=3, metavar="K", help="classes to show (default: %(default)s)")
    parser.add_argument("--format", choices=FORMATS, default="table", help="default: %(default)s; json: a line each")
    parser.add_argument("--output", type=Path, metavar="FILE.keras", help="keep the result, with its card beside it")
    args = parser.parse_args(argv)
    if args.output is not None and args.output.suffix != ".keras":
        parser.error(f"--output: expected a name that ends in .keras, received {args.output}")
    if args.top < 1:
        parser.error(f"--top: expected at least 1, received {args.top}")
    if not args.query and args.output is None:
        parser.error("expected --query, --output or both")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    from tfcifar.prediction.find_images import find_images

    complaints = []

    def complain(error: object) -> None:
        complaints.append(error)
        print(f"error: {error}", file=sys.stderr, flush=True)

    names = find_images(args.query or [], complain)
    start_tensorflow()
    from tfcifar.fewshot.new_classes import count_right, learn_new_classes
    from tfcifar.prediction.classify import classify
    from tfcifar.prediction.formats import print_rows

    classifier = learn_new_classes(args.run, args.support, args.method)
    print(classifier.summary(), file=sys.stdout if args.format == "table" else sys.stderr, flush=True)
    if names:
        rows = list(classify(names, classifier.opened(), args.top, None, None, complain))
        right = count_right(rows, classifier.class_names)
        calibrated = "calibrated" if classifier.judged else "NOT calibrated"
        print_rows(iter(rows), args.format, names, f"{args.run} ({classifier.method}); probabilities {calibrated}")
        if right:
            print(right, file=sys.stdout if args.format == "table" else sys.stderr)
    if args.output is not None:
        save(classifier, args.run, args.output)
        print(f"kept: {args.output}, for tfcifar.predict and tfcifar.serve", file=sys.stderr)
    if complaints:
        sys.exit(2)


def save(classifier: "NewClassifier", source: Path, path: Path) -> None:
    """Write the model and, last, its card, from which predict and serve have the classes and the temperature."""
    from export.card import write_card
    from tfcifar.environment import describe_command
    from tfcifar.run_dir import write_whole

    write_whole(path, lambda temporary: classifier.learned.to_model().save(temporary))
    content, judged = path.read_bytes(), classifier.judged
    card = {
        "name": path.stem,
        "format": "keras",
        "file": path.name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "run": source.resolve().name,
        "input": {"dtype": "uint8", "shape": [None, *classifier.image_shape], "layout": "NHWC",
                  "channels": "RGB, 0..255"},
        "output": {"meaning": "logits", "shape": [None, len(classifier.class_names)]},
        "class_names": list(classifier.class_names),
        **({"calibration": {"temperature": judged.temperature}} if judged else {}),
        "few_shot": {
            "method": classifier.method,
            "images": dict(zip(classifier.class_names, classifier.counts, strict=True)),
            "cross_validated": {"correct": judged.correct, "n": judged.n} if judged else None,
        },
        "made_by": describe_command(),
    }  # fmt: skip
    write_card(path, card)


if __name__ == "__main__":
    run(main)
