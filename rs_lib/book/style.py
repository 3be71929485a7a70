"""The look of every figure: colours for all eyes, lines that differ by more than colour."""

from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette, without its yellow, which is too pale for lines on white.
BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, BLACK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#222222",
)
GREY, PALE, UNSEEN = "#8a8a8a", "#cfe3f3", "#9fc9e6"
"""For what is beside the point, for areas, and for pixels that a model does not see."""
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P")

WIDTH, PHONE = 7.2, 3.75
"""Widths of a figure in inches: the book's, and the column of a phone that is 390 pixels wide."""

RC: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#666666",
    "axes.grid": True,
    "axes.labelsize": 11,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11.5,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.wspace": 0.06,
    "figure.facecolor": "white",
    "figure.figsize": (WIDTH, 3.3),
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "mathtext.fontset": "dejavusans",
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
}

PHONE_RC: dict[Any, Any] = {
    **RC,
    "axes.labelsize": 10,
    "axes.titlesize": 10.5,
    "figure.figsize": (PHONE, 3.0),
    "font.size": 9.5,
    "legend.fontsize": 9,
}


def narrow() -> bool:
    """Return whether figures are drawn for a phone: panels below each other, not in a row."""
    return bool(mpl.rcParams["figure.figsize"][0] == PHONE)


def width() -> float:
    """Return the width of a figure in inches: the book's, or that of a phone's column."""
    return PHONE if narrow() else WIDTH


def panels(
    count: int = 1, *, height: float = 3.3, share_y: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` panels in a row of this height; on a phone in a column."""
    rows, columns = (count, 1) if narrow() else (1, count)
    size = (width(), height * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharey=share_y)
    return figure, list(axes.flat)


def grid(rows: int, columns: int, *, height: float) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with a grid of panels, the same on paper and on a phone."""
    figure, axes = plt.subplots(rows, columns, figsize=(width(), height), squeeze=False)
    return figure, [list(row) for row in axes]


def line(index: int) -> dict[str, Any]:
    """Return colour and dash pattern of the series with this index."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": LINES[index % len(LINES)]}


def points(index: int) -> dict[str, Any]:
    """Return colour and marker of the series with this index, for points without a line."""
    return {"color": COLOURS[index], "linestyle": "none", "marker": MARKERS[index]}
