"""Detectors of foreign images against other implementations; where foreign images come from."""

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import mahalanobis as scipy_mahalanobis
from scipy.stats import mannwhitneyu
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_curve
from sklearn.neighbors import NearestNeighbors

from pipelines.errors import InputError
from tfcifar.models import build_model
from tfcifar.models.features import features_and_logits, with_features
from tfcifar.models.multi_task import classifier_of, with_group_head
from tfcifar.recipe import Model
from tfcifar.uncertainty.detectors import (
    auroc,
    energy,
    fit_features,
    fpr95,
    mahalanobis,
    max_softmax,
    neighbour_distance,
)
from tfcifar.uncertainty.foreign_images import GENERATED, folder_images, generated_images, parse_folders
from tfcifar.uncertainty.scores import histogram


def features(n: int, seed=0) -> np.ndarray:
    """Of unequal scale; the last is always 0, as of a unit that is never active."""
    return (np.random.default_rng(seed).normal(0.5, 1, (n, 6)) * [1, 5, 0.1, 2, 1, 0]).astype(np.float32)


LABELS = np.arange(60) % 3


def test_the_distance_to_a_class_is_that_of_scipy_with_the_shrunk_covariance():
    training, points = features(60), features(8, seed=1)
    means = np.stack([training[each == LABELS].mean(0, dtype=np.float64) for each in range(3)])
    covariance = LedoitWolf(assume_centered=True).fit(training - means[LABELS]).covariance_
    inverse = np.linalg.inv(covariance)
    expected = [min(scipy_mahalanobis(point, mean, inverse) ** 2 for mean in means) for point in points]
    np.testing.assert_allclose(mahalanobis(points, fit_features(training, LABELS)), expected, rtol=1e-4)


def test_the_distance_to_neighbours_is_that_of_scikit_learn():
    training, points = features(60), features(8, seed=1)
    directions = training / np.linalg.norm(training, axis=1, keepdims=True)
    others = points / np.linalg.norm(points, axis=1, keepdims=True)
    expected = NearestNeighbors(n_neighbors=7).fit(directions).kneighbors(others)[0][:, -1]
    found = neighbour_distance(points, fit_features(training, LABELS), neighbours=7)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    farthest = neighbour_distance(points, fit_features(training, LABELS), neighbours=500)
    assert (farthest >= found).all()


def test_scores_of_logits_by_hand():
    logits = np.array([[0, np.log(3)], [1000, 0]], np.float32)
    np.testing.assert_allclose(max_softmax(logits), [0.25, 0], atol=1e-7)
    np.testing.assert_allclose(energy(logits), [-np.log(4), -1000], rtol=1e-6)


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    own, foreign = np.array([0, 1, 1, 2]), np.array([1, 3, 3])
    assert auroc(own, foreign) == pytest.approx(mannwhitneyu(foreign, own).statistic / 12)
    assert auroc(foreign, own) == pytest.approx(1 - auroc(own, foreign))


def test_fpr95_is_a_point_of_scikit_learns_roc_curve():
    rng = np.random.default_rng(0)
    own, foreign = rng.normal(0, 1, 501), rng.normal(1.5, 1, 300)
    let_in, kept, _ = roc_curve(np.repeat([1, 0], [501, 300]), -np.concatenate([own, foreign]), drop_intermediate=False)
    assert fpr95(own, foreign) == pytest.approx(let_in[np.argmax(kept >= 0.95)])
    assert fpr95(np.zeros(10), np.zeros(10)) == 1


@pytest.mark.parametrize("name", ["fast_cnn", "residual_cnn"])
def test_features_are_what_the_logits_layer_is_given(name):
    keras.utils.set_random_seed(0)
    config = Model(name, widths=(8,) * (3 if name == "fast_cnn" else 4))
    model = build_model(config, (32, 32, 3), 3, (0.5,) * 3, (0.25,) * 3)
    images = generated_images("uniform_noise", 5, 32, 32)
    for each in (model, classifier_of(with_group_head(model, 2))):
        found, logits = features_and_logits(with_features(each), images, "")
        np.testing.assert_allclose(logits, model.predict(images, verbose=0), atol=1e-5)
        np.testing.assert_allclose(model.get_layer("logits")(found), logits, atol=1e-5)


def test_a_model_without_a_logits_layer_is_refused():
    with pytest.raises(InputError, match="expected a model with a layer named logits"):
        with_features(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="scores")]))


@pytest.mark.parametrize("name", GENERATED)
def test_generated_images_have_the_size_asked_for_and_are_always_the_same(name):
    images = generated_images(name, 3, 24, 32)
    assert images.shape == (3, 24, 32, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, generated_images(name, 3, 24, 32))


def test_noise_has_the_moments_of_its_kind():
    uniform, gaussian = (generated_images(f"{kind}_noise", 20, 32, 32) / 255 for kind in ("uniform", "gaussian"))
    assert uniform.mean() == pytest.approx(0.5, abs=0.01)
    assert uniform.std() == pytest.approx(12**-0.5, abs=0.01)
    assert np.mean(gaussian == 0) == pytest.approx(0.3085, abs=0.01)  # beyond half a standard deviation from the mean


def test_images_of_a_folder_are_brought_to_the_size_of_the_model(tmp_path):
    (tmp_path / "below").mkdir()
    Image.new("RGB", (40, 20), "red").save(tmp_path / "wide.png")
    Image.new("L", (8, 8), 200).save(tmp_path / "below" / "grey.jpg")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "._wide.png").write_text("what macOS leaves beside a file")
    folders = parse_folders([f"mine={tmp_path}"])
    images = folder_images(folders["mine"], 16, 16)
    assert images.shape == (2, 16, 16, 3)
    assert set(images.mean((1, 2, 3)).round()) == {85, 200}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["folder"], "expected NAME=FOLDER, received 'folder'"),
        (["synthetic=."], "synthetic: expected another name"),
        (["a=.", "a=."], "a: expected another name"),
        (["a=/no/such"], "no such folder: /no/such"),
    ],
)
def test_folders_that_cannot_be_used_are_refused(arguments, message, tmp_path, monkeypatch):
    Image.new("RGB", (4, 4)).save(tmp_path / "image.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        parse_folders(arguments)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"expected images \(\.png, .*found none"):
        parse_folders([f"a={tmp_path}"])


def test_bins_hold_every_score_with_outliers_in_the_last():
    found = histogram({"own": np.arange(1000.0), "foreign": np.append(np.arange(999.0), 1e9)})
    for shares in found["shares"].values():
        assert sum(shares) == pytest.approx(1)
    assert found["edges"][-1] < 1000
