"""Loading a model.keras without running anything that it might carry."""

import zipfile
from pathlib import Path

import keras
import tensorflow as tf

import tfcifar.models.attention
import tfcifar.models.fast_cnn
import tfcifar.models.transfer  # noqa: F401 - all three register the layers that saved models name
from pipelines.errors import InputError, first_line
from tfcifar.models.file_guard import check_keras_file, no_more_weights_than
from tfcifar.models.multi_task import classifier_of


def load_model(path: Path, all_heads: bool = False) -> keras.Model:
    """The model in `path`, for inference. Safe mode: Keras refuses files with pickled functions (Lambda layers).

    Args:
        all_heads: keep the group head of a multi-task model, whose output is then a dict of both; otherwise every
            model gives the logits of the classes.

    Raises:
        InputError: not a Keras file, incomplete, one that safe mode refuses, or a bomb (see `check_keras_file`).
    """
    try:
        with no_more_weights_than(path, check_keras_file(path)):
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except InputError:
        raise
    except (ValueError, TypeError, OSError, KeyError, RuntimeError, MemoryError, zipfile.BadZipFile,
            tf.errors.ResourceExhaustedError) as error:  # fmt: skip
        raise InputError(f"{path}: cannot be loaded as a .keras model: {first_line(error)}") from error
    return model if all_heads else classifier_of(model)
