"""Quality against cost, with the line through the points that no other betters in both."""

from itertools import pairwise
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import Bbox

from tfcifar.reporting.style import GREY, log_scale, new_figure

PLACES = [  # of a label, in points from its marker, nearest first
    (x * step, y * step, align)
    for step in (1, 2, 3.5)
    for x, y, align in (
        (0, 11, "center"), (0, -11, "center"), (8, 0, "left"), (-8, 0, "right"),
        (7, 8, "left"), (7, -8, "left"), (-7, 8, "right"), (-7, -8, "right"),
    )
]  # fmt: skip
HALO = [withStroke(linewidth=3, foreground="white")]  # names stay legible over the line and the grid


def latencies(results: dict) -> tuple[int, int, dict[str, float]]:
    """Of a benchmark.json: its fewest threads, its smallest batch, and the median milliseconds with these by file."""
    threads, batch = min(results["threads"]), min(results["batch"])
    measured = [each for each in results["measurements"] if (each["threads"], each["batch"]) == (threads, batch)]
    return threads, batch, {each["file"]: each["p50_ms"] for each in measured}


def pareto(points: list[dict], more: bool) -> list[dict]:
    """Those of `points` than which none is at least as good in both, x (less is better) and y, and better in one."""
    best: list[dict] = []
    for point in sorted(points, key=lambda each: (each["x"], -each["y"] if more else each["y"])):
        if not best or (point["y"] > best[-1]["y"] if more else point["y"] < best[-1]["y"]):
            best.append(point)
    return best


def named(points: list[dict], more: bool) -> list[dict]:
    """Those of `points` that get their name in a figure: all on the line, and the best of each name."""
    line = pareto(points, more)
    best: dict[str, dict] = {}
    for point in sorted(points, key=lambda each: (-each["y"] if more else each["y"], each["x"])):
        best.setdefault(point["name"], point)
    return [point for point in points if point in line or point is best[point["name"]]]


def plot_pareto(points: list[dict], title: str, label: str, more: bool, kinds: dict[str, tuple], path: Path) -> None:
    """A marker for each point, the names of some (see `named`), and the line through the best of them.

    Args:
        points: `x`, `y`, `name`, `kind`.
        label: of the x axis; that of the y axis is the title.
        more: whether a larger y is better; those are fractions.
        kinds: colour and marker of each kind; its name is in the legend.
        path: the PNG to write, 1080 x 660 pixels.
    """
    with new_figure(path, 9, 5.5) as figure:
        ax = figure.subplots()
        line = pareto(points, more)
        ax.step([each["x"] for each in line], [each["y"] for each in line], where="post", color=GREY,
                linestyle="--", linewidth=1.4, label="Pareto line", zorder=1)  # fmt: skip
        for kind in dict.fromkeys(each["kind"] for each in points):
            own = [each for each in points if each["kind"] == kind]
            color, marker = kinds[kind]
            ax.scatter([each["x"] for each in own], [each["y"] for each in own], s=64, color=color, marker=marker,
                       edgecolor="white", zorder=2, label=kind)  # fmt: skip
        costs = [each["x"] for each in points]
        if max(costs) > 5 * min(costs):
            log_scale(ax, "x", costs)
        ax.margins(0.12)
        ax.set(title=title, xlabel=label)
        if more:
            ax.yaxis.set_major_formatter(PercentFormatter(1))
        figure.legend(loc="outside lower center", ncols=4)
        _write_names(figure, ax, points, named(points, more), line)


def _write_names(figure: Figure, ax: Axes, points: list[dict], chosen: list[dict], line: list[dict]) -> None:
    """Beside the markers of `chosen` the name of the network, once where several of it are close, over no other."""
    figure.draw_without_rendering()  # places are known only then

    def box_of(one: dict, other: dict, margin: float) -> Bbox:
        """In pixels, from one point to the other and `margin` beyond."""
        corners = ax.transData.transform([(one["x"], one["y"]), (other["x"], other["y"])])
        return Bbox([corners.min(0) - margin, corners.max(0) + margin])

    taken = [box_of(each, each, 7) for each in points]
    written: list[tuple[str, float, float]] = []
    for one, other in pairwise(line):
        corner = {"x": other["x"], "y": one["y"]}
        taken += [box_of(one, corner, 2), box_of(corner, other, 2)]
    for point in chosen:
        own = box_of(point, point, 7)
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
