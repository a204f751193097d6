"""`python -m tfcifar.predict` with exported files and runs, and what its page says of doing without it."""

import csv
import hashlib
import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from export.card import write_card
from export.runtimes import open_artifact
from tests.integration.commands import PROJECT, error_lines, run
from tests.integration.made_up_runs import write_colour_run
from tests.tiny_models import write_int8_tflite, write_onnx
from tfcifar.prediction import zoo

CLASSES = ["cat", "dog", "frog"]
SHAPE = (8, 8, 3)
TEMPERATURE = 1.5
BOUNDS = {"n": 500, "risks": [{"risk": 0.01, "min_probability": 0.9, "coverage": 0.5}], "max_energy": 1000.0}


def add_card(artifact, **more):
    digest = hashlib.sha256(artifact.read_bytes()).hexdigest()
    card = {
        "file": artifact.name,
        "sha256": digest,
        "class_names": CLASSES,
        "calibration": {"temperature": TEMPERATURE},
    }
    write_card(artifact, card | more)
    return artifact


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    path = tmp_path_factory.mktemp("student") / "student.int8.tflite"
    return add_card(write_int8_tflite(path, SHAPE, num_classes=3), acceptance=BOUNDS)


@pytest.fixture
def photos(tmp_path):
    folder, random = tmp_path / "photos", np.random.default_rng(0)
    (folder / "more").mkdir(parents=True)
    for name in ("a.png", "b.jpg", "more/c.png"):
        Image.fromarray(random.integers(0, 256, (20, 30, 3)).astype(np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def predict(*arguments, expect=0):
    completed = run("tfcifar.predict", *arguments, "--format", "json", expect=expect)
    return [json.loads(line) for line in completed.stdout.splitlines()], completed


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return write_colour_run(tmp_path_factory.mktemp("runs") / "colours")


def test_an_exported_file_answers_in_a_process_without_tensorflow(student, photos):
    heavy = {"tensorflow", "keras", "scipy", "sklearn", "onnx", "matplotlib", "fastapi"}
    code = (
        f"import sys; from tfcifar.predict import main; main(sys.argv[1:]); print(sorted({heavy} & set(sys.modules)))"
    )
    for artifact in (student, add_card(write_onnx(photos.parent / "linear.onnx", SHAPE, num_classes=3))):
        completed = subprocess.run([sys.executable, "-c", code, artifact, photos / "a.png"], cwd=PROJECT, text=True,
                                   capture_output=True, check=True)  # fmt: skip
        title, row, loaded = completed.stdout.splitlines()
        assert "probabilities calibrated" in title
        assert "a.png  " in row
        assert loaded == "[]"


def test_folders_patterns_and_stdin_are_followed_and_probabilities_calibrated(student, photos, monkeypatch):
    rows, completed = predict(student, photos)
    assert [row["image"] for row in rows] == [str(photos / name) for name in ("a.png", "b.jpg", "more/c.png")]
    assert predict(student, f"{photos}/**/*.png")[0] == [rows[0], rows[2]]
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{photos}/b.jpg\n{photos}/more\n"))
    assert predict(student, "-")[0] == rows[1:]
    from pipelines.image_folder import fit_image, read_image

    logits = open_artifact(student)(fit_image(read_image(photos / "a.png"), *SHAPE[:2])[None])[0].astype(float)
    expected = np.sort(np.exp(logits / TEMPERATURE) / np.exp(logits / TEMPERATURE).sum())[::-1]
    np.testing.assert_allclose([each["probability"] for each in rows[0]["classes"]], expected)
    assert rows[0]["calibrated"]
    assert completed.stderr == ""


def test_the_formats_say_the_same(student, photos):
    rows, _ = predict(student, photos, "--top", 2)
    table = run("tfcifar.predict", student, photos, "--top", 2).stdout.splitlines()[1:]
    spreadsheet = run("tfcifar.predict", student, photos, "--top", 2, "--format", "csv").stdout
    for row, line, record in zip(rows, table, csv.DictReader(io.StringIO(spreadsheet)), strict=True):
        first, second = row["classes"]
        assert line.startswith(row["image"])
        assert f"{first['name']} {first['probability']:.1%}  {second['name']} {second['probability']:.1%}" in line
        assert (record["image"], record["answer"], record["calibrated"]) == (row["image"], row["answer"], "true")
        assert float(record["probability_2"]) == second["probability"]


def test_an_unreadable_image_is_a_line_and_the_others_are_classified(student, photos):
    (photos / "a.png").write_bytes(b"no image")
    rows, completed = predict(student, photos, photos / "nothing.png", "nothing/*.png", expect=2)
    assert [row["image"] for row in rows] == [str(photos / "b.jpg"), str(photos / "more" / "c.png")]
    missing, unmatched, unreadable = error_lines(completed)
    assert "nothing.png: no such file" in missing
    assert "no file matches" in unmatched
    assert "a.png: cannot be read as an image" in unreadable
    assert predict("no-model.tflite", "nothing.png", expect=2)[0] == []


def test_a_model_that_is_not_there_is_told_from_a_folder_without_one(photos, tmp_path):
    (line,) = error_lines(predict(tmp_path / "run", photos, expect=2)[1])
    assert line.endswith("run: no such file or folder.")
    (line,) = error_lines(predict(photos, photos, expect=2)[1])
    assert "photos: no run in it" in line


def test_arguments_that_lack_the_model_or_the_images_are_told_so(run_dir):
    assert "expected images" in run("tfcifar.predict", "--zoo", "student", expect=2).stderr.splitlines()[-1]
    stderr = run("tfcifar.predict", "photo.png", expect=2).stderr
    assert "expected a model first, or --zoo NAME, and then images; received only photo.png" in stderr
    (line,) = error_lines(run("tfcifar.predict", "--zoo", "student", run_dir, expect=2))
    assert "a model was given twice" in line


def test_a_reader_that_leaves_early_sees_no_traceback(student, photos):
    command = [sys.executable, "-m", "tfcifar.predict", student, photos]
    with subprocess.Popen(command, cwd=PROJECT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_a_run_abstains_below_the_risk_and_marks_what_is_unlike_its_own_images(run_dir, tmp_path):
    colours = {"black": (0, 0, 0), "blue": (0, 0, 255), "dark blue": (0, 0, 12), "white": (255, 255, 255)}
    for name, colour in colours.items():
        Image.new("RGB", (16, 16), colour).save(tmp_path / f"{name}.png")
    black, blue, dark, white = predict(run_dir, tmp_path, "--abstain-above", 0.01)[0]
    assert (blue["answer"], blue["foreign"], blue["calibrated"]) == ("frog", False, False)
    assert (dark["answer"], dark["foreign"]) == (None, False)  # as unsure as its mistakes
    assert (black["answer"], black["foreign"]) == (None, True)  # there is less in it than in any of its own images
    assert white["answer"] is None
    assert [row["answer"] for row in predict(run_dir, tmp_path, "--min-probability", 0.9995)[0]] == [None] * 4
    (line,) = error_lines(predict(run_dir, tmp_path, "--abstain-above", 0.0001, expect=2)[1])
    assert "(0.01, 0.02, 0.05, 0.1), received 0.0001" in line


def test_what_a_model_does_not_offer_is_said_once(photos):
    bare = add_card(write_onnx(photos.parent / "linear.onnx", SHAPE, num_classes=3))
    rows, completed = predict(bare, photos)
    assert [row["foreign"] for row in rows] == [None] * 3
    assert completed.stderr.count("NOTE: images unlike the model's own are not marked") == 1
    (line,) = error_lines(predict(bare, photos, "--abstain-above", 0.01, expect=2)[1])
    assert "tfcifar.evaluate" in line
    (line,) = error_lines(predict(bare, photos, "--explain", photos.parent / "overlays", expect=2)[1])
    assert "--explain: expected a run directory or a .keras file" in line


def test_overlays_are_pngs_beside_each_other_whatever_folder_the_images_are_in(run_dir, tmp_path):
    image = np.zeros((64, 64, 3), np.uint8)
    image[:32, :32, 2] = 255
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        Image.fromarray(image).save(tmp_path / name / "corner.png")
    Image.fromarray(image).save(tmp_path / "two" / "corner-2.png")  # what the second corner.png would be called
    rows, _ = predict(run_dir, tmp_path / "one", tmp_path / "two", "--explain", tmp_path / "overlays")
    assert [row["explanation"] for row in rows] == [
        str(tmp_path / "overlays" / name) for name in ("corner.png", "corner-2.png", "corner-3.png")
    ]
    with Image.open(rows[0]["explanation"]) as overlay:
        pixels = np.asarray(overlay).astype(int)
    assert pixels.shape == (320, 320, 3)
    assert pixels[:100, :100].mean() > pixels[200:, 200:].mean() + 50  # hot where the blue is


def test_the_zoo_is_chosen_by_name(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo.zoo_model, "__defaults__", (tmp_path / "zoo",))
    (line,) = error_lines(run("tfcifar.predict", "--zoo", "tiny", photos, expect=2))
    assert "there are no models in" in line
    write_int8_tflite(tmp_path / "zoo" / "tiny" / "tiny.int8.tflite", SHAPE, num_classes=3)
    assert len(predict("--zoo", "tiny", photos)[0]) == 3
    (line,) = error_lines(run("tfcifar.predict", "--zoo", "tinny", photos, expect=2))
    assert "Did you mean tiny?" in line


def test_the_example_on_the_page_needs_nothing_of_this_project(student, photos, tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / "predict.md").read_text(), re.DOTALL)
    blocked = ["tfcifar", "pipelines", "tuner", "export", "tensorflow", "keras", "scipy", "onnx"]
    (tmp_path / "example.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({blocked}))\n{code}")
    for path in (student, student.with_name(f"{student.name}.json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "cat.png").write_bytes((photos / "a.png").read_bytes())
    completed = subprocess.run([sys.executable, "-I", "example.py"], cwd=tmp_path, capture_output=True, text=True)
    best = predict(student, photos / "a.png")[0][0]["classes"][0]
    assert completed.stdout == f"{best['name']} {best['probability']:.1%}\n", completed.stderr
