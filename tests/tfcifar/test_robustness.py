"""Figures under corruption against hand computation, attacks on models whose gradient is known, kept predictions."""

import keras
import numpy as np
import pytest
from keras import layers
from scipy import special

from pipelines.corruptions_names import STANDARD
from tfcifar.evaluation.statistics import compare_means, paired_bootstrap
from tfcifar.models import feature_maps
from tfcifar.reporting.robustness_figures import plot_accuracy_table, plot_attacks, plot_by_severity
from tfcifar.robustness.attacks import attack_rows, fgsm, loss_gradients, pgd
from tfcifar.robustness.predictions import Predictions
from tfcifar.robustness.scores import mean_corruption_error, mean_of, score_rows, share_correct, summarize
from tfcifar.run_dir import RunDir

SIZE = 4
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (6, SIZE, SIZE, 3)).astype(np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture(scope="module")
def linear() -> keras.Model:
    """Logits W x / 255 + b."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIZE, SIZE, 3))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.Rescaling(1 / 255)(inputs))))


@pytest.fixture(scope="module")
def curved() -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(8, 3, activation="gelu", kernel_initializer=keras.initializers.RandomNormal(stddev=1))(
        layers.Rescaling(1 / 64, -2)(inputs)
    )
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def losses(model, images) -> np.ndarray:
    logits = special.log_softmax(model.predict(images, verbose=0).astype(np.float64), axis=1)
    return -logits[np.arange(len(LABELS)), LABELS]


def test_gradients_and_fgsm_on_a_linear_model_are_the_closed_form(linear, monkeypatch):
    """The gradient of the cross-entropy is W (p - y), whatever the size of the batches."""
    kernel = linear.layers[-1].kernel.numpy().astype(np.float64) / 255
    probabilities = special.softmax(linear.predict(IMAGES.astype(np.float32), verbose=0).astype(np.float64), axis=1)
    expected = ((probabilities - np.eye(3)[LABELS]) @ kernel.T).reshape(IMAGES.shape)
    found_losses, found = loss_gradients(linear)(IMAGES, LABELS)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(found_losses, losses(linear, IMAGES.astype(np.float32)), rtol=1e-5)
    monkeypatch.setattr(feature_maps, "MOST_BYTES", 2 * 4 * IMAGES[0].size)  # the only map of two images
    call, traced = linear.call, []

    def note(pixels, *args, **kwargs):
        traced.append(pixels.shape[0])
        return call(pixels, *args, **kwargs)

    monkeypatch.setattr(linear, "call", note)
    np.testing.assert_allclose(loss_gradients(linear)(IMAGES, LABELS)[1], expected, rtol=1e-4, atol=1e-8)
    assert traced == [2]
    attacked = fgsm(IMAGES, found, 4)
    np.testing.assert_array_equal(attacked, np.clip(IMAGES + 4 * np.sign(expected), 0, 255))


def test_on_two_classes_and_a_linear_model_pgd_ends_where_fgsm_does():
    """There the gradient points the same way everywhere, so that both end in the same corner of the ball."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Rescaling(1 / 255)(inputs))))
    gradients, labels = loss_gradients(model), LABELS % 2
    expected = fgsm(IMAGES, gradients(IMAGES, labels)[1], 2)
    np.testing.assert_allclose(pgd(gradients, IMAGES, labels, 2), expected, atol=1e-4)


@pytest.mark.parametrize("epsilon", [1, 8])
def test_pgd_stays_in_the_ball_and_no_loss_falls(curved, epsilon):
    attacked = pgd(loss_gradients(curved), IMAGES, LABELS, epsilon)
    assert np.abs(attacked - IMAGES).max() <= epsilon
    assert attacked.min() >= 0
    assert attacked.max() <= 255
    before, after = losses(curved, IMAGES.astype(np.float32)), losses(curved, attacked)
    assert (after >= before - 1e-4).all()
    assert after.mean() > before.mean() + 0.01
    one_step = fgsm(IMAGES, loss_gradients(curved)(IMAGES, LABELS)[1], epsilon)
    assert after.mean() > losses(curved, one_step).mean() - 1e-3
    np.testing.assert_array_equal(attacked, pgd(loss_gradients(curved), IMAGES, LABELS, epsilon))


def test_attack_rows_name_each_attack_and_strength(curved):
    rows = attack_rows(curved, IMAGES, LABELS)
    assert [(row["attack"], row["epsilon"]) for row in rows] == [
        ("none", 0), *((attack, epsilon) for epsilon in (1, 2, 4, 8) for attack in ("fgsm", "pgd_10")),
    ]  # fmt: skip
    by_pgd = [row["loss"] for row in rows if row["attack"] != "fgsm"]
    assert by_pgd == sorted(by_pgd)
    assert rows[0]["loss"] == pytest.approx(losses(curved, IMAGES.astype(np.float32)).mean(), abs=1e-5)


def rows_of(run: str, accuracies: dict[str, tuple[float, ...]]) -> list[dict]:
    """Rows of scores.csv; severities count from 1, of "clean" from 0."""
    return [
        {"run": run, "split": "test", "images": 10, "corruption": name, "severity": severity + (name != "clean"),
         "accuracy": accuracy, "nll": 1 - accuracy, "ece": accuracy / 10}
        for name, each in accuracies.items()
        for severity, accuracy in enumerate(each)
    ]  # fmt: skip


REFERENCE = rows_of("reference", {"clean": (0.9,), "fog": (0.8, 0.4), "snow": (0.7, 0.7), "saturate": (0.5, 0.5)})
OTHER = rows_of("other", {"clean": (0.95,), "fog": (0.9, 0.7), "snow": (0.6, 0.5), "saturate": (0.9, 0.7)})


def test_mean_corruption_error_by_hand():
    """fog: (0.1 + 0.3) / (0.2 + 0.6) = 1/2; snow: (0.4 + 0.5) / (0.3 + 0.3) = 3/2. The extra one does not count."""
    assert mean_corruption_error(OTHER, REFERENCE) == pytest.approx((1 / 2 + 3 / 2) / 2)
    assert mean_corruption_error(REFERENCE, REFERENCE) == pytest.approx(1)
    assert mean_corruption_error(REFERENCE[-2:], REFERENCE[-2:]) is None
    perfect = rows_of("perfect", {"fog": (1.0, 1.0)})
    assert mean_corruption_error(OTHER, perfect) is None


def test_a_summary_means_over_the_standard_corruptions_only():
    row = summarize(OTHER, REFERENCE)
    assert row["corruptions"] == 2
    assert row["clean_accuracy"] == 0.95
    assert row["accuracy"] == pytest.approx((0.9 + 0.7 + 0.6 + 0.5) / 4)
    assert row["error"] == pytest.approx(1 - row["accuracy"])
    assert row["extra_accuracy"] == pytest.approx(0.8)
    assert row["nll"] == pytest.approx(row["error"])
    assert (row["clean_ece"], row["ece"]) == (pytest.approx(0.095), pytest.approx(row["accuracy"] / 10))
    assert mean_of(OTHER, "accuracy", severity=2) == pytest.approx((0.7 + 0.5) / 2)
    extra_only = summarize(OTHER[:1] + OTHER[-2:], OTHER[:1] + OTHER[-2:])
    assert extra_only["accuracy"] is extra_only["mce"] is extra_only["ece"] is None


@pytest.fixture
def kept(tmp_path) -> Predictions:
    """Of five of eight images: right on all clean ones, on four under fog 1, on two under fog 2."""
    predictions = Predictions(RunDir(tmp_path / "run"), "test", "digest")
    labels = np.array([0, 1, 2, 0, 1])
    predictions.belong_to(np.array([6, 2, 7, 0, 1]), labels, "sha256:a", 8)
    for corruption, severity, wrong in (("clean", 0, 0), ("fog", 1, 1), ("fog", 2, 3)):
        predicted = labels.copy()
        predicted[:wrong] = (predicted[:wrong] + 1) % 3
        predictions.add(corruption, severity, 5 * np.eye(3, dtype=np.float32)[predicted])
    predictions.save()
    return predictions


def test_predictions_come_back_for_the_same_model_alone(kept):
    again = Predictions(kept.run_dir, "test", "digest")
    assert again.has("fog", 2, 5)
    assert again.has("fog", 2, 3)
    assert not again.has("fog", 2, None)  # five of eight
    assert not again.has("snow", 2, 5)
    np.testing.assert_array_equal(again.logits("fog", 1, 3), kept.logits("fog", 1, 5)[:3])
    assert not Predictions(kept.run_dir, "test", "of another model").has("fog", 2, 5)
    assert not Predictions(kept.run_dir, "validation", "digest").has("fog", 2, 5)


def test_predictions_of_other_images_are_dropped_and_those_of_fewer_stay(kept):
    kept.belong_to(np.array([6, 2]), np.array([0, 1]), "sha256:a", 8)
    assert kept.has("fog", 2, 5)
    kept.belong_to(np.array([6, 2, 7, 0, 1, 3]), np.array([0, 1, 2, 0, 1, 2]), "sha256:a", 8)
    assert kept.has("fog", 2, 5)
    assert not kept.has("fog", 2, 6)
    kept.belong_to(np.array([6, 2]), np.array([0, 1]), "sha256:b", 8)
    assert not kept.has("fog", 2, 2)


def test_scores_are_those_of_the_kept_predictions(kept):
    rows = score_rows(kept, {"clean": [0], "fog": [1, 2]}, 5)
    assert [(row["corruption"], row["severity"], row["accuracy"]) for row in rows] == [
        ("clean", 0, 1.0), ("fog", 1, 0.8), ("fog", 2, 0.4),
    ]  # fmt: skip
    sure = np.exp(5) / (np.exp(5) + 2)
    assert rows[0]["ece"] == pytest.approx(1 - sure, abs=1e-6)
    assert rows[2]["ece"] == pytest.approx(sure - 0.4, abs=1e-6)
    assert rows[0]["nll"] == pytest.approx(-np.log(sure), abs=1e-6)
    np.testing.assert_array_equal(share_correct(kept, rows), [0, 0.5, 0.5, 1, 1])


def test_shares_of_zero_and_one_compare_as_correct_predictions_do():
    a, b = RANDOM.random(500) < 0.8, RANDOM.random(500) < 0.7
    found, expected = compare_means(a, b), paired_bootstrap(a, b)
    assert found["difference"] == pytest.approx(expected["difference"])
    np.testing.assert_allclose(found["interval95"], expected["interval95"], atol=0.005)
    assert found["verdict"] == "significant"
    assert compare_means(a, a)["verdict"] == "not significant"
    with pytest.raises(ValueError, match="values_a, values_b: expected two shapes"):
        compare_means(a, b[:10])


def test_figures_are_drawn_for_few_and_for_many_runs(tmp_path):
    for count in (1, 9):
        names = [f"a_run_of_some_name-cpu-seed{i}" for i in range(count)]
        plot_by_severity({name: {0: 0.9, 1: 0.8, 5: 0.4} for name in names}, "Accuracy", "accuracy", tmp_path / "a.png")
        table = RANDOM.random((len(STANDARD), count))
        plot_accuracy_table(table, STANDARD, names, "Accuracy", "", tmp_path / "b.png")
        rows = [
            {"run": name, "images": 5, "attack": attack, "epsilon": epsilon, "accuracy": 0.5}
            for name in names
            for attack, epsilon in (("none", 0), ("fgsm", 1), ("pgd_10", 1))
        ]
        plot_attacks(rows, tmp_path / "c.png")
        assert all((tmp_path / f"{letter}.png").stat().st_size > 5000 for letter in "abc")


@pytest.mark.parametrize(("images", "title"), [((5, 5), "Under attack, 5 images: "), ((5, 9), "Under attack: ")])
def test_a_figure_of_attacks_has_the_number_of_images_that_all_runs_share(tmp_path, monkeypatch, images, title):
    titles = []
    monkeypatch.setattr("matplotlib.figure.Figure.suptitle", lambda figure, text: titles.append(text))
    rows = [
        {"run": f"run{count}", "images": count, "attack": attack, "epsilon": epsilon, "accuracy": 0.5}
        for count in images
        for attack, epsilon in (("none", 0), ("fgsm", 1))
    ]
    plot_attacks(rows, tmp_path / "attacks.png")
    assert titles[0].startswith(title)
