"""The search space: from hyperparameters to a recipe."""

import dataclasses
import inspect

from keras_tuner import HyperParameters

from tfcifar.models import MODELS
from tfcifar.recipe import Recipe

# Per optimizer, since their scales differ by orders of magnitude.
LEARNING_RATES = {"sgd": (0.01, 1.0), "adam": (1e-4, 1e-2), "adamw": (1e-4, 1e-2), "muon": (0.03, 0.5)}
WEIGHT_DECAYS = (1e-4, 1e-1)
WIDTHS = (0.5, 0.75, 1.0, 1.25)


def space_of(recipe: Recipe) -> HyperParameters:
    """What may vary around `recipe`: optimizer, learning rate, weight decay, batch size, dropout, augmentation, width.

    Its defaults are the recipe's own values; of the weight decay the nearest one in range.
    ImageNet backbones have a fixed width, and pretrained ones are not trained with Muon.
    """
    own = not MODELS[recipe.model.name].pretrained
    hp = HyperParameters()
    adam = "adam" if recipe.optimizer.name == "adam" else "adamw"  # both decouple weight decay here
    optimizers = ["sgd", adam] + ([] if recipe.model.weights else ["muon"])
    # Two of the recipe's fields make one optimizer's scale; the parts that are not in use are not searched.
    hp.Choice("optimizer", optimizers, default=recipe.optimizer.name)
    for name in optimizers:
        with hp.conditional_scope("optimizer", name):
            low, high = LEARNING_RATES[name]
            rate = recipe.optimizer.learning_rate if name == recipe.optimizer.name else (low * high) ** 0.5
            hp.Float(f"{name}.learning_rate", min(low, rate), max(high, rate), sampling="log", default=rate)
    low, high = WEIGHT_DECAYS
    decay = min(max(recipe.optimizer.weight_decay, low), high)
    hp.Float("weight_decay", low, high, sampling="log", default=decay)
    around: dict[str, tuple[float, list[float]]] = {
        "batch_size": (recipe.batch_size, [recipe.batch_size // 2, recipe.batch_size * 2]),
        "dropout": (recipe.model.dropout, [0.0, 0.1, 0.2, 0.3, 0.4]),
        "crop_padding": (recipe.augment.crop_padding, [0, 2, 4]),
        "cutout_size": (recipe.augment.cutout_size, [0, 4, 8, 12]),
        "color_jitter": (recipe.augment.color_jitter, [0.0, 0.1, 0.2, 0.3, 0.4]),
    }
    if recipe.labels == "one_hot":  # integer labels cannot be mixed or smoothed
        around["mixup_alpha"] = (recipe.augment.mixup_alpha, [0.0, 0.1, 0.2, 0.3, 0.4])
        around["label_smoothing"] = (recipe.augment.label_smoothing, [0.0, 0.05, 0.1, 0.15, 0.2])
    for name, (value, others) in around.items():
        hp.Choice(name, sorted({value, *others}), default=value)
    if own:
        hp.Choice("width", list(WIDTHS), default=1.0)
    return hp


def recipe_from(values: dict, recipe: Recipe, epochs: int | None = None) -> Recipe:
    """`recipe` with the hyperparameters `values` in their places.

    Args:
        values: of all names in `space_of(recipe)` that are in use.
        epochs: instead of the recipe's.
    """
    name = values["optimizer"]
    optimizer = dataclasses.replace(
        recipe.optimizer,
        name=name,
        learning_rate=values[f"{name}.learning_rate"],
        momentum=recipe.optimizer.momentum if name == recipe.optimizer.name else 0.6 if name == "muon" else 0.9,
        weight_decay=values["weight_decay"],
        adam_ratio=recipe.optimizer.adam_ratio if name == "muon" else None,
    )
    model = dataclasses.replace(recipe.model, dropout=values["dropout"])
    if "width" in values:
        widths = recipe.model.widths or default_widths(recipe.model.name)
        model = dataclasses.replace(model, widths=tuple(max(8, 8 * round(values["width"] * w / 8)) for w in widths))
    augment = dataclasses.replace(
        recipe.augment,
        crop_padding=values["crop_padding"],
        cutout_size=values["cutout_size"],
        **{each: values[each] for each in ("color_jitter", "mixup_alpha", "label_smoothing") if each in values},
    )
    epochs = epochs or recipe.epochs
    share = epochs / recipe.epochs  # what is counted in epochs shrinks with a trial that gets few of them
    return recipe.replace(
        model=model,
        optimizer=optimizer,
        augment=augment,
        schedule=dataclasses.replace(recipe.schedule, warmup_epochs=share * recipe.schedule.warmup_epochs),
        small_images=dataclasses.replace(recipe.small_images, epochs=int(share * recipe.small_images.epochs)),
        batch_size=values["batch_size"],
        epochs=epochs,
    )


def default_widths(model: str) -> tuple[int, ...]:
    """The channels of each stage that the architecture has by itself."""
    return inspect.signature(MODELS[model].load()).parameters["widths"].default
