"""What augmentation policies are compared on: the fast network with its validation images held out.

    python -m tuner.policy --trials 60 --compare 1 2 3

Its figures are not on record yet.
"""

from tfcifar.recipe import Data, Recipe
from tfcifar.recipes import fast_94, policy_proxy


def get_recipe() -> Recipe:
    return fast_94.get_recipe().replace(name="policy_full", data=Data(), epochs=16, tta="none")


def demo(recipe: Recipe) -> Recipe:
    """Two epochs of a tiny network on generated images."""
    return policy_proxy.demo(policy_proxy.get_recipe()).replace(name="policy_full", epochs=2)
