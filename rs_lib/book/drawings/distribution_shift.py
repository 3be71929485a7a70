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
    "bound": (0.957, "above"),
    "majority": (0.20, "below left"),
    "one vote": (0.40, "right above"),
    "any images": (0.20, "right above"),
    "any images, W₁": (0.0, ""),
}
"""Where each curve is named: at which height, on which side; otherwise in one panel, or not."""


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
            height, side = NAMED.get(f"{name}, {title}", NAMED[name])
            if side:  # where there is room; the other panel names the curve
                point = common.at_height(rows, "budget", "accuracy", height)
                common.beside(axes, point, name, look["color"], side)
        axes.set(title=title, xlabel="budget δ", xlim=(0, 1.02 * own["budget"].max()))
        common.percent(axes.yaxis)
        axes.set_ylim(0.4 if own["low"].min() > 0.4 else 0.0, 1.04 * own["high"].max())
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
        axes.set(title=title, xlabel="budget δ of W₂", ylim=(0, 1.12))
        common.percent(axes.yaxis)
        common.at_ends(axes, ends, gap=0.13)
    shown[0][0].set_ylabel("accuracy of these images")
    return figure
