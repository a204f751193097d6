"""Loading a model.keras without running anything that it might carry."""

import zipfile
from pathlib import Path

import keras

import tfcifar.models.attention
import tfcifar.models.fast_cnn
import tfcifar.models.transfer  # noqa: F401 - all three register the layers that saved models name
from pipelines.errors import InputError
from tfcifar.models.multi_task import classifier_of


def load_model(path: Path, all_heads: bool = False) -> keras.Model:
    """The model in `path`, for inference. Safe mode: Keras refuses files with pickled functions (Lambda layers).

    Args:
        all_heads: keep the group head of a multi-task model, whose output is then a dict of both; otherwise every
            model gives the logits of the classes.

    Raises:
        InputError: not a Keras file, incomplete, or one that safe mode refuses.
    """
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be loaded as a .keras model: {str(error).splitlines()[0]}") from error
    return model if all_heads else classifier_of(model)
