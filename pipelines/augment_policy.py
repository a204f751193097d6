"""A policy of several sub-policies on whole batches: each image draws one, and pays for its operations alone.

Cubuk et al. 2019, "AutoAugment", arXiv:1805.09501. Operations and magnitudes are those of `pipelines.randaugment`.
"""

from functools import partial

import tensorflow as tf

from pipelines import randaugment
from pipelines.augment_random import per_image, per_image_integer, split
from pipelines.policy_config import MAX_MAGNITUDE, parse_sub_policy


def apply_policy(images, seed, policy):
    """Applies to each image one sub-policy, drawn with equal chances.

    Args:
        images: float32 [b, h, w, 3] in [0, 255].
        seed: int [2].
        policy: list of sub-policies, texts as `parse_sub_policy` reads; empty: nothing is done.

    Returns:
        float32 [b, h, w, 3] in [0, 255].
    """
    if not policy:
        return images
    sub_policies = [parse_sub_policy(text) for text in policy]
    places = max(map(len, sub_policies))
    choice_seed, *place_seeds = split(seed, 1 + places)
    chosen = per_image_integer(images, choice_seed, 0, len(sub_policies) - 1)
    for place, place_seed in enumerate(place_seeds):
        steps = [steps[place] if place < len(steps) else None for steps in sub_policies]
        images = _apply_steps(images, place_seed, chosen, steps)
    return images


def _apply_steps(images, seed, chosen, steps):
    """To each image the one of `steps` (None: nothing) that its sub-policy `chosen` has at this place."""
    chance_seed, sign_seed = split(seed, 2)
    probabilities = tf.constant([step.probability if step else 0.0 for step in steps], tf.float32)
    happens = per_image(images, chance_seed) < tf.gather(probabilities, chosen)
    signs = tf.where(per_image(images, sign_seed) < 0.5, -1.0, 1.0)
    operations = {"nothing": randaugment.identity}
    operations |= {str(index): partial(_at_level, step) for index, step in enumerate(steps) if step}
    place_of = tf.constant([list(operations).index(str(index)) if step else 0 for index, step in enumerate(steps)])
    drawn = tf.where(happens, tf.gather(place_of, chosen), 0)
    return randaugment.apply_drawn(images, drawn, signs, None, operations)


def _at_level(step, images, signs, _):
    """An operation for `apply_drawn`, with a level of its own."""
    level = step.magnitude / MAX_MAGNITUDE
    return randaugment.OPERATIONS[step.operation](images, level * signs, level)
