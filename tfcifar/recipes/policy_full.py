"""What augmentation policies are compared on: the fast network with its validation images held out.

    python -m tuner.policy --trials 60 --compare 1 2 3

Its validation images are drawn anew: nine in ten took no part in choosing the policies, which was done by those of
`policy_proxy`. Its figures are not on record yet.
"""

import dataclasses

from tfcifar.recipe import Data, Recipe
from tfcifar.recipes import fast_94, policy_proxy

OTHER_SPLIT = 1  # of policy_proxy it is 0


def get_recipe() -> Recipe:
    data = Data(split_seed=OTHER_SPLIT)
    return fast_94.get_recipe().replace(name="policy_full", data=data, epochs=16, tta="none")


def demo(recipe: Recipe) -> Recipe:
    """Two epochs of a tiny network on generated images."""
    small = policy_proxy.demo(policy_proxy.get_recipe())
    data = dataclasses.replace(small.data, split_seed=OTHER_SPLIT)
    return small.replace(name="policy_full", data=data, epochs=2)
