"""Training on small images first."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import InputError
from pipelines.sources import Examples, Source
from pipelines.splits import make_splits
from tests.tfcifar.tiny_training import assert_same_state, recipe, resumed_run, tiny_transfer
from tfcifar.models.saved import load_model
from tfcifar.recipe import Model, Optimizer, Schedule, SmallImages, Transfer
from tfcifar.run_dir import RunDir, read_history
from tfcifar.training.trainable import TrainableModel
from tfcifar.training.trainer import train


@pytest.fixture(scope="module")
def larger_splits(splits):
    """The same colours at 20 px, so that there is something to shrink."""
    train = splits.source.train
    larger = Examples(train.images.repeat(3, axis=1).repeat(3, axis=2)[:, :20, :20], train.labels)
    return make_splits(Source("colours", ("red", "green", "blue"), (20, 20, 3), larger, None, None))


SMALL_FIRST = recipe(
    model=Model("fast_cnn", dropout=0.2, widths=(4, 4, 4)),
    epochs=4,
    small_images=SmallImages(2, image_size=16),
    schedule=Schedule("linear"),
    optimizer=Optimizer("muon", learning_rate=0.1, momentum=0.6, weight_decay=0.01, ema_decay=0.9),
)


@pytest.fixture(scope="module")
def undisturbed_small(larger_splits, tmp_path_factory):
    run_dir = RunDir(tmp_path_factory.mktemp("undisturbed_small"))
    train(SMALL_FIRST, larger_splits, run_dir)
    return run_dir


def test_small_images_come_first_and_the_rate_falls_over_all_epochs(undisturbed_small):
    history = read_history(undisturbed_small.history)
    assert [row["phase"] for row in history] == ["small images", "small images", "train", "train"]
    assert [row["learning_rate"] for row in history] == pytest.approx([0.075, 0.05, 0.025, 0], abs=1e-7)


@pytest.mark.parametrize("stop_after", [2, 3])
def test_a_run_with_small_images_resumes_at_the_border_and_inside(
    larger_splits, undisturbed_small, tmp_path, monkeypatch, stop_after
):
    undisturbed, resumed = undisturbed_small, RunDir(tmp_path / "resumed")
    resumed_run(SMALL_FIRST, larger_splits, resumed, stop_after, monkeypatch)
    assert_same_state(undisturbed, resumed, "state-0004.npz", rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("tiny_backbone")
def test_a_transfer_model_resumes_where_its_small_images_end(splits, tmp_path, monkeypatch):
    small_first = recipe(
        model=Model("tiny_transfer", dropout=0.2, image_size=64),
        epochs=2,
        transfer=Transfer(head_epochs=1),
        small_images=SmallImages(1, image_size=32),
        optimizer=Optimizer("adam", learning_rate=0.01, ema_decay=0.9),
    )
    undisturbed, resumed = RunDir(tmp_path / "undisturbed"), RunDir(tmp_path / "resumed")
    train(small_first, splits, undisturbed)
    history = read_history(undisturbed.history)
    assert [row["phase"] for row in history] == ["head", "small images", "fine-tune"]

    resumed_run(small_first, splits, resumed, 2, monkeypatch)
    again = read_history(resumed.history)
    assert [row["loss"] for row in again] == pytest.approx([row["loss"] for row in history], abs=1e-4)
    assert again[-1]["val_loss"] == pytest.approx(history[-1]["val_loss"], abs=1e-4)


def test_images_stay_as_they_are_where_the_model_upscales_them():
    model = tiny_transfer((32, 40, 3), num_classes=3, weights=None, image_size=64, dropout=0)
    trainable = TrainableModel.wrap(model, None, None, integer_labels=True, image_size=32)
    trainable.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    batches = tf.data.Dataset.from_tensors((np.zeros((2, 32, 40, 3), "float32"), np.zeros(2, "int64")))
    trainable.fit(batches, verbose=0)


def test_validation_is_on_whole_images_while_training_is_on_small_ones(larger_splits, tmp_path):
    """The best model is chosen by what it will do on whole images; after one epoch it is the model that was saved."""
    run_dir = RunDir(tmp_path / "run")
    model = Model("fast_cnn", widths=(4, 4, 4))
    train(recipe(model=model, small_images=SmallImages(1, image_size=16)), larger_splits, run_dir)
    first, second = read_history(run_dir.history)
    logits = load_model(run_dir.model).predict(larger_splits.validation.images, verbose=0)
    accuracy = (logits.argmax(axis=1) == larger_splits.validation.labels).mean()
    assert accuracy == pytest.approx(max(first["val_accuracy"], second["val_accuracy"]))


def test_small_images_must_be_smaller_than_the_images(splits, tmp_path):
    with pytest.raises(InputError, match=r"small_images.image_size: expected fewer pixels .* \(8x8\), received 16"):
        train(recipe(small_images=SmallImages(1, image_size=16)), splits, RunDir(tmp_path / "run"))


def test_images_are_shrunk_by_averaging():
    inputs = keras.Input((4, 4, 3), name="images")
    model = keras.Model(inputs, keras.layers.Dense(2, use_bias=False)(keras.layers.GlobalMaxPooling2D()(inputs)))
    model.layers[-1].set_weights([np.eye(3, 2, dtype="float32")])
    trainable = TrainableModel.wrap(model, None, None, integer_labels=True, image_size=2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trainable.compile(keras.optimizers.SGD(0.0), loss, jit_compile=False)
    images = np.random.RandomState(0).uniform(0, 4, (5, 4, 4, 3)).astype("float32")
    logits = images.reshape(5, 2, 2, 2, 2, 3).mean(axis=(2, 4)).max(axis=(1, 2))[:, :2]  # 2x2 blocks
    expected = np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[:, 1])
    batches = tf.data.Dataset.from_tensors((images, np.ones(5, "int64")))
    fitted = trainable.fit(batches, steps_per_epoch=1, shuffle=False, verbose=0)
    assert fitted.history["loss"][0] == pytest.approx(expected, rel=1e-5)
