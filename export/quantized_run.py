"""A run fine-tuned as it will compute in INT8, as a run directory like any other, with its .tflite file."""

import numpy as np
import tensorflow as tf
import tf_keras

from export.calibration_data import representative_images
from export.card import FORMATS
from export.derived_run import fine_tuned, open_source
from export.fine_tune import fine_tune
from export.fold import fold
from export.quantization_aware import FixedRanges, quantization_aware, trained_weights
from export.tflite import convert_to_int8
from pipelines.datasets import make_image_dataset
from pipelines.examples import Examples
from tfcifar.environment import record_command
from tfcifar.evaluation.openings import model_digest
from tfcifar.models.feature_maps import images_to_differentiate, images_to_predict
from tfcifar.models.saved import load_model
from tfcifar.recipe import Optimizer, Recipe
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir, read_json, write_json, write_whole
from tfcifar.training.start import Start
from tfcifar.training.trainer import begin_run


def quantize_run(
    source: RunDir, output: RunDir, epochs: int, learning_rate: float, keep_zeros: bool = False, resume: bool = False
) -> dict:
    """Write a finished run, fine-tuned for INT8, as a run of its own; its INT8 file goes to export/NAME.int8.tflite.

    model.keras holds the folded network with the fine-tuned weights, in float32; the .tflite file also the ranges of
    activations that they were trained with. The test split stays closed.

    Args:
        learning_rate: of Adam, at the start of a half cosine to zero.
        keep_zeros: see `quantization_aware`.
        resume: continue what an interruption has left in `output`, from its last whole epoch.

    Returns:
        The entry "quantized" of environment.json: `source`, `model_sha256`, the arguments, and the accuracies
        `validation_before` fine-tuning and `validation` after it, both computed in 8 bits; None where the run trains
        on the validation images.

    Raises:
        InputError: `output` is taken; other data than the source's; a layer that cannot be quantized.
    """
    # Rounding keeps each map once more: of mobilenet_v3_small at 128 pixels, 1,000 images at once took over 18 GB.
    most = 2 * images_to_differentiate(load_model(source.model))
    recipe = quantization_recipe(load_json(source.recipe), epochs, learning_rate, most)
    asked = {"source": source.name, "model_sha256": model_digest(source), "keep_zeros": keep_zeros}
    model, recipe, splits = open_source(source, output, "quantized", asked, recipe, resume)
    representative = representative_images(splits)
    clone = quantization_aware(model, representative, keep_zeros)
    at_once = images_to_predict(model)
    before = None if recipe.data.train_on_validation else _accuracy(clone, splits.validation, at_once)
    folded = fold(model)
    begin_run(output, recipe, splits, {"quantized": asked})

    def save() -> None:
        content = convert_to_int8(clone, representative)
        path = output.exports / f"{output.name}{FORMATS['tflite_int8']}"
        write_whole(path, lambda temporary: temporary.write_bytes(content))
        trained_weights(clone, folded)
        write_whole(output.model, lambda path: folded.save(path), durable=True)

    said = tf.function(lambda images: tf.nn.softmax(tf.cast(model(images, training=False), tf.float32)))
    summary = fine_tune(clone, recipe, splits, output, save, (FixedRanges(),), resume=resume,
                        relabel=lambda images, labels: said(images), validation_batch=at_once)  # fmt: skip
    start = Start.behind(source, splits, model, {})
    write_json(output.timing, start.with_costs(summary, recipe, splits, folded))
    environment = read_json(output.environment)
    after = summary["val_accuracy"]
    environment["quantized"] = asked | {"validation_before": before, "validation": after}
    write_json(output.environment, environment)
    record_command(output.path)
    return environment["quantized"]


def quantization_recipe(recipe: Recipe, epochs: int, learning_rate: float, most_images: int) -> Recipe:
    """How a run of `recipe` is fine-tuned (see `fine_tuned`): by Adam, its batches halved until they fit into memory.

    What is learned is what the float network says of each image, so that labels, teachers and groups have no part.
    """
    # TensorFlow's gradients of rounding have no deterministic kernels on a GPU.
    deterministic = recipe.deterministic and not tf.config.list_physical_devices("GPU")
    optimizer = Optimizer("adam", learning_rate=learning_rate)
    batch_size = recipe.batch_size
    while batch_size > most_images:
        batch_size = -(-batch_size // 2)
    return fine_tuned(recipe, "int8", epochs, optimizer).replace(deterministic=deterministic, batch_size=batch_size)


def _accuracy(clone: tf_keras.Model, examples: Examples, batch_size: int) -> float:
    predicted = clone.predict(make_image_dataset(examples.images, batch_size), verbose=0).argmax(-1)
    return float(np.mean(predicted == examples.labels))
