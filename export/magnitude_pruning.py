"""Set a network's smallest weights to zero, a few at a time or at once, and train what is left: TF-MOT, over tf_keras.

Zhu and Gupta 2017, "To prune, or not to prune" (arXiv:1710.01878). The network keeps its size; what it gains is a file
that compresses well, and speed only on kernels made for zeros.
"""

import keras
import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras
from keras import layers

from export.fine_tune import fine_tune, with_restorable_dropout
from export.tf_keras_bridge import from_tf_keras, leaf_layers, to_tf_keras
from pipelines.datasets import steps_per_epoch
from pipelines.errors import InputError
from pipelines.splits import Splits
from tfcifar.models.convolution import FastConv2D
from tfcifar.models.feature_maps import images_to_predict
from tfcifar.models.whitening import PatchWhitening
from tfcifar.recipe import Recipe
from tfcifar.run_dir import RunDir, write_whole

UPDATES = 50  # of the masks, while the sparsity grows
# Depthwise kernels are not among them: they hold few weights, and each of these is a ninth of a channel.
PRUNABLE = (layers.Conv2D, FastConv2D, layers.SeparableConv2D, layers.Dense)


def prune_magnitude(
    model: keras.Model,
    recipe: Recipe,
    splits: Splits,
    run_dir: RunDir,
    sparsity: float,
    schedule: str = "constant",
    pattern: tuple[int, int] | None = None,
    provenance: dict | None = None,
    resume: bool = False,
) -> dict:
    """Fine-tune a trained model while its weights are pruned; `run_dir` receives all of a run but timing.json.

    Of the epochs at full sparsity the best by validation is kept. The work is done in float32, whatever the model's
    dtypes, which it keeps.

    Args:
        model: whose weights become those of the last epoch that was kept.
        sparsity: share of the weights that becomes zero in each kernel of `prunable_layers`.
        schedule: "constant": at the first step; "polynomial": over the first half of the epochs, fast at first.
        pattern: (m, n): at the first step, m zeros in each n weights that are next to each other in the input channels
            of a filter; `sparsity` and `schedule` have no say then.
        provenance, resume: see `fine_tune`.

    Returns:
        Its summary, see `fine_tune`.

    Raises:
        InputError: a layer that tf_keras does not have, or nothing to prune.
    """
    growing = max(1, recipe.epochs // 2) if schedule == "polynomial" and pattern is None else 0  # epochs
    steps = steps_per_epoch(splits.train, recipe.batch_size)
    clone = to_tf_keras(model, flatten=True)
    pruned = wrap(clone, prunable_layers(model), make_schedule(sparsity, growing * steps), pattern)

    def save():
        from_tf_keras(tfmot.sparsity.keras.strip_pruning(pruned), model)
        write_whole(run_dir.model, lambda path: model.save(path), durable=True)

    masking = tfmot.sparsity.keras.UpdatePruningStep()
    return fine_tune(pruned, recipe, splits, run_dir, save, (masking,), max(1, growing), provenance, resume,
                     validation_batch=images_to_predict(model))  # fmt: skip


def prunable_layers(model: keras.Model) -> list[str]:
    """Names of the convolutions and dense layers whose kernels are pruned, of models inside the model too.

    Not the first, of which all that follows has to make do, nor the last, from which each class has its own weights:
    both are small, and losses there cost most (Gale et al. 2019, arXiv:1902.09574). Not what does not train.

    Raises:
        InputError: there is none.
    """
    with_kernel = [layer for layer in leaf_layers(model) if type(layer) in (*PRUNABLE, PatchWhitening)]
    names = [layer.name for layer in with_kernel[1:] if layer.trainable and layer.name not in model.output_names]
    if not names:
        raise InputError(f"prune: {model.name} has no layer to prune between its first and its last.")
    return names


def make_schedule(sparsity: float, steps: int) -> tfmot.sparsity.keras.PruningSchedule:
    """From no zeros to `sparsity` within `steps`; at the first step where there is one step or none."""
    if steps <= 1:
        return tfmot.sparsity.keras.ConstantSparsity(sparsity, begin_step=1, end_step=1, frequency=1)
    frequency = max(1, (steps - 1) // UPDATES)
    # The last update must fall on the end, or the last step of the sparsity is never taken.
    end = 1 + (steps - 1) // frequency * frequency
    return tfmot.sparsity.keras.PolynomialDecay(0.0, sparsity, begin_step=1, end_step=end, frequency=frequency)


def wrap(
    clone: tf_keras.Model,
    names: list[str],
    schedule: tfmot.sparsity.keras.PruningSchedule,
    pattern: tuple[int, int] | None = None,
) -> tf_keras.Model:
    """`clone` with masks on the kernels of the layers `names`; it shares its layers."""

    def masked(layer):
        if layer.name in names:
            return tfmot.sparsity.keras.prune_low_magnitude(layer, schedule, sparsity_m_by_n=pattern)
        return with_restorable_dropout(layer)

    return tf_keras.models.clone_model(clone, clone_function=masked)


def zero_share(model: keras.Model, names: list[str]) -> float:
    """Share of zeros among the weights of the kernels of the layers `names`."""
    found = [layer for layer in leaf_layers(model) if layer.name in names]
    kernels = [
        np.asarray(layer.pointwise_kernel if isinstance(layer, layers.SeparableConv2D) else layer.kernel)
        for layer in found
    ]
    return 1 - sum(map(np.count_nonzero, kernels)) / sum(kernel.size for kernel in kernels)
