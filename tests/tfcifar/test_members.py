"""Predictions of several runs are read side by side, or refused with what to do."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import InputError
from tfcifar.evaluation.members import load_members

CLASSES = ("cat", "dog", "frog")


def write_run(path: Path, validation=True, tta=None, shift=0, classes=CLASSES, checksum="sha256:a") -> Path:
    path.mkdir()
    data = {"class_names": list(classes), "validation": checksum}
    (path / "environment.json").write_text(json.dumps({"data": data}))
    (path / "test_openings.jsonl").write_text(json.dumps({"test": "sha256:t"}) + "\n")
    for name in ("recipe.json", "timing.json"):
        (path / name).write_text("{}")
    (path / "metrics.json").write_text(json.dumps({"per_class": [{"name": name} for name in CLASSES]}))
    random = np.random.default_rng(len(path.name))
    splits = {"test": 6, **({"validation": 4} if validation else {})}
    arrays = {}
    for split, n in splits.items():
        arrays[f"{split}_labels"] = (np.arange(n) + shift) % 3
        for suffix in ("", "_tta") if tta else ("",):
            arrays[f"{split}_logits{suffix}"] = random.normal(size=(n, 3)).astype(np.float32)
    np.savez(path / "predictions.npz", model=np.array("x"), **({"tta": np.array(tta)} if tta else {}), **arrays)
    return path


def test_members_are_stacked_in_the_order_given(tmp_path):
    paths = [write_run(tmp_path / "a", tta="flip"), write_run(tmp_path / "bb", tta="flip")]
    members = load_members(paths)
    assert members.names == ("a", "bb")
    assert members.class_names == CLASSES
    assert members.validation_logits.shape == (2, 4, 3)
    with np.load(paths[1] / "predictions.npz") as file:
        np.testing.assert_array_equal(members.test_logits[1], file["test_logits"])
        np.testing.assert_array_equal(load_members(paths, "flip").test_logits[1], file["test_logits_tta"])


@pytest.mark.parametrize(
    ("other", "views", "message"),
    [
        ({"validation": False}, "none", "was trained on the validation images"),
        ({}, "flip", r"evaluated with the views none, expected flip; run python -m tfcifar.evaluate .* --tta flip"),
        ({"shift": 1}, "none", "bb and a were judged on other validation images"),
        # Another split of images sorted by class has the same labels.
        ({"checksum": "sha256:b"}, "none", "bb and a were judged on other validation images"),
        ({"classes": ("cat", "dog", "toad")}, "none", "bb and a tell other classes apart"),
    ],
)
def test_runs_that_do_not_go_together_are_refused(tmp_path, other, views, message):
    paths = [write_run(tmp_path / "a", tta="flip"), write_run(tmp_path / "bb", **other)]
    with pytest.raises(InputError, match=message):
        load_members(paths, views)


def test_where_nothing_is_chosen_runs_may_have_been_trained_on_the_validation_images(tmp_path):
    paths = [write_run(tmp_path / "a"), write_run(tmp_path / "bb", validation=False)]
    members = load_members(paths, need_validation=False)
    assert members.test_logits.shape == (2, 6, 3)
    assert members.validation_logits is None
    assert load_members(paths[:1], need_validation=False).validation_logits.shape == (1, 4, 3)


@pytest.mark.parametrize("file", ["predictions.npz", "metrics.json"])
def test_a_run_that_is_not_evaluated_is_refused_with_the_command(tmp_path, file):
    path = write_run(tmp_path / "a")
    (path / file).unlink()
    with pytest.raises(InputError, match=r"is not evaluated yet; run python -m tfcifar\.evaluate"):
        load_members([path])
