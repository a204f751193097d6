"""A page about one architecture: its graph as a picture, and its parts with shapes, parameters, MACs, fields."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from tfcifar.models.architecture import Part
from tfcifar.reporting.style import BLACK, BLUE, GREY, ORANGE, new_figure
from tfcifar.run_dir import write_text

ROW = 0.42  # inches a part


def write_page(name: str, description: str, why: str, parts: list[Part], folder: Path) -> str:
    """Write NAME.md and NAME.png into `folder`; return the text of the page.

    Args:
        why: the reasons for its design: the docstrings of what builds it.
    """
    plot_graph(parts, folder / f"{name}.png")
    text = (
        f"# {name}\n\n{description[0].upper()}{description[1:]}.\n\n{why}\n\n{table(parts)}\n\n"
        f"![the parts of {name} and how they are connected]({name}.png)\n"
    )
    write_text(folder / f"{name}.md", text)
    return text


def table(parts: list[Part]) -> str:
    """Markdown: a row for each part and their sum."""
    lines = ["| part | output | parameters | MACs | receptive field |", "|---|--:|--:|--:|--:|"]
    for part in parts:
        size = "all" if part.receptive_field is None else f"{part.receptive_field} px"
        shape = " x ".join("any" if each is None else str(each) for each in part.shape)
        lines.append(f"| {part.name} | {shape} | {part.parameters:,} | {part.macs:,} | {size} |")
    parameters, macs = sum(part.parameters for part in parts), sum(part.macs for part in parts)
    return "\n".join([*lines, f"| **sum** | | **{parameters:,}** | **{macs:,}** | |"])


def plot_graph(parts: list[Part], path: str | Path) -> None:
    """The parts as boxes from the top down, with arrows for what goes where; bars show their shares of the MACs.

    Args:
        parts: in the order of their calls.
        path: the PNG to write, 1080 pixels wide, 50 high for each part.
    """
    place = {part.name: -index for index, part in enumerate(parts)}
    most = max(part.macs for part in parts) or 1
    with new_figure(path, 9, 0.6 + ROW * len(parts)) as figure:
        ax = figure.subplots()
        ax.set(xlim=(0, 10), ylim=(-len(parts) + 0.4, 0.6))
        ax.axis("off")
        for part in parts:
            y = place[part.name]
            ax.add_patch(
                FancyBboxPatch((0.3, y - 0.28), 3.1, 0.56, "round,pad=0.02", facecolor="white", edgecolor=BLUE)
            )
            ax.text(0.45, y, part.name, va="center_baseline", fontsize=9, color=BLACK)
            shape = "x".join("?" if each is None else str(each) for each in part.shape)
            ax.text(3.3, y, shape, va="center_baseline", ha="right", fontsize=8, color=GREY)
            if part.macs:
                ax.barh(y, 3.2 * part.macs / most, left=5.2, height=0.5, color=BLUE, alpha=0.35)
                ax.text(5.25, y, f"{part.macs / 1e6:.3g} M MACs", va="center_baseline", fontsize=8, color=BLACK)
            for source in part.inputs:
                _arrow(ax, place[source], y)
        ax.set_title("Parts, their output, and their multiply-accumulates for one image")


def _arrow(ax: Axes, start: float, end: float) -> None:
    if start - end == 1:  # the next part
        ax.add_patch(
            FancyArrowPatch((1.8, start - 0.3), (1.8, end + 0.3), arrowstyle="-|>", mutation_scale=9, color=GREY)
        )
        return
    bend = "arc3,rad=-0.5"
    ax.add_patch(
        FancyArrowPatch(
            (3.45, start), (3.45, end), arrowstyle="-|>", mutation_scale=9, color=ORANGE, connectionstyle=bend
        )
    )
