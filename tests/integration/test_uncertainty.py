"""The command from run directories to reports, on generated images."""

import functools
import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from tests.integration.commands import error_lines, run
from tfcifar import recipes
from tfcifar.models import build_model
from tfcifar.recipe import Data, Model
from tfcifar.recipe_data import open_splits
from tfcifar.reporting.uncertainty_report import write_uncertainty
from tfcifar.run_dir import RunDir, read_json, write_json, write_text
from tfcifar.uncertainty import DETECTORS, ENTROPY, MEASURES, SINGLE_MEASURES, measure_run
from tfcifar.uncertainty.outputs import load_outputs

COMMAND = "tfcifar.uncertainty.__main__"
FEW = ("--samples", 3, "--fitted", 300)
SMALL = Data("synthetic", image_size=16)


@pytest.fixture(scope="module", autouse=True)
def less_work():
    """Generated images are generated once, and few of them are foreign."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure_run, "open_splits", functools.cache(open_splits))
        patch.setattr(measure_run, "COUNT", 100)
        yield


def write_run(path, seed=0, dropout=0.1, data=SMALL) -> RunDir:
    """What an evaluated run of an untrained network leaves behind, as far as it is read here."""
    run_dir = RunDir(path)
    splits, _ = measure_run.open_splits(data)
    config = Model("small_cnn", dropout=dropout, widths=(8, 16))
    keras.utils.set_random_seed(seed)
    model = build_model(config, splits.image_shape, splits.num_classes, splits.mean, splits.std)
    write_text(run_dir.recipe, recipes.load("smoke", "cpu").replace(model=config, data=data).to_json())
    write_json(run_dir.environment, {"data": {"class_names": splits.class_names, **splits.checksums}})
    write_json(run_dir.timing, {})
    write_json(run_dir.metrics, {"per_class": [{"name": name} for name in splits.class_names]})
    model.save(run_dir.model)
    logits, labels = model.predict(splits.validation.images, verbose=0), splits.validation.labels
    arrays = {f"{split}_{name}": each for split in ("validation", "test")
              for name, each in (("logits", logits), ("labels", labels))}  # fmt: skip
    np.savez(run_dir.predictions, model=np.array("x"), **arrays)
    return run_dir


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Two runs judged on the validation split by one command, with a folder of two foreign images."""
    folder, images, output = (tmp_path_factory.mktemp(name) for name in ("runs", "images", "report"))
    for color in ("red", "blue"):
        Image.new("RGB", (50, 40), color).save(images / f"{color}.png")
    two_runs = [write_run(folder / name, seed) for seed, name in enumerate(("first", "second"))]
    paths = [run_dir.path for run_dir in two_runs]
    stdout = run(COMMAND, *paths, *FEW, "--ood", f"plain={images}", "--output", output).stdout
    assert not any(run_dir.test_openings.exists() for run_dir in two_runs)
    return two_runs, output, stdout


def test_a_run_has_scores_tables_and_figures(judged):
    (first, _), _, _ = judged
    scores = read_json(first.uncertainty / "scores.json")
    assert {name: tuple(each["measures"]) for name, each in scores["sources"].items()} == {
        "single": SINGLE_MEASURES,
        "mc_dropout": MEASURES,
    }
    assert {(row["detector"], row["images"]) for row in scores["detection"]} == {
        (detector, images) for detector in DETECTORS for images in ("uniform_noise", "gaussian_noise", "plain")
    }  # not the synthetic images: the run was trained on them
    assert scores["dropout"] == {"stage2_dropout": 0.05, "dropout": 0.1}
    assert str(first.path.parent) not in json.dumps(scores)
    for name in ("report.md", "report.html", "risk_coverage.png", "deciles.png", "foreign.png"):
        assert (first.uncertainty / name).is_file(), name
    assert f"{scores['sources']['single']['measures']['predictive_entropy']['aurc']:.3%}" in (
        (first.uncertainty / "report.md").read_text()
    )


def test_the_single_pass_is_the_evaluated_model(judged):
    (first, _), _, _ = judged
    with np.load(first.predictions) as file:
        accuracy = np.mean(file["validation_logits"].argmax(-1) == file["validation_labels"])
    assert read_json(first.uncertainty / "scores.json")["sources"]["single"]["accuracy"] == pytest.approx(accuracy)


def test_several_runs_are_an_ensemble_that_is_set_against_their_mc_dropout(judged):
    two_runs, output, stdout = judged
    ensemble = read_json(output / "ensemble.json")
    logits = []
    for run_dir in two_runs:
        with np.load(run_dir.predictions) as file:
            logits.append(file["validation_logits"].astype(np.float64))
            labels = file["validation_labels"]
    probabilities = [np.exp(each) / np.exp(each).sum(-1, keepdims=True) for each in logits]
    assert ensemble["sources"]["ensemble"]["accuracy"] == np.mean(sum(probabilities).argmax(-1) == labels)
    assert [(row["run"], row["measure"]) for row in ensemble["against_mc_dropout"]] == [
        (name, measure) for name in ("first", "second") for measure in ("predictive_entropy", "mutual_information")
    ]
    assert "By predictive entropy the ensemble separates errors better than MC dropout of" in stdout
    assert "| all 2 runs | ensemble |" in (output / "report.md").read_text()


def test_reports_can_be_made_again_from_the_scores_alone(judged, tmp_path):
    (first, _), _, _ = judged
    shutil.copyfile(first.uncertainty / "scores.json", tmp_path / "scores.json")
    write_uncertainty(tmp_path)
    assert (tmp_path / "report.md").read_text() == (first.uncertainty / "report.md").read_text()


def test_the_test_split_is_opened_on_record_and_only_once_for_the_same_settings(judged):
    (_, second), _, _ = judged
    run(COMMAND, second.path, "--samples", 0, "--fitted", 300, "--split", "test")
    measure_run.measure_run(second, "test", samples=0, fitted=300)
    (opening,) = second.test_openings.read_text().splitlines()
    scores = read_json(second.uncertainty / "scores.json")
    assert json.loads(opening)["model_sha256"] == scores["model_sha256"]
    assert (scores["split"], scores["n"], scores["threshold_from"]) == ("test", 1000, "validation")
    assert list(scores["sources"]) == ["single"]
    measure_run.measure_run(second, "test", samples=0, fitted=200)
    assert len(second.test_openings.read_text().splitlines()) == 2


def test_a_damaged_cache_is_made_again(judged, capsys):
    (first, _), _, _ = judged
    outputs = first.uncertainty / "outputs_validation.npz"
    whole = load_outputs(outputs)
    outputs.write_bytes(outputs.read_bytes()[:-100])
    again = measure_run.measure_run(first, samples=whole.settings["samples"], fitted=300)
    assert "incomplete or altered, and is made again" in capsys.readouterr().err
    np.testing.assert_allclose(
        again.judged["validation"]["single"].uncertainty[ENTROPY],
        whole.judged["validation"]["single"].uncertainty[ENTROPY],
        rtol=1e-5,
    )
    assert load_outputs(outputs).settings == again.settings


def test_other_images_in_a_folder_of_the_same_name_are_judged_anew(judged, tmp_path):
    (_, second), _, _ = judged
    found = []
    for color in ("red", "blue"):
        Image.new("RGB", (16, 16), color).save(tmp_path / "only.png")
        outputs = measure_run.measure_run(second, samples=0, folders={"plain": tmp_path}, fitted=300)
        found.append(outputs.foreign["plain"]["energy"])
    assert found[0] != found[1]


def test_a_run_that_was_trained_on_the_validation_images_is_not_judged_by_them(judged, tmp_path):
    both = Data("synthetic", image_size=16, train_on_validation=True)
    run_dir = write_run(tmp_path / "run", data=both)
    message = "--split: expected test, received validation; run was trained on the validation images"
    for others in ((), (judged[0][0].path,)):
        lines = error_lines(run(COMMAND, run_dir.path, *others, expect=2))
        assert len(lines) == 1
        assert message in lines[0]
    outputs = measure_run.measure_run(run_dir, "test", samples=0, fitted=300)
    assert list(outputs.judged) == ["test"]  # thresholds cannot be chosen by what it was trained on


def test_a_run_without_dropout_is_told_what_to_do(tmp_path):
    run_dir = write_run(tmp_path / "run", dropout=0.0)
    lines = error_lines(run(COMMAND, run_dir.path, *FEW, expect=2))
    assert len(lines) == 1
    assert "expected dropout above 0, run was trained with rate 0; pass --dropout 0.2" in lines[0]
    stdout = run(COMMAND, run_dir.path, *FEW, "--dropout", 0.3).stdout
    assert "MC dropout of 3 passes at rate 0.3 in dropout (trained at 0)" in stdout
    outputs = load_outputs(run_dir.uncertainty / "outputs_validation.npz")
    assert outputs.judged["validation"]["mc_dropout"].uncertainty["mutual_information"].max() > 0
