"""A second head for groups of classes: labels, loss, training and evaluation."""

import keras
import numpy as np
import pytest

from pipelines.errors import InputError
from tests.integration.commands import run
from tfcifar.models import build_model
from tfcifar.models.multi_task import CLASSES, GROUPS, classifier_of, parse_groups, with_group_head
from tfcifar.models.saved import load_model
from tfcifar.recipe import Model
from tfcifar.run_dir import RunDir, read_json
from tfcifar.training.trainable import TrainableModel

NAMES = ("cat", "dog", "truck")
PETS = ("animal: cat dog", "vehicle: truck")


def two_heads() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = build_model(Model("small_cnn", widths=(4, 8)), (8, 8, 3), 3, (0.5,) * 3, (0.25,) * 3)
    return with_group_head(model, 2)


def test_labels_of_groups_are_those_of_classes_added_up():
    names, matrix = parse_groups(PETS, NAMES)
    assert names == ["animal", "vehicle"]
    np.testing.assert_allclose(np.array([[0.2, 0.3, 0.5], [0, 1, 0]]) @ matrix, [[0.5, 0.5], [1, 0]])


def test_names_with_blanks_stand_in_quotes():
    _, matrix = parse_groups(("animal: 'polar bear' cat", "vehicle: truck"), ("cat", "polar bear", "truck"))
    np.testing.assert_array_equal(matrix, [[1, 0], [1, 0], [0, 1]])


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (("animal: cat dog",), "each class in one group, found truck in 0"),
        (("animal: cat dog", "vehicle: truck cat"), "each class in one group, found cat in 2"),
        (("animal: cat dgo", "vehicle: truck"), "no such name: dgo. Did you mean dog"),
        (("animal: 'cat dog", "vehicle: truck"), "no closing quotation in"),
        (("cat dog", "vehicle: truck"), "expected 'name: class class ...', received 'cat dog'"),
    ],
)
def test_groups_that_do_not_divide_the_classes_are_refused(groups, message):
    with pytest.raises(InputError, match=message):
        parse_groups(groups, NAMES)


def test_the_loss_is_that_of_the_classes_plus_the_weighted_one_of_the_groups():
    model, (_, matrix) = two_heads(), parse_groups(PETS, NAMES)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    trainable = TrainableModel.wrap(model, None, None, False, groups=matrix)
    heads = {CLASSES: 1.0, GROUPS: 0.25}
    trainable.compile("sgd", dict.fromkeys(heads, loss), loss_weights=heads, metrics=None)
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype("float32")
    labels = np.eye(3, dtype="float32")[[0, 1, 2, 0, 1, 2]]
    outputs = model(images)
    expected = loss(labels, outputs[CLASSES]) + 0.25 * loss(labels @ matrix, outputs[GROUPS])
    found = trainable.evaluate(images, labels, verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(float(expected), rel=1e-5)


def test_the_classifier_is_the_model_without_its_second_head():
    model = two_heads()
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype("float32")
    np.testing.assert_array_equal(classifier_of(model)(images), model(images)[CLASSES])


def test_a_run_with_groups_reports_both_ways_to_tell_them_apart(tmp_path):
    source = ("--set", "data.dataset=synthetic", "--set", "epochs=1", "--set", "model.widths=4,8")
    classes = read_names()
    groups = f"first: {' '.join(classes[:4])},others: {' '.join(classes[4:])}"
    recipe = ("--recipe", "smoke", "--preset", "cpu", "--set", f"multi_task.groups={groups}")
    stdout = run("tfcifar.train", *recipe, *source, "--run-dir", tmp_path / "run").stdout
    run_dir = RunDir(tmp_path / "run")
    metrics = read_json(run_dir.metrics)
    with np.load(run_dir.predictions) as predictions:
        labels = predictions["test_labels"] >= 4
        head = predictions["test_group_logits"].argmax(-1) == labels
    assert metrics["groups"]["accuracy"]["head"] == head.mean()
    assert "first or others" in stdout
    assert load_model(run_dir.model).output.shape == (None, 10)
    assert set(load_model(run_dir.model, all_heads=True).output) == {CLASSES, GROUPS}


def read_names() -> tuple[str, ...]:
    from pipelines.sources import open_source

    return open_source("synthetic").class_names
