"""`python -m tfcifar.robustness` on small untrained networks: what it keeps, opens, writes and refuses."""

import csv
import json
import shutil

import keras
import numpy as np
import pytest

from pipelines.corruptions import corrupt
from pipelines.errors import InputError
from pipelines.splits import make_splits
from pipelines.synthetic import open_synthetic
from tests.integration.commands import run
from tfcifar.models import build_model
from tfcifar.recipe import Data, Model, Recipe
from tfcifar.reporting.robustness import write_robustness
from tfcifar.robustness.judge_runs import SEED
from tfcifar.run_dir import RunDir, write_json, write_text

COMMAND = "tfcifar.robustness.__main__"
FEW = ("--corruptions", "fog", "gaussian_noise", "saturate", "--severities", 5, 1)


def make_run(path, seed: int, train_on_validation: bool = False) -> RunDir:
    """A run as training leaves it, of a network that has not learned anything."""
    run_dir, data = RunDir(path), Data("synthetic", image_size=16, train_on_validation=train_on_validation)
    recipe = Recipe("tiny", Model("small_cnn", widths=(4,)), epochs=1, batch_size=10, data=data, seed=seed)
    splits = make_splits(open_synthetic("synthetic", 16), train_on_validation=train_on_validation)
    keras.utils.set_random_seed(seed)
    model = build_model(recipe.model, splits.image_shape, splits.num_classes, splits.mean, splits.std)
    path.mkdir(parents=True)
    model.save(run_dir.model)
    write_text(run_dir.recipe, recipe.to_json())
    write_json(run_dir.environment, {"data": splits.checksums})
    write_json(run_dir.timing, {})
    return run_dir


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [make_run(folder / "a_1", 1), make_run(folder / "b_2", 2, train_on_validation=True)]


@pytest.fixture(scope="module")
def judged(untouched, tmp_path_factory):
    """Copies of both, judged on 20 test images and attacked on 10 of them; the output folder, and what was printed."""
    folder = tmp_path_factory.mktemp("judged")
    runs = [RunDir(shutil.copytree(each.path, folder / each.name)) for each in untouched]
    output = folder / "out"
    paths = [each.path for each in runs]
    printed = run(COMMAND, *paths, *FEW, "--limit", 20, "--attack", "--attacked", 10, "--output", output).stdout
    return runs, output, printed


def scores(run_dir, name="scores.csv") -> list[dict]:
    with (run_dir.robustness / name).open() as file:
        return list(csv.DictReader(file))


def openings(run_dir) -> list[str]:
    if not run_dir.test_openings.exists():
        return []
    return [json.loads(line)["purpose"] for line in run_dir.test_openings.read_text().splitlines()]


def test_scores_are_those_of_the_model_on_the_corrupted_test_images(judged):
    run_dir = judged[0][0]
    rows = scores(run_dir)
    assert [(row["corruption"], row["severity"]) for row in rows] == [
        ("clean", "0"), ("gaussian_noise", "1"), ("gaussian_noise", "5"), ("fog", "1"), ("fog", "5"),
        ("saturate", "1"), ("saturate", "5"),
    ]  # fmt: skip
    test = open_synthetic("synthetic", 16).load_test()
    with np.load(run_dir.robustness / "predictions.npz") as kept:
        ids, logits = kept["ids"], kept["logits_fog_5"]
        np.testing.assert_array_equal(kept["labels"], test.labels[ids])
    images = corrupt(test.images[ids], "fog", 5, SEED, ids)
    model = keras.models.load_model(run_dir.model, compile=False)
    np.testing.assert_allclose(logits, model.predict(images, verbose=0), atol=1e-4)
    accuracy = np.mean(logits.argmax(1) == test.labels[ids])
    assert float(next(row for row in rows if row["corruption"] == "fog" and row["severity"] == "5")["accuracy"]) == (
        pytest.approx(accuracy)
    )


def test_the_report_compares_with_the_first_run(judged):
    runs, output, printed = judged
    assert {path.name for path in output.iterdir()} == {
        "robustness.md", "robustness.html", "accuracy_by_severity.png", "ece_by_severity.png",
        "accuracy_by_corruption.png", "attacks.png",
    }  # fmt: skip
    assert "| a\\_1 |" in printed
    assert "| 100.0% |" in printed  # the first's own mCE
    assert "2 standard corruptions at severities 1, 5, on 20 test images" in printed
    assert "not a defence evaluation" in printed
    text = (output / "robustness.md").read_text()
    assert printed.split("report:")[0].strip() in text
    assert "| saturate (extra) |" in text
    assert write_robustness(runs, output) in text  # once more, from what is kept


def test_the_test_split_is_opened_once_and_not_for_what_is_kept(judged, tmp_path):
    runs, _, _ = judged
    assert [openings(each) for each in runs] == [["robustness"], ["robustness"]]
    copy = RunDir(shutil.copytree(runs[0].path, tmp_path / "a"))
    before = scores(copy)
    run(COMMAND, copy.path, *FEW, "--limit", 20, "--output", tmp_path / "out")
    run(COMMAND, copy.path, *FEW, "--limit", 8)
    assert openings(copy) == ["robustness"]
    assert {row["images"] for row in scores(copy)} == {"8"}
    assert [row["corruption"] for row in scores(copy)] == [row["corruption"] for row in before]
    assert (copy.robustness / "robustness.html").is_file()  # of a single run, in its own folder


def test_an_interrupted_command_goes_on_and_a_changed_model_is_judged_anew(judged, untouched, tmp_path, monkeypatch):
    from tfcifar.robustness import judge_runs as module

    runs, _, _ = judged
    copy = RunDir(shutil.copytree(untouched[0].path, tmp_path / "a_1"))
    corrupted = []

    def stops_at_saturate(images, name, severity, *rest):
        corrupted.append((name, severity))
        if name == "saturate" and len(corrupted) < 6:
            raise KeyboardInterrupt
        return corrupt(images, name, severity, *rest)

    monkeypatch.setattr(module, "corrupt", stops_at_saturate)
    arguments = (COMMAND, copy.path, *FEW, "--limit", 20)
    run(*arguments, expect=130)
    run(*arguments)
    assert corrupted[4:] == [("saturate", 1), ("saturate", 1), ("saturate", 5)]
    assert scores(copy) == scores(runs[0])

    shutil.copyfile(runs[0].robustness / "attacks.csv", copy.robustness / "attacks.csv")
    assert "under attack" in write_robustness([copy], tmp_path / "out")
    shutil.copyfile(untouched[1].model, copy.model)
    with pytest.raises(InputError, match=r"the model of .*a_1 has changed since it was judged"):
        write_robustness([copy, runs[1]], tmp_path / "out")
    assert "under attack" not in run(*arguments).stdout
    assert len(corrupted) == 7 + 6


def test_validation_images_leave_the_test_split_closed_and_say_who_has_seen_them(untouched, tmp_path):
    runs = [RunDir(shutil.copytree(each.path, tmp_path / each.name)) for each in untouched]
    arguments = ("--corruptions", "contrast", "--severities", 3, "--limit", 10, "--split", "validation")
    printed = run(COMMAND, *(each.path for each in runs), *arguments, "--output", tmp_path / "out").stdout
    assert [openings(each) for each in runs] == [[], []]
    assert "| b\\_2 \\* |" in printed
    assert "Trained on the validation images" in printed
    assert len(scores(runs[0], "validation_scores.csv")) == 2
    extra = run(COMMAND, runs[0].path, "--corruptions", "saturate", *arguments[2:]).stdout
    assert "0 standard corruptions" in extra


def test_what_cannot_be_compared_is_refused_in_one_line(judged, untouched, tmp_path):
    runs, output, _ = judged
    with pytest.raises(InputError, match=r"not judged yet; run python -m tfcifar\.robustness .*a_1 --split test"):
        write_robustness([untouched[0]], output)
    copy = RunDir(shutil.copytree(runs[0].path, tmp_path / "copy"))
    run(COMMAND, copy.path, "--corruptions", "fog", "--severities", 5, "--limit", 20)
    with pytest.raises(InputError, match="copy and b_2 were judged on other images or corruptions"):
        write_robustness([runs[1], copy], tmp_path / "out")
    same = run(COMMAND, runs[0].path, untouched[0].path, expect=2).stderr
    assert "error: robustness: expected run directories of different names, received a_1, a_1." in same
    for arguments, message in (
        (("--corruptions", "fogg"), "invalid choice: 'fogg'"),
        (("--severities", 6), "invalid choice: 6"),
        (("--limit", 0), "--limit: expected at least 1, received 0"),
    ):
        assert message in run(COMMAND, copy.path, *arguments, expect=2).stderr
