"""Accuracy and calibration against latency and size, with the Pareto line: the files that no other betters in both."""

from itertools import pairwise
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter
from matplotlib.transforms import Bbox

from tfcifar.reporting.style import BLUE, GREEN, GREY, ORANGE, new_figure

COLORS = {"litert": BLUE, "onnxruntime": ORANGE, "keras": GREEN}
MARKERS = {"float32": "o", "int8": "s", "float16": "^", "bfloat16": "v", "dynamic": "D"}
LATENCY, SIZE = "ms", "MB"
# File -> (metric, more is better, what it is plotted against).
FIGURES = {
    "accuracy_latency.png": ("accuracy", True, LATENCY),
    "accuracy_size.png": ("accuracy", True, SIZE),
    "ece_latency.png": ("ece", False, LATENCY),
}
TITLES = {"accuracy": "Test accuracy", "ece": "Calibration error (test ECE, lower is better)"}
PLACES = [  # of a label, in points from its marker, nearest first
    (x * step, y * step, align)
    for step in (1, 2, 3.5)
    for x, y, align in (
        (0, 11, "center"), (0, -11, "center"), (8, 0, "left"), (-8, 0, "right"),
        (7, 8, "left"), (7, -8, "left"), (-7, 8, "right"), (-7, -8, "right"),
    )
]  # fmt: skip
HALO = [withStroke(linewidth=3, foreground="white")]  # names stay legible over the line and the grid


def plot_all(results: dict, output: Path, names: dict[str, str]) -> dict[str, str]:
    """Write those of FIGURES into `output` for which two cards or more have the metric; return their titles by file.

    Args:
        results: see `export.benchmark`; latencies are of the fewest threads and the smallest batch.
        names: of the runtimes, for people.
    """
    threads, batch = min(results["threads"]), min(results["batch"])
    latency = {
        each["file"]: each["p50_ms"]
        for each in results["measurements"]
        if (each["threads"], each["batch"]) == (threads, batch)
    }
    at = f"{threads} thread{'s' * (threads > 1)}, batch {batch}"
    labels = {LATENCY: f"median latency, ms ({at})", SIZE: "size of the file, MB"}
    titles = {}
    for file, (metric, more, against) in FIGURES.items():
        points = [
            {**each, "x": each["bytes"] / 1e6 if against == SIZE else latency[each["file"]], "y": each[metric]}
            for each in results["artifacts"]
            if each[metric] is not None and (against == SIZE or each["file"] in latency)
        ]
        (output / file).unlink(missing_ok=True)  # of an earlier benchmark
        if len(points) > 1:
            titles[file] = f"{TITLES[metric]} against {'size' if against == SIZE else 'latency'}"
            plot_pareto(points, titles[file], labels[against], more, names, output / file)
    return titles


def pareto(points: list[dict], more: bool) -> list[dict]:
    """Those of `points` than which none is at least as good in both, x (less is better) and y, and better in one."""
    best: list[dict] = []
    for point in sorted(points, key=lambda each: (each["x"], -each["y"] if more else each["y"])):
        if not best or (point["y"] > best[-1]["y"] if more else point["y"] < best[-1]["y"]):
            best.append(point)
    return best


def plot_pareto(points: list[dict], title: str, label: str, more: bool, names: dict[str, str], path: Path) -> None:
    """A marker for each point, with the name of its network, and the line through the best of them.

    Args:
        points: `x`, `y`, `name`, `runtime`, `precision`.
        more: whether a larger y is better.
        path: the PNG to write, 1080 x 660 pixels.
    """
    with new_figure(path, 9, 5.5) as figure:
        ax = figure.subplots()
        line = pareto(points, more)
        ax.step([each["x"] for each in line], [each["y"] for each in line], where="post", color=GREY,
                linestyle="--", linewidth=1.4, label="Pareto line", zorder=1)  # fmt: skip
        for runtime, precision in dict.fromkeys((each["runtime"], each["precision"]) for each in points):
            own = [each for each in points if (each["runtime"], each["precision"]) == (runtime, precision)]
            ax.scatter([each["x"] for each in own], [each["y"] for each in own], s=64, color=COLORS[runtime],
                       marker=MARKERS.get(precision, "X"), edgecolor="white", zorder=2,
                       label=f"{names[runtime]}, {precision or 'precision unknown'}")  # fmt: skip
        low, high = min(each["x"] for each in points), max(each["x"] for each in points)
        if high > 5 * low:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.margins(0.12)
        ax.set(title=title, xlabel=label)
        if more:
            ax.yaxis.set_major_formatter(PercentFormatter(1))
        figure.legend(loc="outside lower center", ncols=4)
        _write_names(figure, ax, points, line)


def _write_names(figure: Figure, ax: Axes, points: list[dict], line: list[dict]) -> None:
    """Beside each marker the name of its network, once where several of it are close, over no other."""
    figure.draw_without_rendering()  # places are known only then

    def box_of(one: dict, other: dict, margin: float) -> Bbox:
        """In pixels, from one point to the other and `margin` beyond."""
        corners = ax.transData.transform([(one["x"], one["y"]), (other["x"], other["y"])])
        return Bbox([corners.min(0) - margin, corners.max(0) + margin])

    markers = [box_of(each, each, 7) for each in points]
    taken = list(markers)
    written: list[tuple[str, float, float]] = []
    for one, other in pairwise(line):
        corner = {"x": other["x"], "y": one["y"]}
        taken += [box_of(one, corner, 2), box_of(corner, other, 2)]
    for point, own in zip(points, markers, strict=True):
        centre = (own.x0 + 7, own.y0 + 7)
        if any(name == point["name"] and abs(centre[0] - x) + abs(centre[1] - y) < 60 for name, x, y in written):
            continue
        written.append((point["name"], *centre))
        for x, y, align in PLACES:
            text = ax.annotate(point["name"], (point["x"], point["y"]), (x, y), textcoords="offset points", ha=align,
                               va="center", fontsize=9, path_effects=HALO)  # fmt: skip
            box = text.get_window_extent()
            inside = ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1 and ax.bbox.y0 <= box.y0 and box.y1 <= ax.bbox.y1
            if (inside and not any(box.overlaps(other) for other in taken)) or (x, y, align) == PLACES[-1]:
                taken.append(box)
                break
            text.remove()
