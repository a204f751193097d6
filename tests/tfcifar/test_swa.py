"""Runs with stochastic weight averaging: whose mean it is, and that an interruption changes nothing."""

import json

import numpy as np
import pytest

from pipelines.augment_config import Augment
from pipelines.errors import InputError
from tests.tfcifar.tiny_training import interrupt_after
from tfcifar.models.saved import load_model
from tfcifar.recipe import Data, Model, Optimizer, Recipe, Schedule, SmallImages
from tfcifar.run_dir import RunDir
from tfcifar.runs import _validation
from tfcifar.training import swa
from tfcifar.training.batch_norm_statistics import recompute_statistics
from tfcifar.training.trainer import train

STATISTICS = ("moving_mean", "moving_variance")


def recipe(**changes) -> Recipe:
    tiny = Recipe(
        "tiny",
        Model("small_cnn", dropout=0.2, widths=(4,)),
        epochs=3,
        batch_size=15,
        augment=Augment(flip="random"),
        optimizer=Optimizer("sgd", learning_rate=0.1, swa_epochs=2),
        schedule=Schedule("constant"),
        mixed_precision="float32",
    )
    return tiny.replace(**changes)


@pytest.fixture(scope="module")
def undisturbed(splits, tmp_path_factory):
    run_dir = RunDir(tmp_path_factory.mktemp("runs") / "undisturbed")
    return run_dir, train(recipe(), splits, run_dir)


def weights_after(run_dir: RunDir, epoch: int, model) -> list[np.ndarray]:
    """The weights of the checkpoint of `epoch`; random states, which come between, are left out."""
    with np.load(run_dir.checkpoints / f"state-{epoch:04d}.npz") as state:
        values = [state[name] for name in sorted(state.files) if name.startswith("model/")]
    shapes = [tuple(variable.shape) for variable in model.variables]
    assert [value.shape for value in values[: len(shapes)]] == shapes
    known = {variable.path for variable in model.weights}
    return [value for variable, value in zip(model.variables, values, strict=False) if variable.path in known]


def test_the_model_is_the_mean_of_the_last_epochs_with_statistics_of_its_own(undisturbed, splits):
    run_dir, summary = undisturbed
    model = load_model(run_dir.model)
    saved = model.get_weights()
    mean = [np.mean(pair, axis=0) for pair in zip(*(weights_after(run_dir, n, model) for n in (2, 3)), strict=True)]
    names = [weight.name for weight in model.weights]
    for name, value, expected in zip(names, saved, mean, strict=True):
        assert np.allclose(value, expected, atol=1e-6) or name in STATISTICS
    model.set_weights(mean)
    recompute_statistics(model, splits.train.images)
    for value, expected in zip(saved, model.get_weights(), strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-5)
    logits = model.predict(splits.validation.images, verbose=0)
    assert summary["val_accuracy"] == (logits.argmax(-1) == splits.validation.labels).mean()
    assert (summary["best_epoch"], summary["averaged_epochs"]) == (None, 2)
    assert "of the weights averaged over 2 epochs" in _validation(summary)


def equal_models(run_dir: RunDir, other: RunDir) -> bool:
    pairs = zip(load_model(run_dir.model).get_weights(), load_model(other.model).get_weights(), strict=True)
    return all(np.allclose(value, expected, atol=1e-6) for value, expected in pairs)


def test_a_run_interrupted_between_the_averaged_epochs_ends_with_the_same_model(
    undisturbed, splits, tmp_path, monkeypatch
):
    interrupt_after(2, monkeypatch)
    run_dir = RunDir(tmp_path / "resumed")
    with pytest.raises(KeyboardInterrupt):
        train(recipe(), splits, run_dir)
    assert not run_dir.timing.exists()
    assert train(recipe(), splits, run_dir, resume=True)["val_accuracy"] == undisturbed[1]["val_accuracy"]
    assert equal_models(run_dir, undisturbed[0])


def test_an_interruption_while_the_average_is_made_changes_nothing(undisturbed, splits, tmp_path, monkeypatch):
    def be_interrupted(*arguments):
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(swa, "recompute_statistics", be_interrupted)
    run_dir = RunDir(tmp_path / "resumed")
    with pytest.raises(KeyboardInterrupt):
        train(recipe(), splits, run_dir)
    train(recipe(), splits, run_dir, resume=True)
    assert equal_models(run_dir, undisturbed[0])
    assert json.loads(run_dir.timing.read_text())["averaged_epochs"] == 2


def test_resuming_a_finished_run_leaves_its_model_as_it_is(undisturbed, splits):
    run_dir, summary = undisturbed
    before = run_dir.model.stat().st_mtime_ns
    assert train(recipe(), splits, run_dir, resume=True) == summary
    assert run_dir.model.stat().st_mtime_ns == before


def test_a_run_on_all_images_has_an_average_and_no_validation(splits, tmp_path):
    everything = recipe(epochs=1, optimizer=Optimizer("sgd", swa_epochs=1), data=Data(train_on_validation=True))
    summary = train(everything, splits, RunDir(tmp_path / "run"))
    assert summary["val_accuracy"] is None
    assert summary["averaged_epochs"] == 1


@pytest.mark.parametrize(
    ("optimizer", "changes", "message"),
    [
        ({"swa_epochs": 4}, {}, "optimizer.swa_epochs: expected at most 3"),
        (
            {"swa_epochs": 2},
            {"small_images": SmallImages(2, 16)},
            "expected at most 1, the epochs in which all weights",
        ),
        ({"swa_epochs": 2}, {"early_stopping_patience": 1}, "expected 0 with early_stopping_patience"),
        ({"swa_epochs": 2, "ema_decay": 0.9}, {}, "expected 0 with ema_decay"),
        ({"swa_epochs": -1}, {}, "expected at least 0"),
    ],
)
def test_averages_of_epochs_that_there_are_not_are_refused(optimizer, changes, message):
    with pytest.raises(InputError, match=message):
        recipe(**changes, optimizer=Optimizer(**optimizer))
