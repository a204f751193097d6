"""From run directories to the level 4 report, by the real command; what is measured of a run is in it."""

import json
import re

import numpy as np
import pytest

from pipelines.augment_config import Augment
from pipelines.errors import InputError
from tests.integration.commands import error_lines, run
from tests.integration.made_up_runs import NOISE, SIZES, write_run
from tfcifar.evaluation.metrics import softmax
from tfcifar.evaluation.openings import model_digest
from tfcifar.models import MODELS
from tfcifar.recipe import Distill, Model, MultiTask
from tfcifar.recipe_json import load_json
from tfcifar.reporting.research.document import Document, Paragraph, Table
from tfcifar.reporting.research.evidence import load_evidence
from tfcifar.reporting.research.pages import write_page
from tfcifar.reporting.research.record import check_recordable, record_report
from tfcifar.reporting.research.systems import _network
from tfcifar.reporting.uncertainty_report import write_uncertainty
from tfcifar.robustness.predictions import Predictions
from tfcifar.run_dir import RunDir, write_csv, write_json
from tfcifar.uncertainty import DETECTORS
from tfcifar.uncertainty.foreign_images import OWN
from tfcifar.uncertainty.outputs import Outputs, judge
from tfcifar.uncertainty.scores import score_run

PLACES = [("clean", 0), ("fog", 1), ("fog", 5), ("spatter", 1)]


def measure_uncertainty(path) -> None:
    """As tfcifar.uncertainty leaves it, from the run's own logits and some noise on them."""
    random = np.random.default_rng(0)
    judged, labels = {}, {}
    with np.load(path / "predictions.npz") as file:
        for split in SIZES:
            logits, labels[split] = file[f"{split}_logits"], file[f"{split}_labels"]
            passes = np.stack([softmax(logits + random.normal(size=logits.shape)) for _ in range(3)])
            judged[split] = {"single": judge(softmax(logits)[None], labels[split]),
                             "mc_dropout": judge(passes, labels[split])}  # fmt: skip
    shifts = {OWN: 0, "fog": 2}
    foreign = {kind: {name: random.normal(shift, 1, 50) for name in DETECTORS} for kind, shift in shifts.items()}
    rates = {"d": 0.1}
    settings = {
        "model_sha256": model_digest(RunDir(path)),
        "split": "test",
        "dataset": "shapes",
        "samples": 3,
        "dropout": rates,
        "trained_dropout": rates,
        "fitted": 10,
        "folders": {},
    }
    (path / "uncertainty").mkdir()
    write_json(path / "uncertainty" / "scores.json", score_run(Outputs(settings, labels, judged, foreign), path.name))
    write_uncertainty(path / "uncertainty")


def measure_robustness(path, accuracy: float, places=PLACES) -> None:
    run_dir = RunDir(path)
    predictions = Predictions(run_dir, "test", model_digest(run_dir))
    predictions.belong_to(np.arange(240), np.zeros(240, np.int64), "sha256:t", 240)
    for name, severity in places:
        predictions.add(name, severity, np.zeros((240, 3), np.float32))
    predictions.save()
    row = {"run": path.name, "split": "test", "images": 240, "accuracy": accuracy, "nll": 1.0, "ece": 0.1}
    write_csv(path / "robustness" / "scores.csv",
              [row | {"corruption": name, "severity": severity} for name, severity in places])  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    runs = [write_run(folder / name, noise, seed) for seed, (name, noise) in enumerate(NOISE.items())]
    run("tfcifar.ensemble.__main__", *runs, "--output", folder / "ensemble")
    run("tfcifar.calibrate", runs[0], folder / "ensemble")
    measure_uncertainty(runs[0])
    for path, accuracy in zip(runs[:2], (0.5, 0.625), strict=True):
        measure_robustness(path, accuracy)
    ablation = folder / "level_2"
    columns = {"n": 1, "std": "", "seconds": 60, "difference": "", "low": "", "high": "", "verdict": ""}
    write_csv(ablation / "ablation.csv", [
        {"row": "none", "validation_accuracy": 0.9, **columns},
        {"row": "+ flip", "validation_accuracy": 0.91, **columns, "difference": 0.01, "low": 0.004, "high": 0.02,
         "verdict": "significant"},
    ])  # fmt: skip
    (ablation / "commands.txt").write_text(
        "python -m tfcifar.ablation --level 2 --rows none\npython -m tfcifar.ablation --level 2\n"
        "python -m export.compress runs/a\n"
    )
    return [*runs, folder / "ensemble", ablation]


def test_the_report_has_what_was_measured_and_says_where_it_stands(folders, tmp_path):
    stdout = run("tfcifar.report", "--level", 4, *folders, "--output", tmp_path).stdout
    pages = int(re.search(r"report\.pdf \((\d+) pages\)", stdout)[1])
    assert pages >= 5
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    page = (tmp_path / "report.html").read_text()
    for heading in ("Abstract", "Calibration", "Knowing when not to answer", "Foreign images", "Corrupted images",
                    "Error analysis", "Cost", "Limitations", "Reproduction", "Sources", "References"):  # fmt: skip
        assert re.search(rf"<h[23][^>]*>[\d. ]*{heading}</h", page), heading
    assert not re.search(r"@(table|figure|cite):", page)
    for path in folders[:4]:
        accuracy = json.loads((path / "metrics.json").read_text())["accuracy"]
        assert f"<b>{accuracy:.2%}</b>" in page
    assert "between 50.0% (<code>sharp</code>) and 62.5% (<code>late</code>)" in page
    assert "the largest gain is that of '+ flip'" in page
    sources = re.findall(r"<td class=\"words\">(?:Table|Figure) \d+</td><td class=\"words\">([^<]+)<", page)
    assert f"{folders[0].parent.name}/ensemble/votes.csv" in sources
    assert str(folders[0].parent) not in page  # where it lay on this machine
    assert page.count("python -m tfcifar.ablation --level 2") == 1  # and not that for one of its rows
    assert "export.compress" not in page  # not of this report


def test_a_report_on_one_run_has_the_sections_that_it_has_files_for(folders, tmp_path):
    run("tfcifar.report", "--level", 4, folders[2], "--output", tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "Error analysis" in page
    assert "Calibration" not in page
    assert "Corrupted images" not in page


def test_findings_on_the_data_are_in_the_report_with_accuracies_without_duplicates(folders, tmp_path):
    findings = tmp_path / "findings"
    findings.mkdir()
    write_json(findings / "duplicates.json", {"test_images": 240, "test_images_with_duplicate": 12})
    write_json(findings / "labels.json", {"folds": 4, "recipe": "fast", "issues": 7, "images": 1000})
    row = {"run": "sharp", "whole_accuracy": 0.9}
    write_csv(findings / "judged.csv", [row | {"views": "none", "without_accuracy": 0.85},
                                        row | {"views": "flip", "without_accuracy": 0.5}])  # fmt: skip
    run("tfcifar.report", "--level", 4, folders[0], findings, "--output", tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "12 (5.00%) have a near-duplicate" in page
    assert re.search(r"sharp</td>\s*<td[^>]*>90.00%</td>\s*<td[^>]*>85.00%</td>", page)
    assert "findings/judged.csv" in page
    assert "finds 7 of 1,000 training labels likely wrong" in page


def refusal(*folders) -> str:
    with pytest.raises(InputError) as error:
        load_evidence(list(folders))
    return str(error.value)


def test_folders_that_are_no_evidence_are_refused(folders, tmp_path):
    completed = run("tfcifar.report", "--level", 4, tmp_path, expect=2)
    assert "expected run directories, ensembles, and folders of tfcifar.ablation" in error_lines(completed)[0]
    assert "at least one evaluated run or ensemble, received none" in refusal(folders[-1])
    assert "different names" in refusal(folders[0], folders[0])
    twin = write_run(tmp_path / "twin", NOISE["sharp"], seed=7)
    again = write_run(tmp_path / "again", NOISE["sharp"], seed=7)
    for path in (twin, again):
        recipe = json.loads((path / "recipe.json").read_text()) | {"name": "one"}
        (path / "recipe.json").write_text(json.dumps(recipe))
    assert "runs of one recipe to differ in their seeds, received twin, again" in refusal(twin, again)


def test_what_was_measured_of_another_model_is_refused(tmp_path):
    path = write_run(tmp_path / "retrained", NOISE["sharp"], seed=0)
    run("tfcifar.calibrate", path)
    measure_uncertainty(path)
    with np.load(path / "predictions.npz") as file:
        arrays = dict(file)
    (path / "model.keras").write_bytes(b"another")
    assert "has changed since it was judged; run python -m tfcifar.evaluate again" in refusal(path)
    np.savez(path / "predictions.npz", **arrays | {"model": np.array(model_digest(RunDir(path)))})
    assert "is of another model than lies there now; run python -m tfcifar.calibrate" in refusal(path)
    (path / "calibration.json").unlink()
    assert "has changed since its uncertainty was measured" in refusal(path)


def test_runs_under_other_corruptions_are_not_set_side_by_side(folders, tmp_path):
    path = write_run(tmp_path / "fog_only", NOISE["late"], seed=9)
    measure_robustness(path, 0.9, PLACES[:2])
    completed = run("tfcifar.report", "--level", 4, folders[0], path, "--output", tmp_path / "report", expect=2)
    assert "were judged on other images or corruptions" in error_lines(completed)[0]
    assert not (tmp_path / "report" / "report.html").exists()


@pytest.mark.parametrize("name", MODELS)
def test_every_network_has_a_sentence_and_a_backbone_is_pretrained_only_where_it_has_weights(tmp_path, name):
    said = _network(Model(name))
    write_page(
        Document("title", "subtitle", [Paragraph(said)]).numbered(), tmp_path / "page.html"
    )  # cites what is there
    assert "ImageNet" not in said
    if MODELS[name].pretrained:
        assert "pretrained on ImageNet" in _network(Model(name, weights="imagenet"))


def test_teachers_a_policy_and_a_second_head_are_among_what_recipes_use(tmp_path):
    uses = {
        "student": {"distill": Distill(("runs/teacher",)), "augment": Augment(policy=("rotate:0.6:9",))},
        "two_heads": {"multi_task": MultiTask(("animal: cat dog", "other: frog"))},
    }
    paths = [write_run(tmp_path / name, NOISE["sharp"], seed=0) for name in uses]
    for path in paths:
        recipe = load_json(path / "recipe.json").replace(**uses[path.name])
        (path / "recipe.json").write_text(recipe.to_json())
    run("tfcifar.report", "--level", 4, *paths, "--output", tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert re.search(r"a learned policy .*; distillation .*", page)
    assert "; a second head for groups of classes" in page


def test_an_ensemble_alone_has_a_report(folders, tmp_path):
    run("tfcifar.report", "--level", 4, folders[3], "--output", tmp_path)
    assert "What the ensemble adds" in (tmp_path / "report.html").read_text()


def test_without_validation_images_the_first_is_the_reference_and_the_test_images_choose_none(tmp_path):
    paths = [write_run(tmp_path / name, noise, seed) for seed, (name, noise) in enumerate(list(NOISE.items())[::-1])]
    for path in paths:
        metrics = json.loads((path / "metrics.json").read_text()) | {"validation_accuracy": None}
        (path / "metrics.json").write_text(json.dumps(metrics))
    evidence = load_evidence(paths)
    assert evidence.best(evidence.runs).run_dir.name == "rough"  # the worst
    assert evidence.which(evidence.systems[0]) == "the first model named"


def test_a_soup_is_no_seed_of_the_recipe_that_it_holds(folders, tmp_path):
    soup = write_run(tmp_path / "soup", NOISE["late"], seed=0)
    (soup / "recipe.json").write_text((folders[0] / "recipe.json").read_text())
    environment = json.loads((soup / "environment.json").read_text())
    environment |= {"soup": {}, "command": "python -m tfcifar.soup somewhere"}
    (soup / "environment.json").write_text(json.dumps(environment))
    run("tfcifar.report", "--level", 4, folders[0], soup, "--output", tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Over seeds" not in page
    assert "python -m tfcifar.soup somewhere" in page


def test_on_record_are_the_pages_the_numbers_behind_them_and_the_calibrated_ensemble(folders, tmp_path):
    output, results = tmp_path / "report", tmp_path / "results"
    output.mkdir()
    for file in ("report.html", "report.pdf"):
        (output / file).write_text(file)
    evidence = load_evidence(folders)
    ensemble = folders[3]
    sources = (ensemble / "votes.csv", ensemble / "environment.json", ensemble / "predictions.npz")
    document = Document("title", "subtitle", [Table("t", "caption", ("a",), (("1",),), sources)])
    record_report(document, evidence, output, "level_4", results)
    written = {str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()}
    place = f"level_4/evidence/{ensemble.parent.name}/ensemble"
    expected = {"summary.json", "level_4/report.html", "level_4/report.pdf", f"{place}/votes.csv"}
    assert written == expected | {f"{place}/environment.json"}
    assert str(ensemble.parent) not in (results / place / "environment.json").read_text()  # where it lay

    entries = json.loads((results / "summary.json").read_text())
    assert {each["name"] for each in entries} == {"level_4"}
    on_record = {each["metric"]: each["value"] for each in entries}
    calibration = json.loads((ensemble / "calibration.json").read_text())
    kept = next(row for row in calibration["rows"] if row["kept"] and row["split"] == "test")
    member = json.loads((folders[0] / "metrics.json").read_text())  # "sharp", the best on validation images
    assert on_record == {
        "test_accuracy": round(kept["accuracy"], 6),
        "nll": round(kept["nll"], 6),
        "ece": round(kept["ece"], 6),
        "best_member_accuracy": round(member["accuracy"], 6),
    }


def test_a_report_without_a_calibrated_ensemble_does_not_go_on_record(folders, tmp_path):
    with pytest.raises(InputError, match="expected an ensemble among the folders"):
        check_recordable(load_evidence(folders[:2]))
    run("tfcifar.ensemble.__main__", *folders[:2], "--output", tmp_path / "raw")
    with pytest.raises(InputError, match="is not calibrated yet"):
        check_recordable(load_evidence([*folders[:2], tmp_path / "raw"]))
