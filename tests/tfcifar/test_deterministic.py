"""With `deterministic`, a run gives the same weights twice, bit for bit: one recipe of each family, in small.

The plain CNN's turn is in tests/integration/test_resume.py, the students' in test_distillation.py.
"""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.sources import Examples, Source
from pipelines.splits import make_splits
from tests.tfcifar.tiny_training import tiny_transfer
from tfcifar import recipes
from tfcifar.models import MODELS, Entry
from tfcifar.recipe import Model, Recipe, SmallImages
from tfcifar.run_dir import RunDir
from tfcifar.training.trainer import train

# What is made smaller; augmentation, optimizer, schedule, averages, phases and heads stay.
SMALLER = {
    "fast_94": lambda: {
        "model": Model("fast_cnn", dropout=0.1, widths=(4, 4, 4)),
        "small_images": SmallImages(1, image_size=16),
    },
    "residual_cnn": lambda: {"model": Model("attention_cnn", dropout=0.1, widths=(4, 8), attention="se"), "epochs": 1},
    "level_2": lambda: {"model": Model("tiny_transfer", dropout=0.2), "small_images": SmallImages(), "epochs": 1},
}


@pytest.fixture
def images(splits):
    """20 px, so that there is something to shrink and to augment."""
    train = splits.source.train
    larger = Examples(train.images.repeat(3, axis=1).repeat(3, axis=2)[:, :20, :20], train.labels)
    return make_splits(Source("colours", ("red", "green", "blue"), (20, 20, 3), larger, None, None))


def small(name: str) -> Recipe:
    recipe = recipes.load(name)
    schedule = dataclasses.replace(recipe.schedule, warmup_epochs=min(recipe.schedule.warmup_epochs, 0.5))
    changes = {"epochs": 2, "batch_size": 20, "schedule": schedule, "deterministic": True, **SMALLER[name]()}
    return recipe.replace(**changes)


@pytest.mark.parametrize("name", SMALLER)
def test_equal_runs_of_a_family_give_equal_weights(images, tmp_path, monkeypatch, name):
    entry = Entry(f"{tiny_transfer.__module__}:{tiny_transfer.__name__}", "a backbone of four layers", pretrained=True)
    monkeypatch.setitem(MODELS, "tiny_transfer", entry)
    weights = []
    for run in ("first", "second"):
        keras.utils.set_random_seed(len(weights) + 100)  # what was drawn before has no say
        tf.random.normal((3,))
        run_dir = RunDir(tmp_path / run)
        train(small(name), images, run_dir)
        newest = max(run_dir.checkpoints.glob("state-*.npz"))
        with np.load(newest) as state:
            weights.append({each: state[each] for each in state.files if each != "header"})
    assert weights[0].keys() == weights[1].keys()
    for each, array in weights[0].items():
        np.testing.assert_array_equal(array, weights[1][each])
