"""From a folder of images with planted mistakes to tables and a page, by the two commands."""

import csv
import json
from unittest import mock

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from tests.integration.commands import error_lines, run
from tfcifar.training import batches, trainer

CLASSES = ("red <b>& 'warm'", "green", "blue")
AGAIN = 10  # the place of test/green/again.png: behind five blue and five green images
MAIN = "tfcifar.data_quality.__main__"
MISLABELLED = ("train/green/wrong.png", "train/blue/wrong.png")
SMALL = ("--recipe", "smoke", "--preset", "cpu", "--set", "model.widths=4,4", "--set", "batch_size=10",
         "--set", "epochs=8")  # fmt: skip


def photograph(colour: int, seed: int) -> np.ndarray:
    texture = gaussian_filter(np.random.default_rng(seed).normal(size=(16, 16, 3)), (1, 1, 0)) * 120
    return np.clip(90 + texture + np.eye(3)[colour] * 90, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three colours, 24 training images each and 5 for test; two wrong labels, one duplicate in each place."""
    root = tmp_path_factory.mktemp("folder") / "my data"
    for part, count, first in (("train", 24, 0), ("test", 5, 500)):
        for colour, name in enumerate(CLASSES):
            (root / part / name).mkdir(parents=True)
            for index in range(count):
                image = photograph(colour, first + 100 * colour + index)
                Image.fromarray(image).save(root / part / name / f"{index:02}.png")
    for path in MISLABELLED:
        Image.fromarray(photograph(0, 900 + len(path))).save(root / path)
    brighter = np.clip(photograph(1, 107).astype(int) + 25, 0, 255).astype(np.uint8)
    Image.fromarray(brighter).save(root / "test" / "green" / "again.png")
    Image.fromarray(photograph(2, 203)).save(root / "train" / "green" / "twice.jpg", quality=70)
    return root


@pytest.fixture(scope="module")
def labels(folder, tmp_path_factory):
    """Output of `labels` with two folds, what it printed, and the files that each training was given."""
    output, given = tmp_path_factory.mktemp("quality"), []

    def note(make):
        def make_and_note(examples, *args, **kwargs):
            given[-1].update(examples.files)
            return make(examples, *args, **kwargs)

        return make_and_note

    train = trainer.train

    def train_and_note(*args):
        given.append(set())
        return train(*args)

    with (
        mock.patch.object(batches, "make_train_dataset", note(batches.make_train_dataset)),
        mock.patch.object(trainer, "make_eval_dataset", note(trainer.make_eval_dataset)),
        mock.patch.object(trainer, "train", train_and_note),
    ):
        options = ("labels", *SMALL, "--dataset", folder, "--folds", 2, "--output", output)
        stdout = run(MAIN, *options).stdout
    return output, stdout, given


def read_csv(path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_planted_labels_are_the_first_issues(labels):
    output, stdout, _ = labels
    rows = read_csv(output / "label_issues.csv")
    assert {row["file"] for row in rows[:3]} >= set(MISLABELLED)
    for row in rows[:3]:
        if row["file"] in MISLABELLED:
            assert row["proposed"] == CLASSES[0]
            assert row["given"] == row["file"].split("/")[1]
    assert "Labels: " in stdout


def test_no_training_sees_its_held_out_fold(labels, folder):
    output, _, given = labels
    files = sorted("/".join(path.parts[-3:]) for path in (folder / "train").rglob("*.*"))
    with np.load(output / "probabilities.npz") as file:
        fold, probabilities = file["fold"], file["probabilities"]
    files = [path for name in sorted(CLASSES) for path in files if path.split("/")[1] == name]
    assert probabilities.shape == (len(files), 3)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    for index, seen in enumerate(given):
        assert seen == {path for path, held_out in zip(files, fold == index, strict=True) if not held_out}
    assert len(given) == 2


def test_the_test_split_stays_closed_to_the_search_for_labels(labels):
    assert not list(labels[0].rglob("test_openings.jsonl"))


def test_finished_folds_are_not_trained_again_nor_taken_for_others(labels, folder):
    output, stdout, _ = labels
    before = {path: path.stat().st_mtime_ns for path in output.rglob("model.keras")}
    again = (MAIN, "labels", *SMALL, "--dataset", folder, "--output", output, "--folds")
    assert run(*again, 2).stdout.splitlines()[-2:] == stdout.splitlines()[-2:]
    assert {path: path.stat().st_mtime_ns for path in output.rglob("model.keras")} == before
    (line,) = error_lines(run(*again, 3, expect=2))
    assert "the train split is not the one" in line
    (line,) = error_lines(run(*again, 2, "--set", "optimizer.learning_rate=0.2", expect=2))
    assert "holds a finished run of another recipe" in line


@pytest.fixture(scope="module")
def duplicates(labels):
    """The first fold's run, the output folder of both commands, the search as a command, and what it left and said."""
    output, _, _ = labels
    run_dir = output / "fold0"
    test_labels = np.repeat([0, 1, 2], [5, 6, 5])
    logits = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
    np.savez(run_dir / "predictions.npz", test_labels=test_labels, test_logits=logits)  # as tfcifar.evaluate does
    command = (MAIN, "duplicates", run_dir, "--output", output)
    stdout = run(*command, "--judge", run_dir).stdout
    return run_dir, output, command, stdout, (output / "data_quality.html").read_text(encoding="utf-8")


def test_planted_duplicates_are_found(duplicates):
    _, output, _, stdout, _ = duplicates
    rows = {row["pair"]: row for row in read_csv(output / "duplicates.csv")}
    assert len(rows) == 2
    assert (rows["test_train"]["first_file"], rows["test_train"]["second_file"]) == (
        "test/green/again.png", "train/green/07.png"
    )  # fmt: skip
    within = rows["train_train"]
    assert {within["first_file"], within["second_file"]} == {"train/blue/03.png", "train/green/twice.jpg"}
    assert "Test: 1 of 16 images (6.25%) have a near-duplicate" in stdout
    assert (
        "Training: 2 of 75 images (2.67%) have one within training; keeping one of each group would remove 1" in stdout
    )
    assert "in 1 of 1 pairs the labels differ" in stdout


def test_runs_are_judged_without_the_duplicate(duplicates):
    run_dir, output, _, stdout, _ = duplicates
    (row,) = read_csv(output / "judged.csv")
    with np.load(run_dir / "predictions.npz") as file:
        correct = file["test_logits"].argmax(1) == file["test_labels"]
    assert float(row["whole_accuracy"]) == pytest.approx(correct.mean())
    assert float(row["without_accuracy"]) == pytest.approx(np.delete(correct, AGAIN).mean())
    assert (row["without_n"], row["duplicates_n"]) == ("15", "1")
    assert "fold0" in stdout


def test_the_test_split_is_opened_once_for_a_search_and_on_the_record(duplicates):
    run_dir, _, command, _, _ = duplicates

    def purposes():
        return [json.loads(line)["purpose"] for line in (run_dir / "test_openings.jsonl").read_text().splitlines()]

    assert purposes() == ["near-duplicates"]
    run(*command)
    assert purposes() == ["near-duplicates"]
    assert "Test: 0 of 16" in run(*command, "--threshold", 1).stdout
    assert purposes() == ["near-duplicates"] * 2


def test_the_page_shows_what_both_commands_found(duplicates):
    page = duplicates[-1]
    for kind in ("label", "test_train", "train_train"):
        assert f'data-kind="{kind}"' in page
    assert "red &lt;b&gt;&amp; &#x27;warm&#x27;" in page
    assert "red <b>" not in page
    assert page.index("Labels: ") < page.index("Test: ") < page.index("Training: ")


def test_a_search_that_is_interrupted_leaves_no_record_beside_arrays_of_another(duplicates):
    _, output, command, _, _ = duplicates
    with mock.patch("tfcifar.data_quality.duplicate_search.write_duplicates", side_effect=KeyboardInterrupt):
        run(*command, "--threshold", 0.5, expect=130)
    assert not (output / "duplicates.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("labels", "--recipe", "smoke", "--folds", 1), "--folds: expected 2 or more"),
        (("duplicates", "runs/x", "--threshold", 1.5), "--threshold: expected above 0, at most 1"),
        (("duplicates", "runs/x", "--shown", 0), "--shown: expected 1 or more"),
        (("duplicates", "runs/none"), "run directory: expected one made by tfcifar.train"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    assert message in run(MAIN, *arguments, expect=2).stderr
