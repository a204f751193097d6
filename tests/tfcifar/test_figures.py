"""Each figure becomes a whole PNG of README size, or no file at all."""

import math

import numpy as np
import pytest
from PIL import Image

from tfcifar.evaluation.calibration import reliability_bins
from tfcifar.evaluation.metrics import classification_metrics, softmax
from tfcifar.reporting import figures, style
from tfcifar.reporting.comparisons import plot_all_curves, plot_comparison
from tfcifar.reporting.reliability import plot_reliability
from tfcifar.reporting.style import new_figure


def judged(k, n=600):
    """Class names, logits, labels and metrics of a model that is often right; the last class has no examples."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, k - 1, n)
    logits = rng.normal(0, 2, (n, k)).astype("float32")
    logits[np.arange(n), labels] += 3
    names = [f"class_{i}_$a$" for i in range(k)]
    return names, logits, labels, classification_metrics(logits, labels, names)


def history(epochs, phases=("head", "fine-tune"), **changes):
    return [
        {"epoch": i + 1, "phase": phases[i * len(phases) // epochs], "learning_rate": 0.1 * (1 - i / epochs),
         "loss": 1 / (i + 1), "accuracy": 1 - 0.5 / (i + 1), "val_loss": 1 / (i + 1), "val_accuracy": 1 - 0.6 / (i + 1)}
        | changes
        for i in range(epochs)
    ]  # fmt: skip


def assert_readme_png(path):
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert 900 <= image.width <= 1200
        assert 200 <= image.height <= 1350
        assert len(np.unique(np.asarray(image.convert("L")))) > 10  # something is drawn
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # nothing temporary is left


@pytest.mark.parametrize("k", [3, 100])
@pytest.mark.parametrize("figure", ["confusion", "per_class", "reliability", "mistakes"])
def test_figures_of_a_run(tmp_path, figure, k):
    names, logits, labels, metrics = judged(k)
    path = tmp_path / "figures" / f"{figure}.png"  # the folder does not exist yet
    confidence, predicted = softmax(logits).max(1), logits.argmax(1)
    if figure == "confusion":
        figures.plot_confusion(metrics["confusion"], names, path)
    elif figure == "per_class":
        figures.plot_per_class(metrics["per_class"], path)
    elif figure == "reliability":
        plot_reliability(reliability_bins(confidence, predicted == labels), metrics["ece"], path)
    else:
        images = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8, 1 if k == 3 else 3), np.uint8)
        figures.plot_mistakes(images, labels, predicted, confidence, names, path, count=10)
    assert_readme_png(path)


def test_mistakes_of_a_perfect_model(tmp_path):
    labels, images = np.arange(3), np.zeros((3, 8, 8, 3), np.uint8)
    figures.plot_mistakes(images, labels, labels, np.ones(3), "abc", tmp_path / "mistakes.png")
    assert_readme_png(tmp_path / "mistakes.png")


@pytest.mark.parametrize(
    "rows",
    [
        history(1, ("train",)),
        history(12, ("head", "fine-tune top 30%", "fine-tune")),
        history(4, learning_rate=0.0),
        history(3, loss=math.nan, val_loss=math.nan, val_accuracy=math.nan),
    ],
    ids=["one epoch", "three phases", "no learning rate", "diverged"],
)
def test_curves(tmp_path, rows):
    figures.plot_curves(rows, tmp_path / "curves.png")
    assert_readme_png(tmp_path / "curves.png")


def test_figures_of_several_runs(tmp_path):
    runs = {f"run {i}": history(i) for i in range(1, 10)} | {"diverged": history(3, val_accuracy=math.nan)}
    plot_all_curves(runs, tmp_path / "a" / "all_curves.png")
    assert_readme_png(tmp_path / "a" / "all_curves.png")
    rows = [{"name": f"run {i}", "accuracy": 0.9 + i / 100, "low": 0.89, "high": 0.99} for i in range(3)]
    plot_comparison(rows, tmp_path / "b" / "comparison.png")
    assert_readme_png(tmp_path / "b" / "comparison.png")


def test_a_figure_that_fails_leaves_the_one_before_it_whole(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    path.write_bytes(b"the figure before")
    with pytest.raises(KeyError):
        figures.plot_curves([{"epoch": 1, "phase": "head", "val_accuracy": 0.5}], path)

    def disk_full(self, name, **kwargs):
        name.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", disk_full)
    with pytest.raises(OSError, match="disk full"), new_figure(path, 9, 3):
        pass
    assert path.read_bytes() == b"the figure before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("values", "expected"),
    [((2e-4, 0.08), ["0.0001", "0.001", "0.01", "0.1"]), ((0.03, 0.36), ["0.03", "0.1", "0.3"])],
)
def test_logarithmic_axes_have_plain_numbers_and_not_too_many(tmp_path, values, expected):
    with style.new_figure(tmp_path / "log.png", 3, 3) as figure:
        ax = figure.subplots()
        ax.scatter(values, (1, 2))
        style.log_scale(ax, "x", values)
        figure.draw_without_rendering()
        labels = [label.get_text() for label in ax.get_xticklabels()]
    assert set(expected) <= set(labels)
    assert not any("$" in label for label in labels)
