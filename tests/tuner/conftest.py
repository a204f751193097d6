"""Trials that do not train."""

import pytest

from tests.tuner.stand_in_trials import write_stand_in
from tfcifar.recipe_json import load_json
from tuner import trials


@pytest.fixture
def children(monkeypatch):
    """In place of training: accuracy by dropout; the recipes that were trained; `fails` by their place in the list."""
    seen, fails = [], {}

    def train(path, run_dir, log, strategy):
        recipe = load_json(path)
        seen.append(recipe)
        log.write_text("starting\nout of memory\n")
        code = fails.get(len(seen) - 1, 0)
        if isinstance(code, BaseException):
            raise code
        if code == 0:
            write_stand_in(run_dir, recipe)
        return code

    monkeypatch.setattr(trials, "train_in_child", train)
    return seen, fails
