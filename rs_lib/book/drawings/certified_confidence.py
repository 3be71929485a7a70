"""Figures of the chapter on certified confidence."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from rs_lib.book import style
from rs_lib.book.drawings import common

NAMED: dict[str, tuple[float, str]] = {
    "0 or 1": (0.85, "left below"),
    "probit": (1.7, "right above"),
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
        place = (0.02 * most, 0.75 * most) if silent else (0.62 * most, 0.5 * most)
        common.beside(axes, place, name.replace("margin ", "margin\n"), look["color"], "right")
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


def digits(data: pd.DataFrame) -> Figure:
    """Average radii, a row for each certificate and a colour for each question.

    Columns: panel, series (the question), certificate, value, low, high.
    """
    names = list(dict.fromkeys(data["certificate"]))
    figure, shown = common.panels(data, height=3.6)
    for place, (axes, title, own) in enumerate(shown):
        for index, (question, rows) in enumerate(common.parts(own)):
            heights = [-names.index(name) for name in rows["certificate"]]
            reach = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
            look = style.points(index) | {"capsize": 2, "elinewidth": 1}
            axes.errorbar(rows["value"], heights, xerr=reach, **look)
            for value, end, height in zip(rows["value"], rows["high"], heights, strict=True):
                common.beside(axes, (end, height), f"{value:.2f}", look["color"], fontsize=8)
            middle = sum(heights) / len(heights)
            common.beside(axes, (0.03 * _most(own), middle), question, look["color"], "right")
        axes.set(title=title, xlabel="average radius / σ")
        axes.set(xlim=(0, _most(own)), ylim=(0.6 - len(names), 0.6))
        told = names if style.narrow() or place == 0 else [""] * len(names)
        axes.set_yticks([-height for height in range(len(names))], told, fontsize=9)
    return figure


def _most(data: pd.DataFrame) -> float:
    return 1.22 * float(data["high"].max())


def mnist(data: pd.DataFrame) -> Figure:
    """Certified accuracy by several certificates, a panel for each question.

    Columns: panel, series, radius, share, low, high.
    """
    figure, shown = common.panels(data, height=3.7, share_y=True)
    for axes, title, own in shown:
        common.curves(axes, own, "radius", "share", shade=0.15)
        axes.set(title=title, xlabel="ℓ2 radius, in units of σ", xlim=(0, data["radius"].max()))
        common.shares(axes)
        common.legend_inside(axes, "lower left", fontsize=8)
    for axes, _, _ in shown[: len(shown) if style.narrow() else 1]:
        axes.set_ylabel("certified accuracy")
    return figure


def logs(data: pd.DataFrame) -> Figure:
    """Certified accuracy as published, and between two bounds, a panel for each kind of log.

    Columns: panel, series, radius, published, low, high.
    """
    named = common.parts(data, "panel")
    figure, every = common.tiles(len(named), 2, height=2.5)
    for axes, (title, own) in zip(every, named, strict=True):
        for index, (name, rows) in enumerate(common.parts(own)):
            look: dict[str, Any] = style.points(index) | {"linestyle": "-", "markersize": 2.5}
            axes.plot(rows["radius"], rows["published"], **{**look, "linestyle": "--"})
            axes.plot(rows["radius"], rows["low"], linewidth=0.9, **look)
            common.band(axes, rows, "radius", look["color"], 0.35)
            place, side = ((0.12, 0.05), "right")
            if index:
                place, side = ((1.0, float(rows["high"].iloc[4]) + 0.02), "right above")
            common.beside(axes, place, name, look["color"], side)
        axes.set(xlabel="radius", ylabel="certified accuracy", xlim=(0, 1.5))
        axes.set_title(title, fontsize=10)
        common.shares(axes, 0, 0.82)
    return figure
