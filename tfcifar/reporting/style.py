"""How every figure looks, in one place: size, type, colours that colour-blind readers can tell apart."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from tfcifar.run_dir import write_whole

DPI = 120  # 9 inches are 1080 pixels: sharp at the width at which a README shows it

# Okabe and Ito 2008, "Color Universal Design": told apart with every common form of colour blindness.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
AMBER, SKY, BLACK = "#E69F00", "#56B4E9", "#222222"
GREY, LIGHT_GREY = "#767676", "#E6E6E6"
COLORS = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, BLACK)  # of lines, in turn

STYLE = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same figure on every machine
    "font.size": 10,
    "text.parse_math": False,  # a class may be called "$1_to_$5"
    "text.color": BLACK,
    "axes.prop_cycle": cycler(color=COLORS),
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelcolor": BLACK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LIGHT_GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": BLACK,
    "ytick.labelcolor": BLACK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "figure.constrained_layout.w_pad": 0.1,  # inches of air around each panel and at the edges
    "figure.constrained_layout.h_pad": 0.1,
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
}


@contextmanager
def new_figure(path: str | Path, width: float, height: float) -> Iterator[Figure]:
    """An empty figure, `width` x `height` inches, written to `path` (PNG) when the block ends without an error.

    Built without pyplot: no display, no global list of figures that grows with each call.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        write_whole(Path(path), lambda temporary: figure.savefig(temporary, dpi=DPI))


def line_styles() -> Iterator[str]:
    """A style for each line of a figure: another one where the colours begin again."""
    return cycle(style for style in ("-", "--", ":") for _ in COLORS)


def log_scale(ax: Axes, axis: str, values: Sequence[float]) -> None:
    """Make an axis ("x" or "y") logarithmic for `values` (above 0), with labels such as 0.03: powers need math text."""
    set_scale, own = (ax.set_xscale, ax.xaxis) if axis == "x" else (ax.set_yscale, ax.yaxis)
    set_scale("log")
    decades = np.log10(max(values) / min(values))
    own.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 1 else (1, 3) if decades < 2 else (1,), numticks=5))
    own.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    own.set_minor_formatter(NullFormatter())
