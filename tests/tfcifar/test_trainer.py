"""Training as a whole, on a handful of generated images in this process."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.datasets import make_train_dataset
from pipelines.errors import InputError
from pipelines.splits import make_splits
from tests.tfcifar.tiny_training import AUGMENT, assert_same_state, interrupt_after, recipe, resumed_run
from tfcifar.models import build_model
from tfcifar.models.saved import load_model
from tfcifar.recipe import Data, Model, MultiTask, Optimizer, Recipe, Schedule, Transfer
from tfcifar.run_dir import RunDir, read_history
from tfcifar.training import callbacks
from tfcifar.training.trainable import TrainableModel
from tfcifar.training.trainer import train
from tfcifar.training.weight_average import WeightAverage


@pytest.fixture(scope="module")
def phased(tiny_backbone) -> Recipe:
    return recipe(
        model=Model("tiny_transfer", dropout=0.2),
        epochs=3,
        transfer=Transfer(head_epochs=1, unfreeze=(0.3, 1.0)),
        optimizer=Optimizer("adam", learning_rate=0.01, ema_decay=0.9),
    )


@pytest.fixture(scope="module")
def undisturbed_phases(splits, phased, tmp_path_factory):
    run_dir = RunDir(tmp_path_factory.mktemp("undisturbed"))
    train(phased, splits, run_dir)
    return run_dir


def test_a_backbone_thaws_from_its_top(undisturbed_phases):
    assert [row["phase"] for row in read_history(undisturbed_phases.history)] == [
        "head", "fine-tune top 30%", "fine-tune", "fine-tune",
    ]  # fmt: skip


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_a_run_of_three_phases_resumes_at_their_borders_and_inside_the_last(
    splits, phased, undisturbed_phases, tmp_path, monkeypatch, stop_after
):
    undisturbed, resumed = undisturbed_phases, RunDir(tmp_path / "resumed")
    resumed_run(phased, splits, resumed, stop_after, monkeypatch)
    assert_same_state(undisturbed, resumed, "state-0004.npz", rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_an_interrupted_run_resumes_in_every_number_format(splits, tmp_path, monkeypatch, precision):
    """float16 wraps the optimizer in one that scales the loss, whose variables belong to the checkpoint too."""
    run_dir = RunDir(tmp_path / "run")
    interrupt_after(1, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(mixed_precision=precision), splits, run_dir)
    train(recipe(mixed_precision=precision), splits, run_dir, resume=True)
    assert [row["epoch"] for row in read_history(run_dir.history)] == [1, 2]


def test_a_run_is_not_continued_on_other_data(splits, tmp_path):
    train(recipe(epochs=1), splits, RunDir(tmp_path / "run"))
    other = make_splits(splits.source, split_seed=1)
    with pytest.raises(InputError, match="the train split is not the one"):
        train(recipe(epochs=1), other, RunDir(tmp_path / "run"), resume=True)


def test_a_run_is_not_judged_before_its_end(splits, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(callbacks, "save_state", interrupted)  # model.keras is there by then
    with pytest.raises(KeyboardInterrupt):
        train(recipe(), splits, RunDir(tmp_path / "run"))
    assert (tmp_path / "run" / "model.keras").is_file()
    with pytest.raises(InputError, match="not trained to its end"):
        RunDir.existing(tmp_path / "run")


@pytest.mark.parametrize("integer_labels", [False, True])
def test_augmentation_on_the_device_trains_like_augmentation_in_the_chain(splits, integer_labels):
    weights = []
    for on_device in (False, True):
        keras.utils.set_random_seed(0)
        model = build_model(Model("small_cnn", widths=(4,)), (8, 8, 3), 3, splits.mean, splits.std)
        trainable = TrainableModel.wrap(model, AUGMENT if on_device else None, None, integer_labels)
        loss = keras.losses.SparseCategoricalCrossentropy if integer_labels else keras.losses.CategoricalCrossentropy
        trainable.compile(keras.optimizers.SGD(0.1), loss(from_logits=True), jit_compile=False)
        batches = make_train_dataset(splits.train, 3, AUGMENT, 15, 7, 0, 1, integer_labels, augment_on_device=on_device)
        trainable.fit(batches, steps_per_epoch=3, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for in_chain, on_device in zip(*weights, strict=True):
        np.testing.assert_allclose(in_chain, on_device, atol=1e-5)


def test_time_spent_waiting_for_data_is_counted(splits):
    def slow_batches():
        for _ in range(3):
            time.sleep(0.1)
            yield np.zeros((4, 8, 8, 3), "float32"), np.eye(3, dtype="float32")[[0, 1, 2, 0]]

    signature = (tf.TensorSpec((4, 8, 8, 3)), tf.TensorSpec((4, 3)))
    model = build_model(Model("small_cnn", widths=(4,)), (8, 8, 3), 3, splits.mean, splits.std)
    trainable = TrainableModel.wrap(model, None, None, integer_labels=False)
    trainable.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=False)
    ds = tf.data.Dataset.from_generator(slow_batches, output_signature=signature)
    trainable.fit(ds, steps_per_epoch=3, verbose=0)
    assert 0.2 < trainable.data_wait_seconds < 2


def test_the_average_follows_the_training_steps(splits):
    model = build_model(Model("small_cnn", widths=(4,)), (8, 8, 3), 3, splits.mean, splits.std)
    average = WeightAverage(model.weights, decay=0.5)
    trainable = TrainableModel.wrap(model, None, average, integer_labels=False)
    trainable.compile(
        keras.optimizers.SGD(0.1), keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=False
    )
    before = [weight.numpy() for weight in model.weights]
    batches = make_train_dataset(splits.train, 3, AUGMENT, 15, 7, 0, 1)
    trainable.fit(batches, steps_per_epoch=1, shuffle=False, verbose=0)
    decay = 2 / 11  # after one step the warm-up (1 + 1) / (10 + 1) is below 0.5
    for old, new, averaged in zip(before, model.weights, average.averages, strict=True):
        np.testing.assert_allclose(averaged, decay * old + (1 - decay) * new.numpy(), atol=1e-6)


def test_a_model_trained_on_validation_data_too_is_the_last_one_not_the_best(splits, tmp_path):
    everything = make_splits(splits.source, train_on_validation=True)
    assert len(everything.train) == len(splits.train) + len(splits.validation)
    run_dir = RunDir(tmp_path / "run")
    summary = train(recipe(data=Data(train_on_validation=True)), everything, run_dir)
    assert summary["best_epoch"] is summary["val_accuracy"] is None
    assert all(np.isnan(row["val_accuracy"]) for row in read_history(run_dir.history))
    with np.load(run_dir.checkpoints / "state-0002.npz") as state:
        last = state["model/00000"]
    np.testing.assert_array_equal(load_model(run_dir.model).variables[0].numpy(), last)


def test_a_refused_recipe_leaves_no_run_behind(splits, tmp_path):
    run_dir = RunDir(tmp_path / "run")
    with pytest.raises(InputError, match=r"no such name: rde"):
        train(recipe(multi_task=MultiTask(("warm: rde", "cold: green blue"))), splits, run_dir)
    assert not run_dir.recipe.exists()


def test_the_rate_falls_on_a_plateau_and_a_resumed_run_goes_on_with_it(splits, tmp_path, monkeypatch):
    def validate_as(losses):
        measured = iter(losses)
        monkeypatch.setattr(TrainableModel, "evaluate", lambda *_, **__: {"loss": next(measured), "accuracy": 0.5})

    schedule = Schedule("plateau", plateau_patience=2, plateau_factor=0.5)
    config = recipe(optimizer=Optimizer(learning_rate=0.1), schedule=schedule, epochs=5)
    validate_as([1.0, 1.1, 1.2, 1.3, 1.4])
    train(config, splits, RunDir(tmp_path / "whole"))
    rates = [row["learning_rate"] for row in read_history(RunDir(tmp_path / "whole").history)]
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.1, 0.05, 0.05], rtol=1e-6)

    validate_as([1.0, 1.1, 1.2, 1.3, 1.4])
    resumed_run(config, splits, RunDir(tmp_path / "resumed"), 2, monkeypatch)
    assert [row["learning_rate"] for row in read_history(RunDir(tmp_path / "resumed").history)] == rates
