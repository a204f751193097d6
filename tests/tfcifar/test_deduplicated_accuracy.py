"""Recorded predictions are judged with and without the test images that have a near-duplicate."""

import numpy as np
import pytest

from pipelines.errors import InputError
from tfcifar.data_quality.deduplicated_accuracy import judge_runs, judged_table, read_predictions
from tfcifar.run_dir import RunDir

LABELS = np.zeros(12, np.int64)
DUPLICATED = np.arange(12) < 2


def run_dir(path, wrong, labels=LABELS, tta_wrong=None) -> RunDir:
    """An evaluated run that is wrong on the images `wrong`."""
    path.mkdir(parents=True)

    def logits(wrong):
        return np.stack([np.zeros(len(labels)), np.where(np.isin(np.arange(len(labels)), wrong), 1, -1)], axis=1)

    tta = {} if tta_wrong is None else {"tta": np.array("flip"), "test_logits_tta": logits(tta_wrong)}
    np.savez(path / "predictions.npz", test_labels=labels, test_logits=logits(wrong), **tta)
    return RunDir(path)


def test_intervals_are_those_of_the_images_that_are_left(tmp_path):
    (row,) = judge_runs(read_predictions([run_dir(tmp_path / "a", wrong=[2, 3])]), LABELS, DUPLICATED)
    assert (row["whole_n"], row["without_n"], row["duplicates_n"]) == (12, 10, 2)
    assert row["whole_accuracy"] == pytest.approx(10 / 12)
    assert row["without_accuracy"] == 0.8
    assert row["duplicates_accuracy"] == 1
    # 8 of 10: 49.0% to 94.3% (Wilson), as in Agresti and Coull 1998 and statsmodels.
    assert row["without_low"] == pytest.approx(0.4902, abs=1e-4)
    assert row["without_high"] == pytest.approx(0.9433, abs=1e-4)
    assert "80.00% (49.02% to 94.33%)" in judged_table([row])


def test_averaged_views_are_judged_beside_the_plain_ones(tmp_path):
    rows = judge_runs(read_predictions([run_dir(tmp_path / "a", [2, 3], tta_wrong=[0])]), LABELS, DUPLICATED)
    assert [(row["views"], row["without_accuracy"]) for row in rows] == [("none", 0.8), ("flip", 1)]


def test_without_duplicates_there_is_nothing_to_say_about_them(tmp_path):
    (row,) = judge_runs(read_predictions([run_dir(tmp_path / "a", [2])]), LABELS, np.zeros(12, bool))
    assert row["without_accuracy"] == row["whole_accuracy"]
    assert row["duplicates_accuracy"] is None
    assert judged_table([row]).endswith("none")


def test_runs_that_cannot_be_judged_are_refused(tmp_path):
    good = run_dir(tmp_path / "a", [0])
    with pytest.raises(InputError, match=r"is not evaluated; run python -m tfcifar\.evaluate"):
        read_predictions([good, RunDir(tmp_path / "none")])
    with pytest.raises(InputError, match="expected run directories of different names, received a, a"):
        read_predictions([good, good])
    other = read_predictions([run_dir(tmp_path / "b", [0], labels=LABELS + 1)])
    with pytest.raises(InputError, match="b was judged on other test images"):
        judge_runs(other, LABELS, DUPLICATED)
