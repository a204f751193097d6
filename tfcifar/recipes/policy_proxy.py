"""What a trial of `tuner.policy` trains: a narrow fast network on a fifth of the training images, in seconds.

    python -m tuner.policy --trials 60

A proxy has to rank policies, not to be accurate. It sees each image a few times only, and so favours milder policies
than long training would: that is the price of trials that take seconds.
"""

from pipelines.augment_config import Augment
from tfcifar.recipe import Data, Model, Optimizer, Recipe, Schedule


def get_recipe() -> Recipe:
    return Recipe(
        name="policy_proxy",
        data=Data(train_fraction=0.2),
        model=Model("fast_cnn", widths=(24, 96, 96)),
        augment=Augment(flip="alternating", crop_padding=2, label_smoothing=0.2),
        optimizer=Optimizer("muon", learning_rate=0.17, momentum=0.6, weight_decay=0.0083),
        schedule=Schedule("linear"),
        epochs=8,
        batch_size=250,
    )


def demo(recipe: Recipe) -> Recipe:
    """An epoch of a tiny network on generated images."""
    return recipe.replace(
        data=Data("synthetic", train_fraction=0.2, image_size=16),
        model=Model("small_cnn", widths=(8, 8)),
        optimizer=Optimizer("sgd", learning_rate=0.1),
        epochs=1,
        batch_size=100,
    )
