"""Figures of the chapter on certified confidence."""

import pandas as pd
from matplotlib.figure import Figure

from rs_lib.book import style
from rs_lib.book.drawings import common

NAMED: dict[str, tuple[float, str]] = {
    "0 or 1": (0.85, "left below"),
    "probit": (0.95, "right above"),
    "uniform on [0.4, 1]": (1.3, "right above"),
    "constant": (1.6, "above"),
}
"""Where each curve of `same_mean` is named: at which distance, on which side."""


def same_mean(data: pd.DataFrame) -> Figure:
    """Least means of scores against the distance. Columns: series, distance, mean."""
    figure, (axes,) = style.panels(height=3.4)
    axes.axhline(0.5, color=style.GREY, linewidth=0.8)
    for index, (name, rows) in enumerate(common.parts(data)):
        look = style.line(index)
        axes.plot(rows["distance"], rows["mean"], **look)
        at, side = NAMED[name]
        point = rows.iloc[int((rows["distance"] - at).abs().argmin())]
        common.beside(axes, (point["distance"], point["mean"]), name, look["color"], side)
    axes.set(xlabel="distance, in units of σ", ylabel="least mean score")
    axes.set(xlim=(0, data["distance"].max()), ylim=(0, 0.78))
    return figure


def pairs(data: pd.DataFrame) -> Figure:
    """Two certified radii of each law. Columns: series, margin, pairs."""
    figure, (axes,) = style.panels(height=3.6)
    most = 1.05 * float(data["pairs"].max())
    axes.plot([0, most], [0, most], color=style.GREY, linewidth=0.9)
    for index, (name, rows) in enumerate(common.parts(data)):
        look = style.points(index) | {"markersize": 4, "alpha": 0.7}
        axes.plot(rows["margin"], rows["pairs"], clip_on=False, zorder=3, **look)
        silent = not rows["margin"].any()
        place = (0.02 * most, 0.5 * most) if silent else (0.62 * most, 0.5 * most)
        common.beside(axes, place, name, look["color"], "right")
    axes.set(xlabel="radius by the margin / σ", ylabel="radius by pairs / σ")
    axes.set(xlim=(0, most), ylim=(0, most))
    return figure


def bands(data: pd.DataFrame) -> Figure:
    """What levels are worth. Columns: series, below (samples below the level, plus one), z."""
    figure, (axes,) = style.panels(height=3.4)
    sides = {"one level alone": "right above", "our band": "left below", "constant width": "below"}
    for index, (name, rows) in enumerate(common.parts(data)):
        look = style.line(index)
        axes.plot(rows["below"], rows["z"], **look)
        place = {"one level alone": 4, "our band": 12, "constant width": 6}[name]
        point = rows.iloc[int((rows["below"] - place).abs().argmin())]
        common.beside(axes, (point["below"], point["z"]), name, look["color"], sides[name])
    axes.set_xscale("log")
    axes.set(xlabel="samples below the level, plus one", ylabel="radius z / σ")
    axes.set(ylim=(0, 4.1))
    return figure
