"""Classify image files with a trained run: class names and probabilities."""

import argparse
import json
from pathlib import Path

from tfcifar.cli import make_parser, run, start_tensorflow

EPILOG = """example:
  python -m tfcifar.predict runs/level_2-cpu-seed0 cat.png ship.jpg --top 3"""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.predict", __doc__, EPILOG)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="made by tfcifar.train")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="png, jpg, bmp or webp of any size")
    parser.add_argument("--top", type=int, default=3, metavar="K", help="classes to show for each image (default 3)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    args = parser.parse_args(argv)
    if args.top < 1:
        parser.error(f"--top: expected at least 1, received {args.top}")
    return args


def predict(run_dir: Path, images: list[str], top: int) -> list[dict]:
    """Rows {"image", "classes": [{"name", "probability"}, ...]}, the most probable of `top` classes first.

    Raises:
        InputError: no trained run, or an image that cannot be read.
    """
    from pipelines.image_folder import fit_image, read_image
    from tfcifar.run_dir import RunDir, read_json

    run_files = RunDir.existing(run_dir)
    pictures = [read_image(image) for image in images]  # before TensorFlow: a wrong path should fail at once
    start_tensorflow()

    import numpy as np

    from tfcifar.evaluation.metrics import softmax
    from tfcifar.models.saved import load_model

    model = load_model(run_files.model)
    height, width = model.input_shape[1:3]
    batch = np.stack([fit_image(picture, height, width) for picture in pictures])
    names = read_json(run_files.environment)["data"]["class_names"]
    rows = []
    for image, probabilities in zip(images, softmax(model.predict(batch, verbose=0)), strict=True):
        order = np.argsort(-probabilities, kind="stable")[:top]
        classes = [{"name": names[index], "probability": float(probabilities[index])} for index in order]
        rows.append({"image": image, "classes": classes})
    return rows


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    rows = predict(args.run_dir, args.images, args.top)
    if args.json:
        for row in rows:
            print(json.dumps(row))
        return
    width = max(len(row["image"]) for row in rows)
    for row in rows:
        classes = "  ".join(f"{each['name']} {each['probability']:.1%}" for each in row["classes"])
        print(f"{row['image']:{width}}  {classes}")


if __name__ == "__main__":
    run(main)
