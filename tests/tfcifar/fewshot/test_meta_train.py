"""Meta-training: it helps, it goes on where it stopped, and it is not continued as another one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import InputError
from tfcifar.fewshot import meta_train as module
from tfcifar.fewshot.class_split import split_by_class
from tfcifar.fewshot.meta_train import meta_train, open_learner
from tfcifar.fewshot.methods import method_class
from tfcifar.fewshot.settings import FewShot
from tfcifar.run_dir import read_json

TINY = FewShot(widths=(4,), ways=2, queries=4, train_shots=2, meta_batch=2, inner_steps=1, iterations=4,
               validation_every=2, validation_episodes=3)  # fmt: skip


@pytest.fixture(scope="module")
def split(source):
    return split_by_class(source, "4/2/2")


@pytest.mark.parametrize("name", ["maml", "reptile"])
def test_an_interrupted_meta_training_ends_with_the_weights_of_an_undisturbed_one(tmp_path, split, name, monkeypatch):
    whole = meta_train(name, "colours", split, TINY, tmp_path / "whole")
    save, saved = module.save_state, []

    def stop_after_first(*arguments):
        save(*arguments)
        saved.append(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "save_state", stop_after_first)
    with pytest.raises(KeyboardInterrupt):
        meta_train(name, "colours", split, TINY, tmp_path / "stopped")
    assert not (tmp_path / "stopped" / "learner.json").exists()
    monkeypatch.setattr(module, "save_state", save)
    resumed = meta_train(name, "colours", split, TINY, tmp_path / "stopped")
    for a, b in zip(whole.meta_variables(), resumed.meta_variables(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    learner = read_json(tmp_path / "stopped" / "learner.json")
    assert [row["iteration"] for row in learner["history"]] == [2, 4]
    assert learner["rates"] == pytest.approx(whole.rates)
    opened = open_learner(tmp_path / "stopped")
    for a, b in zip(resumed.meta_variables(), opened.meta_variables(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_meta_training_lowers_the_loss_after_the_steps_and_changes_the_rates(tmp_path, split):
    longer = TINY.replace(iterations=60, validation_every=20, inner_steps=2)
    method = meta_train("maml", "colours", split, longer, tmp_path / "maml")
    losses = [row["loss"] for row in read_json(tmp_path / "maml" / "learner.json")["history"]]
    assert losses[-1] < losses[0] - 0.05
    assert len(set(np.round(method.rates, 6))) > 2


def test_another_meta_training_is_refused_and_a_finished_one_is_opened(tmp_path, split, monkeypatch):
    folder = tmp_path / "anil"
    meta_train("anil", "colours", split, TINY, folder)
    monkeypatch.setattr(module, "_make_step", lambda *arguments: pytest.fail("trained again"))
    meta_train("anil", "colours", split, TINY.replace(episodes=7), folder)
    with pytest.raises(InputError, match=r"holds another meta-training; different: outer_rate\."):
        meta_train("anil", "colours", split, TINY.replace(outer_rate=0.5), folder)
    with pytest.raises(InputError, match=r"expected a finished meta-training"):
        open_learner(tmp_path)


def test_without_classes_to_choose_by_the_last_iteration_is_kept(tmp_path, source):
    split = split_by_class(source, "4/0/4")
    meta_train("fomaml", "colours", split, TINY.replace(iterations=2), tmp_path / "fomaml")
    history = read_json(tmp_path / "fomaml" / "learner.json")["history"]
    assert [row["validation_accuracy"] for row in history] == [None]


def test_an_outer_step_of_a_huge_gradient_is_limited_and_a_usual_one_is_not():
    """Adam's first moment after one step is a tenth of the gradient that it was given."""
    method = method_class("maml")
    for norm, given in ((3.0, 3.0), (1e6, 10.0)):
        optimizer = method.make_outer_optimizer(None, 100, 0.001)
        variable = keras.Variable(np.zeros(4), dtype="float32")
        optimizer.build([variable])
        optimizer.apply([tf.fill([4], norm / 2)], [variable])
        moment = next(each for each in optimizer.variables if "momentum" in each.path)
        assert float(np.linalg.norm(moment)) == pytest.approx(0.1 * given, rel=1e-4)
