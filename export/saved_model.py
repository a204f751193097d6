"""Export a trained run as a TensorFlow SavedModel, checked against the Keras model in a process without Keras."""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import InputError
from tfcifar.cli import make_parser, run, start_tensorflow
from tfcifar.run_dir import RunDir, read_json, write_json

if TYPE_CHECKING:
    import keras
    import numpy as np

EPILOG = """example:
  python -m export.saved_model runs/level_2-cpu-seed0

use it, with nothing but TensorFlow installed:
  model = tf.saved_model.load("runs/level_2-cpu-seed0/export/saved_model")
  logits = model.serve(images)["logits"]      # images: uint8 [n, height, width, 3]"""

RECORD = "export.json"
# Run by a bare interpreter (-I: no PYTHON* variables, nothing importable from the working directory). TensorFlow
# imports Keras at its start where it finds it; None in sys.modules makes that impossible here.
RELOAD = """
import sys
sys.modules |= dict.fromkeys(("keras", "tf_keras", "tfcifar", "pipelines", "export"))
import numpy as np
import tensorflow as tf
folder, images, logits = sys.argv[1:]
model = tf.saved_model.load(folder)
outputs = model.signatures["serving_default"](images=tf.constant(np.load(images)))
np.save(logits, outputs["logits"].numpy())
"""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("export.saved_model", __doc__, EPILOG)
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="made by tfcifar.train")
    parser.add_argument("--output", type=Path, metavar="FOLDER",
                        help="the SavedModel; default: RUN_DIR/export/saved_model")  # fmt: skip
    return parser.parse_args(argv)


def export_saved_model(run_dir: RunDir, output: Path) -> dict:
    """Write the run's model.keras to `output` as a SavedModel, whole or not at all.

    Its endpoint `serve`, also the signature `serving_default`, takes `images`, uint8 [n, height, width, 3], and
    gives `logits`, float32 [n, num_classes]; preprocessing is inside. `output`/export.json says where it comes
    from and what the check found.

    Returns:
        The content of export.json.

    Raises:
        InputError: `output` exists and is no former export; or the exported model's logits differ from the Keras
            model's by more than rounding, in which case `output` stays as it was.
    """
    check_replaceable(output)
    start_tensorflow()

    import tensorflow as tf

    from export.parity import parity_images
    from tfcifar.evaluation.openings import model_digest
    from tfcifar.models.saved import load_model

    with tf.device("CPU:0"):  # the check compares CPU with CPU, and export needs no more
        model = load_model(run_dir.model)
    temporary = output.with_name(f".{output.name}.{platform.node()}-{os.getpid()}.tmp")
    try:
        _write(model, temporary)
        images = parity_images(model.input_shape[1:3])
        record = {
            "format": "tf_saved_model",
            "run": run_dir.name,
            "model_sha256": model_digest(run_dir),
            "input": {"name": "images", "dtype": "uint8", "shape": list(model.input_shape)},
            "output": {"name": "logits", "dtype": "float32", "shape": list(model.output_shape)},
            "class_names": read_json(run_dir.environment)["data"]["class_names"],
            "tensorflow": tf.__version__,
            "parity": check_parity(model, temporary, images),
        }
        write_json(temporary / RECORD, record)
        _put_in_place(temporary, output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return record


def check_replaceable(output: Path) -> None:
    """Raises InputError if `output` exists and is not a former export of this command."""
    former = output.is_dir() and (output / RECORD).is_file() and (output / "saved_model.pb").is_file()
    if (output.exists() or output.is_symlink()) and (output.is_symlink() or not former):
        raise InputError(
            f"--output: expected a new folder or a former export, received {output}, which is neither. "
            "Name another folder, or move that one away."
        )


def check_parity(model: "keras.Model", folder: Path, images: "np.ndarray") -> dict:
    """Compare the logits of the SavedModel in `folder`, loaded by a fresh process without Keras, with the model's.

    Args:
        images: uint8 [n, h, w, 3].

    Returns:
        See `export.parity.compare`.

    Raises:
        InputError: the difference is above the tolerance or not a number, or the SavedModel cannot be run.
    """
    import tensorflow as tf

    from export.parity import compare, compute_precision

    with tf.device("CPU:0"):
        expected = model(images, training=False).numpy()
    received = _logits_in_fresh_process(folder, images)
    return compare(expected, received, compute_precision(model), "SavedModel")


def _write(model: "keras.Model", folder: Path) -> None:
    import keras
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [tf.TensorSpec(model.input_shape, tf.uint8, name="images")]
    archive.add_endpoint("serve", lambda images: {"logits": model(images, training=False)}, signature)
    folder.parent.mkdir(parents=True, exist_ok=True)
    archive.write_out(str(folder), verbose=False)


def _logits_in_fresh_process(folder: Path, images: "np.ndarray") -> "np.ndarray":
    import numpy as np

    with tempfile.TemporaryDirectory() as scratch:
        inputs, outputs = Path(scratch) / "images.npy", Path(scratch) / "logits.npy"
        np.save(inputs, images)
        completed = subprocess.run(
            [sys.executable, "-I", "-c", RELOAD, folder.resolve(), inputs, outputs],
            # No GPU: this process may hold all its memory.
            env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"},
            capture_output=True,
            text=True,
        )
        if completed.returncode:
            last_line = (completed.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(f"export: the SavedModel cannot be run without Keras: {last_line}. Nothing was written.")
        return np.load(outputs)


def _put_in_place(temporary: Path, output: Path) -> None:
    """Rename `temporary` to `output`; a former export there goes only when the new one is complete."""
    check_replaceable(output)
    if not output.exists():
        os.rename(temporary, output)
        return
    former = output.with_name(f".{output.name}.{os.getpid()}.former.tmp")
    os.rename(output, former)
    os.rename(temporary, output)
    shutil.rmtree(former)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    run_dir = RunDir.existing(args.run_dir)
    output = args.output or run_dir.exports / "saved_model"
    parity = export_saved_model(run_dir, output)["parity"]
    share = parity["max_difference"] / parity["logit_range"]
    print(
        f"checked on {parity['images']} generated images: largest difference of logits "
        f"{parity['max_difference']:.2g}, {share:.1g} of their range (allowed for {parity['precision']}: "
        f"{parity['tolerance']:g})"
    )
    print(f"SavedModel: {output}")


if __name__ == "__main__":
    run(main)
