"""Optimizers of a recipe."""

from typing import Any

import keras

from tfcifar.recipe import Recipe
from tfcifar.training.layerwise import LayerwiseAdam, LayerwiseSGD
from tfcifar.training.muon import ConvolutionalMuon
from tfcifar.training.phases import HEAD, Phase
from tfcifar.training.schedules import schedule_for


def make_optimizer(
    recipe: Recipe, phase: Phase, steps_per_epoch: int, rates: dict[str, float] | None = None
) -> keras.optimizers.Optimizer:
    """A fresh optimizer for `phase`.

    Weight decay is decoupled and spares biases and normalization weights; Muon's is another, see there.

    Args:
        rates: path of a variable -> what its learning rate is multiplied by (see `rates_by_depth`); None: 1 for all.
    """
    config = recipe.optimizer
    learning_rate = schedule_for(recipe, phase, steps_per_epoch)
    if config.name == "muon" and phase.name != HEAD:
        return ConvolutionalMuon(
            learning_rate,
            recipe.batch_size,
            config.momentum,
            config.bias_ratio,
            config.dense_ratio,
            sgd_weight_decay=config.weight_decay,
            adam_ratio=config.adam_ratio,
            compute_dtype=keras.mixed_precision.dtype_policy().compute_dtype,
            global_clipnorm=config.clip_norm,
        )
    common: dict[str, Any] = {"weight_decay": config.weight_decay or None, "global_clipnorm": config.clip_norm}
    layerwise = {"rates": rates} if rates else {}
    sgd, adam = (LayerwiseSGD, LayerwiseAdam) if rates else (keras.optimizers.SGD, keras.optimizers.Adam)
    if phase.name == HEAD:
        optimizer = keras.optimizers.Adam(learning_rate, **common)
    elif config.name == "sgd":
        optimizer = sgd(learning_rate, momentum=config.momentum, nesterov=True, **layerwise, **common)
    else:  # "adam" or "adamw": Keras' Adam decouples weight decay too, and takes none where AdamW insists on some
        optimizer = adam(learning_rate, **layerwise, **common)
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer
