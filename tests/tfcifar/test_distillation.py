"""Students of teachers: the loss, what teachers say kept on disk, and whole small trainings."""

import json

import numpy as np
import pytest
from scipy.special import log_softmax, rel_entr, softmax

from pipelines.augment_config import Augment
from pipelines.errors import InputError
from pipelines.sharding import Shares
from tests.export.models import build
from tests.tfcifar.tiny_training import interrupt_after, recipe
from tfcifar.models.image_size import at_image_size
from tfcifar.models.saved import load_model
from tfcifar.recipe import Distill, Model
from tfcifar.run_dir import RunDir, read_history
from tfcifar.training.batches import train_batches
from tfcifar.training.distillation import (
    CLASSES,
    FEATURES,
    DistillationLoss,
    Teachers,
    label_accuracy,
    with_feature_projection,
)
from tfcifar.training.distillation_targets import Targets
from tfcifar.training.trainer import train


def test_the_loss_is_hintons():
    random = np.random.default_rng(0)
    labels = np.eye(3)[[0, 2, 1, 1]]
    teacher, student = random.normal(0, 3, (2, 4, 3))
    hard = -(labels * log_softmax(student, -1)).sum(-1).mean()
    soft = rel_entr(softmax(teacher / 4, -1), softmax(student / 4, -1)).sum(-1).mean()
    loss = DistillationLoss(temperature=4.0, weight=0.7)(np.concatenate([labels, teacher], -1), student)
    assert float(loss) == pytest.approx(0.3 * hard + 0.7 * 16 * soft, rel=1e-5)


def test_accuracy_is_that_of_the_labels_and_not_of_the_teacher():
    metric = label_accuracy()
    metric.update_state([[1, 0, -9, 0], [0, 1, 0, -9]], [[2.0, 1.0], [2.0, 1.0]])
    assert float(metric.result()) == 0.5


@pytest.fixture(scope="module")
def teacher(splits, tmp_path_factory):
    run_dir = RunDir(tmp_path_factory.mktemp("teacher") / "teacher")
    train(recipe(epochs=1), splits, run_dir)
    return run_dir


def student(teacher: RunDir, epochs=3, augment=None, **distill):
    return recipe(
        name="student",
        model=Model("small_cnn", widths=(3,)),
        augment=augment or Augment(flip="random", crop_padding=1, cutmix_alpha=1.0),
        epochs=epochs,
        distill=Distill((str(teacher.path),), **distill),
    )


def test_damaged_views_are_asked_for_again_and_no_others(splits, teacher, tmp_path, capsys):
    asked = student(teacher, views=3)
    targets, teachers = Targets(asked, splits, tmp_path), Teachers(asked, splits)
    targets.compute(teachers)
    whole, turned, cut = sorted(tmp_path.glob("*.npy"))
    before = {path: np.load(path) for path in (turned, cut)}
    data = bytearray(turned.read_bytes())
    data[300] ^= 1
    turned.write_bytes(data)
    cut.write_bytes(cut.read_bytes()[:300])
    untouched = whole.stat().st_mtime_ns
    targets.compute(teachers)
    for path, array in before.items():
        np.testing.assert_allclose(np.load(path), array, atol=0.01)
    assert whole.stat().st_mtime_ns == untouched
    said = [line for line in capsys.readouterr().err.splitlines() if "the teachers are asked again" in line]
    assert len(said) == 2


def test_the_teacher_is_asked_about_the_very_images_that_the_student_sees(splits, teacher, tmp_path):
    asked = student(teacher, views=2)
    targets = Targets(asked, splits, tmp_path)
    targets.compute(Teachers(asked, splits))
    model = load_model(teacher.model)
    batches = list(targets.join(train_batches(asked, splits, 0, 3), 0, 3))
    assert len(batches) == 3 * targets.steps
    for images, packed in batches:
        labels, said = np.split(packed.numpy(), 2, axis=-1)
        np.testing.assert_allclose(labels.sum(-1), 1, atol=1e-6)
        np.testing.assert_allclose(said, log_softmax(model.predict_on_batch(images), -1), atol=0.01)  # float16
    first, third = (
        np.concatenate([images for images, _ in batches[at * targets.steps :][: targets.steps]]) for at in (0, 2)
    )
    np.testing.assert_array_equal(first, third)  # two views: the third epoch is the first again
    assert not np.array_equal(
        first, np.concatenate([images for images, _ in batches[targets.steps : 2 * targets.steps]])
    )


def moved_by(image: np.ndarray, pixels: int) -> list[np.ndarray]:
    """All that an image can be when shifted by up to `pixels`, its border reflected, and mirrored or not."""
    height, width, _ = image.shape
    padded = np.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)), mode="reflect")
    offsets = range(2 * pixels + 1)
    shifted = [padded[y : y + height, x : x + width] for y in offsets for x in offsets]
    return shifted + [each[:, ::-1] for each in shifted]


def test_images_that_come_again_are_moved_a_little_with_what_the_teacher_said_before(splits, teacher, tmp_path):
    asked = student(teacher, views=1, jitter=1)
    targets = Targets(asked, splits, tmp_path)
    targets.compute(Teachers(asked, splits))
    epochs = [list(targets.join(train_batches(asked, splits, at, at + 1), at, at + 1)) for at in range(3)]
    plain = list(Targets(student(teacher, views=1), splits, tmp_path).join(train_batches(asked, splits, 0, 1), 0, 1))
    kinds = set()
    for first, second, third, untouched in zip(*epochs, plain, strict=True):
        np.testing.assert_array_equal(first[0], untouched[0])
        np.testing.assert_array_equal(first[1], third[1])
        assert not np.array_equal(second[0], third[0])
        for before, after in zip(first[0].numpy(), third[0].numpy(), strict=True):
            (kind, *_) = [at for at, each in enumerate(moved_by(before, 1)) if np.array_equal(each, after)]
            kinds.add(kind)
    assert len(kinds) > 12
    assert {kind // 9 for kind in kinds} == {0, 1}
    unmirrored = student(teacher, views=1, jitter=1, augment=Augment(crop_padding=1))
    images, _ = next(iter(targets.join(train_batches(unmirrored, splits, 1, 2), 1, 2)))
    assert images.shape == first[0].shape


def test_devices_that_share_a_batch_move_its_images_as_one_does(splits, teacher, tmp_path):
    asked = student(teacher, views=1, jitter=2)
    targets = Targets(asked, splits, tmp_path)
    targets.compute(Teachers(asked, splits))
    batches = targets.join(train_batches(asked, splits, 1, 2), 1, 2)
    shares = [Shares(worker, worker + 1, 3) for worker in range(3)]
    parts = [targets.join(train_batches(asked, splits, 1, 2, shares=each), 1, 2, each) for each in shares]
    for (images, said), *of_each in zip(batches, *parts, strict=True):
        np.testing.assert_array_equal(images, np.concatenate([each[0] for each in of_each]))
        np.testing.assert_array_equal(said, np.concatenate([each[1] for each in of_each]))


def test_a_student_that_is_interrupted_ends_as_an_undisturbed_one(splits, teacher, tmp_path, monkeypatch):
    recipe = student(teacher, epochs=2, views=1, jitter=1, feature_weight=0.5).replace(deterministic=True)
    whole, stopped = RunDir(tmp_path / "whole"), RunDir(tmp_path / "stopped")
    train(recipe, splits, whole)
    interrupt_after(1, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, splits, stopped)
    train(recipe, splits, stopped, resume=True)
    assert read_history(stopped.history) == read_history(whole.history)
    model = load_model(whole.model)
    assert model.output_shape == (None, splits.num_classes)  # nothing of the teacher is left in it


def test_a_perfect_listener_comes_to_say_what_its_teacher_says(splits, teacher, tmp_path):
    """With weight 1 the labels say nothing: agreement with the teacher grows all the same."""
    alike = student(teacher, epochs=6, weight=1.0, views=1, augment=Augment()).replace(
        model=Model("small_cnn", widths=(4,))
    )
    train(alike, splits, RunDir(tmp_path / "student"))
    losses = [row["loss"] for row in read_history(RunDir(tmp_path / "student").history)]
    assert losses[-1] < 0.5 * losses[0]


def test_an_ensemble_teaches_what_its_vote_says(splits, teacher, tmp_path):
    other = RunDir(tmp_path / "other")
    train(recipe(epochs=1, seed=1), splits, other)
    both = recipe(distill=Distill((str(teacher.path), str(other.path))))
    images = splits.train.images[:7].astype(np.float32)
    said = Teachers(both, splits)(images)[CLASSES]
    each = [softmax(load_model(run.model).predict_on_batch(images), -1) for run in (teacher, other)]
    np.testing.assert_allclose(np.exp(said.astype(np.float32)), np.mean(each, axis=0), atol=2e-3)


def test_a_teacher_that_changed_meanwhile_is_refused(splits, teacher, tmp_path):
    asked = student(teacher, views=1)
    teachers = Teachers(asked, splits)
    targets = Targets(asked, splits, tmp_path)
    targets.compute(teachers)
    (tmp_path / "teachers.json").write_text('["another"]')
    with pytest.raises(InputError, match="have changed since"):
        targets.compute(teachers)


def test_what_does_not_go_together_is_refused(teacher):
    with pytest.raises(InputError, match="0, or exactly one teacher"):
        Distill(("a", "b"), feature_weight=1.0)
    with pytest.raises(InputError, match="no image is repeated"):
        Distill(("a",), jitter=1)
    with pytest.raises(InputError, match="one_hot with distill"):
        student(teacher, augment=Augment()).replace(labels="integer")


def test_a_teacher_of_other_classes_is_refused(splits, tmp_path):
    (tmp_path / "recipe.json").write_text("{}")
    (tmp_path / "timing.json").write_text("{}")
    (tmp_path / "environment.json").write_text('{"data": {"class_names": ["owl"]}}')
    with pytest.raises(InputError, match=r"expected the classes .*, .* knows owl"):
        Teachers(student(RunDir(tmp_path)), splits)


def test_features_are_compared_on_small_images_too():
    student = with_feature_projection(build("small_cnn"), 7)
    shapes = {name: output.shape for name, output in at_image_size(student, 16).output.items()}
    assert shapes == {CLASSES: (None, 5), FEATURES: (None, 7)}


def test_an_ensemble_that_would_say_something_else_here_is_refused(splits, teacher, tmp_path):
    member = {"name": "teacher", "run_dir": str(teacher.path), "model": "another", "count": 1, "temperature": 1.0}
    names = list(splits.class_names)
    content = {
        "vote": "soft",
        "class_names": names,
        "members": [member],
        "weights": None,
        "bias": None,
        "penalty": None,
    }
    (tmp_path / "environment.json").write_text(json.dumps({"data": {"class_names": names}}))
    for views, message in (("flip", "averages the views flip"), ("none", "has changed since")):
        (tmp_path / "ensemble.json").write_text(json.dumps(content | {"views": views}))
        with pytest.raises(InputError, match=message):
            Teachers(student(RunDir(tmp_path)), splits)
