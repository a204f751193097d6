"""Accuracy over episodes."""

import time

import numpy as np
from tqdm import tqdm

from tfcifar.fewshot.episodes import EpisodeSampler
from tfcifar.fewshot.methods import Method


def accuracies(method: Method, sampler: EpisodeSampler, episodes: int, shown: str = "") -> tuple[np.ndarray, float]:
    """Let `method` learn the first `episodes` episodes of `sampler`, each from nothing but its support images.

    Args:
        shown: what a progress bar is for; empty: none.

    Returns:
        The share of right answers to each episode's queries, float64 [episodes]; median seconds of learning one.
    """
    found, seconds = np.empty(episodes), np.empty(episodes)
    for number in tqdm(range(episodes), desc=shown, unit="episode", leave=False, disable=None if shown else True):
        episode = sampler.draw(number)
        started = time.perf_counter()
        learned = method.learn(episode.support_images, episode.support_labels, sampler.ways)
        seconds[number] = time.perf_counter() - started
        # One by one they would be judged the same: no method looks at other queries.
        found[number] = (learned.logits(episode.query_images).argmax(1) == episode.query_labels).mean()
    return found, float(np.median(seconds))
