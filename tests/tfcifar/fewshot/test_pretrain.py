"""Which epoch of the classifier is kept, and that an interruption does not change it."""

from itertools import pairwise

import numpy as np
import pytest

from tfcifar.fewshot import pretrain as module
from tfcifar.fewshot.class_split import split_by_class
from tfcifar.fewshot.pretrain import pretrain
from tfcifar.fewshot.settings import FewShot
from tfcifar.models.saved import load_model
from tfcifar.run_dir import RunDir, read_json

TINY = FewShot(widths=(4,), ways=2, queries=4, train_shots=2, validation_episodes=3, pretrain_steps=12,
               pretrain_batch=32)  # fmt: skip


def test_the_epoch_is_chosen_by_the_episodes_of_other_classes(source, tmp_path, monkeypatch):
    """96 images: 3 steps an epoch, so 4 epochs; the second is made to be the best."""
    values = iter((0.5, 0.9, 0.8, 0.7))
    monkeypatch.setattr(module, "accuracies", lambda *arguments: (np.full(3, next(values)), 0.0))
    run_dir = pretrain("colours", split_by_class(source, "4/2/2"), TINY, tmp_path / "run")
    assert read_json(tmp_path / "run" / "chosen.json")["epoch"] == 2
    kept = sorted(path.name for path in (tmp_path / "run" / "epochs").iterdir())
    assert kept == [f"epoch_{epoch}.keras" for epoch in (1, 2, 3, 4)]
    assert run_dir.model.read_bytes() == (tmp_path / "run" / "epochs" / "epoch_2.keras").read_bytes()
    weights = [load_model(path).get_weights()[-1] for path in sorted((tmp_path / "run" / "epochs").iterdir())]
    assert all(not np.array_equal(a, b) for a, b in pairwise(weights))  # each of its own epoch
    pretrain("colours", split_by_class(source, "4/2/2"), TINY, tmp_path / "run")  # chosen once


def test_without_such_classes_the_last_epoch_is_kept(source, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "accuracies", lambda *arguments: pytest.fail("chosen"))
    run_dir = pretrain("colours", split_by_class(source, "4/0/4"), TINY, tmp_path / "run")
    assert run_dir.model.is_file()
    assert not (tmp_path / "run" / "chosen.json").exists()


def test_an_epoch_that_was_interrupted_at_its_end_does_not_replace_the_one_before(tmp_path):
    run_dir = RunDir(tmp_path)
    run_dir.model.write_bytes(b"third")
    module._keep(run_dir, 3)
    run_dir.model.write_bytes(b"fourth")  # written, but not yet the checkpoint: the fourth begins again
    module._keep(run_dir, 3)
    module._keep(run_dir, 4)
    kept = [(tmp_path / "epochs" / f"epoch_{epoch}.keras").read_bytes() for epoch in (3, 4)]
    assert kept == [b"third", b"fourth"]
