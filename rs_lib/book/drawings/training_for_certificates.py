"""Figures of the chapter on training for certificates."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rs_lib.book import style
from rs_lib.book.drawings import common


def scores(data: pd.DataFrame) -> Figure:
    """Training methods in one score a panel, a row of dots for each series.

    Several series are named, and their dots joined; a single one has a line at its first method.
    Columns: panel (its title), series, method, value, low, high.
    """
    methods = list(dict.fromkeys(data["method"]))
    figure, shown = common.panels(data, height=3.5)
    for axes, title, own in shown:
        several = own["series"].nunique() > 1
        if not several:
            axes.axhline(own["value"].iloc[0], color=style.GREY, linewidth=0.9)
        for index, (name, rows) in enumerate(common.parts(own)):
            places = pd.Series([methods.index(method) for method in rows["method"]])
            look = style.line(index) | {"linewidth": 0.8, "marker": style.MARKERS[index]}
            look |= {} if several else {"linestyle": "none"}
            common.whiskers(axes, places, rows.reset_index(), "value", **look)
            if several:
                last = (float(places.iloc[-1]), float(rows["value"].iloc[-1]))
                common.beside(axes, last, name, look["color"], "right")
        axes.set_xticks(range(len(methods)), methods, rotation=40, ha="right", fontsize=9)
        axes.set(title=title, ylim=(0, 1.08 * own["high"].max()))
        axes.set(xlim=(-0.5, len(methods) + (0.4 if several else -0.5)))
    return figure


NAMED: dict[str, tuple[float, str]] = {
    "cross-entropy": (-0.7, "right"),
    "worst case in a ball": (-0.9, "below left"),
    "certified radius": (4.4, "above"),
    "MACER": (2.6, "below"),
    "vote margin": (0.0, "left above"),
}
"""Where each curve of `slopes` is named: at which z, on which side."""


def slopes(data: pd.DataFrame) -> Figure:
    """What objectives gain per unit of z. Columns: series, z, slope."""
    figure, (axes,) = style.panels(height=3.4)
    for index, (name, rows) in enumerate(common.parts(data)):
        look = style.line(index)
        axes.plot(rows["z"], rows["slope"], **look)
        at, side = NAMED[name]
        point = rows.iloc[int((rows["z"] - at).abs().argmin())]
        text = name.replace("case in", "case\nin")
        common.beside(axes, (point["z"], point["slope"]), text, look["color"], side)
    axes.set(xlabel="z = Φ⁻¹ of the probability of the label", ylabel="slope, 1 at z = ½")
    axes.set(xlim=(data["z"].min(), data["z"].max()), ylim=(-0.05, 3.2))
    return figure


def budgets(data: pd.DataFrame) -> Figure:
    """How far one method is ahead of another, against the number of samples.

    Columns: series, n, gain, low, high (shares of the other's score).
    """
    figure, (axes,) = style.panels(height=3.2)
    for index, (name, rows) in enumerate(common.parts(data)):
        look = style.line(index)
        axes.plot(rows["n"], rows["gain"], marker=style.MARKERS[index], label=name, **look)
        common.band(axes, rows, "n", look["color"], 0.15)
        first = rows.iloc[0]
        side = "right above" if first["gain"] > 0 else "right below"
        common.beside(axes, (first["n"], first["gain"]), name, look["color"], side)
    axes.axhline(0, color=style.BLACK, linewidth=0.9)
    axes.set_xscale("log")
    axes.set(xlabel="samples n for each image", ylabel="CAT-RS over SmoothMix, ACR")
    common.percent(axes.yaxis, 1)
    return figure


def gains(data: pd.DataFrame) -> Figure:
    """Who gains: what each group of images adds to the score, a row for each method.

    Columns: method, group, gain.
    """
    methods, groups = (list(dict.fromkeys(data[name])) for name in ("method", "group"))
    table = data.pivot_table(index="method", columns="group", values="gain")
    cells = table.loc[methods, groups].to_numpy()
    figure, (axes,) = style.panels(height=3.4)
    most = float(np.abs(cells).max())
    axes.imshow(cells, cmap="RdBu", vmin=-2 * most, vmax=2 * most, aspect="auto")
    _numbers(axes, cells)
    names = [group.replace(" ", "\n") for group in groups]
    axes.set_xticks(range(len(groups)), names, fontsize=7.5 if style.narrow() else 9)
    axes.set_yticks(range(len(methods)), methods)
    axes.set_xlabel("by the radius under Gaussian training")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _numbers(axes: Axes, cells: Any) -> None:
    """Write each cell's number into it."""
    size = 7.5 if style.narrow() else 9
    for (row, column), value in np.ndenumerate(cells):
        text = f"{value:+.3f}".replace("-", "−")
        axes.text(column, row, text, ha="center", va="center", fontsize=size)
