"""Figures of the chapter on distribution shift."""

import pandas as pd
from matplotlib.figure import Figure

from rs_lib.book import style
from rs_lib.book.drawings import common

NAMED: dict[str, tuple[float, str]] = {
    "W∞": (0.55, "right above"),
    "W₂": (0.28, "right above"),
    "W₁": (0.08, "right above"),
    "exact": (0.80, "below left"),
    "first order": (0.97, "right above"),
    "bound with the exact loss": (0.90, "right above"),
    "best use": (0.30, "below left"),
    "W-FGSM, cross-entropy": (0.93, "above"),
    "W-PGD, cross-entropy": (0.86, "above"),
    "W-PGD, ReDLR": (0.65, "right above"),
    "majority": (0.22, "below left"),
    "one vote": (0.40, "right above"),
    "whatever the images": (0.20, "below left"),
}
"""Where each curve is named: at which height, on which side."""


def curves(data: pd.DataFrame) -> Figure:
    """Accuracy against the budget, a panel each, names beside the curves, bands where they are.

    Columns: panel (its title), series, budget, accuracy, low, high.
    """
    figure, shown = common.panels(data, height=3.4)
    for axes, title, own in shown:
        for index, (name, rows) in enumerate(common.parts(own)):
            look = style.line(index)
            axes.plot(rows["budget"], rows["accuracy"], **look)
            if (rows["low"] < rows["high"]).any():
                common.band(axes, rows, "budget", look["color"], 0.13)
            height, side = NAMED[name]
            point = common.at_height(rows, "budget", "accuracy", height)
            common.beside(axes, point, name, look["color"], side)
        axes.set(title=title, xlabel="budget δ", xlim=(0, data["budget"].max() * 1.02))
        axes.set_xlim(0, 1.02 * own["budget"].max())
        common.percent(axes.yaxis)
        axes.set_ylim(min(0.0, own["low"].min()), 1.02 * own["high"].max())
    shown[0][0].set_ylabel("accuracy that is left")
    return figure


def attacks(data: pd.DataFrame) -> Figure:
    """What attacks leave, beside the best use of the budget; a panel for each network.

    Columns: panel (its title), series, budget, accuracy.
    """
    figure, shown = common.panels(data, height=3.6)
    for axes, title, own in shown:
        ends = []
        for index, (name, rows) in enumerate(common.parts(own)):
            look = style.line(index)
            marker = None if name == "best use" else style.MARKERS[index]
            axes.plot(rows["budget"], rows["accuracy"], marker=marker, **look)
            ends.append(
                (float(rows["accuracy"].iloc[-1]), name.replace(", ", ",\n"), look["color"])
            )
        axes.set(title=title, xlabel="budget δ of W₂", ylim=(0, 1.02))
        common.percent(axes.yaxis)
        common.at_ends(axes, ends, gap=0.13)
    shown[0][0].set_ylabel("accuracy of these images")
    return figure
