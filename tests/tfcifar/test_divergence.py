"""A run that diverges stops at that step, says where and in what batch, and goes on with a lower rate."""

import json
import shutil

import keras
import numpy as np
import pytest

from pipelines.augment_config import Augment
from pipelines.errors import InputError
from tfcifar.recipe import Model, Optimizer, Recipe, Schedule
from tfcifar.run_dir import RunDir, read_history
from tfcifar.training.batches import train_batches
from tfcifar.training.divergence import batch_statistics
from tfcifar.training.trainable import TrainableModel
from tfcifar.training.trainer import train

RECIPE = Recipe(
    "tiny",
    Model("small_cnn", widths=(4,)),
    epochs=3,
    batch_size=15,
    augment=Augment(flip="random"),
    optimizer=Optimizer(learning_rate=0.06),
    schedule=Schedule("constant"),
    mixed_precision="float32",
)


def poison(monkeypatch, epoch: int, step: int, steps: int) -> None:
    """Let the weights become NaN in one training step, of which the loss tells at the next."""
    fit, seen = TrainableModel.fit, []

    class Poison(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)
            if len(seen) == epoch * steps + step:
                variable = self.model.trainable_variables[0]
                variable.assign(np.full(variable.shape, np.nan))

    def poisoned(self, *arguments, callbacks, **options):
        return fit(self, *arguments, callbacks=[*callbacks, Poison()], **options)

    monkeypatch.setattr(TrainableModel, "fit", poisoned)


@pytest.fixture(scope="module")
def stopped(splits, tmp_path_factory):
    """A run whose loss is NaN at step 2 of the second epoch, of three steps each; and what it said."""
    run_dir = RunDir(tmp_path_factory.mktemp("stopped") / "run")
    with pytest.MonkeyPatch.context() as patch:
        poison(patch, epoch=1, step=2, steps=3)
        with pytest.raises(InputError) as error:
            train(RECIPE, splits, run_dir)
    return run_dir, str(error.value)


@pytest.fixture
def diverged(stopped, tmp_path):
    """The same, to go on with."""
    run_dir, message = stopped
    shutil.copytree(run_dir.path, tmp_path / "run")
    return RunDir(tmp_path / "run"), message


def test_the_run_stops_there_with_advice_and_the_weights_before_it(diverged):
    run_dir, message = diverged
    assert "training diverged in epoch 2, step 2: loss nan at a learning rate of 0.06; the batch there" in message
    assert "the weights of epoch 1 are kept" in message
    assert "--resume --set optimizer.learning_rate=0.02 or --set optimizer.clip_norm=1" in message
    assert [row["epoch"] for row in read_history(run_dir.history)] == [1]
    with np.load(run_dir.checkpoints / "state-0001.npz") as state:
        assert all(np.isfinite(state[name]).all() for name in state.files if name != "header")
    assert not run_dir.timing.exists()


def test_the_statistics_are_those_of_that_very_batch(splits, diverged):
    run_dir, _ = diverged
    record = json.loads(run_dir.divergence.read_text())
    assert (record["epoch"], record["step"], record["last_good_epoch"]) == (2, 2, 1)
    images, labels = list(train_batches(RECIPE, splits, 1, 2))[2]
    pixels = record["batch"]["images"]
    assert pixels["mean"] == pytest.approx(images.numpy().mean())
    assert (pixels["min"], pixels["max"]) == (images.numpy().min(), images.numpy().max())
    assert pixels["not_finite"] == 0
    assert list(record["batch"]["labels"].values()) == labels.numpy().sum(axis=0).tolist()


def test_it_goes_on_from_the_last_good_epoch_with_another_rate_on_record(splits, diverged):
    run_dir, _ = diverged
    lower = RECIPE.replace(optimizer=Optimizer(learning_rate=0.02))
    train(lower, splits, run_dir, resume=True)
    rates = [row["learning_rate"] for row in read_history(run_dir.history)]
    assert rates == pytest.approx([0.06, 0.02, 0.02])
    assert json.loads(run_dir.recipe.read_text())["optimizer"]["learning_rate"] == 0.02
    (entry,) = json.loads(run_dir.environment.read_text())["diverged"]
    assert entry["changed"] == {"optimizer.learning_rate": [0.06, 0.02]}
    assert not run_dir.divergence.exists()


def test_it_goes_on_with_nothing_else_changed(splits, diverged):
    run_dir, _ = diverged
    with pytest.raises(InputError, match=r"another recipe; different: optimizer, seed"):
        train(RECIPE.replace(optimizer=Optimizer(learning_rate=0.02), seed=1), splits, run_dir, resume=True)
    assert run_dir.divergence.exists()


def test_weights_that_the_last_step_of_an_epoch_spoils_are_not_kept(splits, tmp_path, monkeypatch):
    """Its loss was finite; without a look at the weights the epoch would count as whole."""
    poison(monkeypatch, epoch=0, step=3, steps=3)
    with pytest.raises(InputError, match=r"diverged in epoch 1, at its end: .*no epoch was whole before"):
        train(RECIPE, splits, RunDir(tmp_path / "run"))
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert not (tmp_path / "run" / "model.keras").exists()


def test_a_rate_that_is_far_too_high_is_found_out(splits, tmp_path):
    with pytest.raises(InputError, match=r"training diverged in epoch 1, step \d: loss (nan|inf)"):
        train(RECIPE.replace(optimizer=Optimizer(learning_rate=1e30)), splits, RunDir(tmp_path / "run"))


def test_labels_as_numbers_are_counted_by_class(splits):
    figures = batch_statistics(RECIPE.replace(labels="integer"), splits, 0, 0)
    assert figures["images"]["shape"] == [15, 8, 8, 3]
    assert sum(figures["labels"].values()) == 15
