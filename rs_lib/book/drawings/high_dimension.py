"""Figures of the chapter on high-dimensional instability."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rs_lib.book import style
from rs_lib.book.drawings import common

WALL = "one wall"
"""The series of the law."""


SETS = {64: "digits", 784: "MNIST", 3072: "CIFAR-10", 150_528: "ImageNet"}
"""Data sets by the dimension of their images."""


def slab(data: pd.DataFrame) -> Figure:
    """Points of a sphere, seen along the wall, a panel for each dimension.

    Columns: panel, x, y (in units of the wall's distance), flipped.
    """
    figure, shown = common.panels(data, height=2.75)
    reach = 1.08 * float(data["y"].abs().max())
    for axes, title, own in shown:
        axes.axvspan(1, reach, color=style.VERMILION, alpha=0.1, linewidth=0)
        axes.axvline(1, color=style.BLACK, linewidth=1.1)
        for flipped, colour in ((0, style.BLUE), (1, style.VERMILION)):
            rows = own[own["flipped"] == flipped]
            look: dict[str, Any] = {
                "color": colour,
                "marker": "s" if flipped else "o",
                "alpha": 0.7,
            }
            look |= {"linestyle": "none", "markersize": 2.6, "markeredgewidth": 0}
            axes.plot(rows["x"], rows["y"], **look)
        axes.plot(0, 0, color=style.BLACK, marker="+", markersize=9)
        axes.set(title=title, xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        axes.set_xlabel("towards the wall, in r")
    for axes, _, _ in shown[: len(shown) if style.narrow() else 1]:
        axes.set_ylabel("another coordinate, in r")
    return figure


def ratio(data: pd.DataFrame) -> Figure:
    """Norm ratios against the dimension, a curve for each flip probability, and their limits.

    Columns: series, dim, ratio, limit.
    """
    figure, (axes,) = style.panels(height=3.6)
    axes.set(xscale="log", yscale="log", xlim=(2, data["dim"].max()), ylim=(1, 1e3))
    ends = []
    for index, (name, rows) in enumerate(common.parts(data)):
        colour = style.line(index)["color"]
        axes.plot(rows["dim"], rows["ratio"], color=colour)
        axes.plot(rows["dim"], rows["limit"], color=colour, linewidth=1, linestyle=(0, (2, 2)))
        ends.append((float(rows["ratio"].iloc[-1]), name, colour))
    for place, name in SETS.items():
        axes.axvline(place, color=style.GREY, linewidth=0.8)
        spot, side = ((place, 1.0), "left above") if place > 1e5 else ((place, 1e3), "left below")
        common.beside(axes, spot, name, style.GREY, side, rotation=90, fontsize=8)
    common.at_ends(axes, ends)
    axes.set(xlabel="dimension d", ylabel="length of the noise, in r")
    return figure


def networks(data: pd.DataFrame) -> Figure:
    """Flip rates of networks against the norm ratio, a panel for each data set.

    Columns: panel, series, ratio, value, low, high; no flip at all is an arrow down from `high`.
    """
    figure, shown = common.panels(data, height=3.7, share_y=True)
    every = [name for name in dict.fromkeys(data["series"]) if name != WALL]
    for axes, title, own in shown:
        axes.set(title=title, yscale="log", ylim=(1e-7, 6), xscale="log")
        axes.set(xlabel="length of the noise, in r", xlim=(own["ratio"].min() * 0.85, None))
        law, rest = own[own["series"] == WALL], own[own["series"] != WALL]
        axes.plot(law["ratio"], law["value"].clip(lower=1e-12), color=style.BLACK, linewidth=1.2)
        point = common.at_height(law, "ratio", "value", 3e-6)
        common.beside(axes, point, WALL, style.BLACK, "right")
        for place, (name, rows) in enumerate(common.parts(rest)):
            index = every.index(name)
            _network(axes, rows, index, 1 + 0.03 * (2 * place - 1))
            height, colour = 0.95 - 0.075 * place, style.COLOURS[index]
            axes.text(0.06, height, name, color=colour, va="center", transform=axes.transAxes)
        places = sorted(set(rest["ratio"]))
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.minorticks_off()
    for axes, _, _ in shown[: len(shown) if style.narrow() else 1]:
        axes.set_ylabel("share that errs")
    return figure


def _network(axes: Axes, rows: pd.DataFrame, index: int, shift: float) -> None:
    some, none = rows[rows["value"] > 0], rows[rows["value"] == 0]
    look = style.line(index) | {"marker": style.MARKERS[index], "linewidth": 1.2, "markersize": 4}
    common.whiskers(axes, some["ratio"] * shift, some, "value", **look)
    for _, row in none.iterrows():
        axes.annotate(
            "",
            (row["ratio"] * shift, row["high"] / 6),
            xytext=(row["ratio"] * shift, row["high"]),
            arrowprops={"arrowstyle": "->", "color": look["color"], "linewidth": 1.2},
        )


CURVES = {"10": (-0.2, "right"), "100": (0.2, "left")}
"""At which height a curve of `walls` is named, and on which side; the others at their ends."""


def walls(data: pd.DataFrame) -> Figure:
    """What smoothing certifies, over the distance: curves for k walls, and images of networks.

    Columns: panel, series, kind (curve or image), x, value, low, high.
    """
    figure, shown = common.panels(data, height=3.9, share_y=True)
    every = list(dict.fromkeys(data.loc[data["kind"] == "image", "series"]))
    for axes, title, own in shown:
        for name, rows in common.parts(own[own["kind"] == "curve"]):
            axes.plot(rows["x"], rows["value"], color=style.BLACK, linewidth=1)
            height, side = CURVES.get(name, (float(rows["value"].iloc[-1]), "right"))
            end = (float(rows["x"].iloc[-1]), height)
            point = common.at_height(rows, "x", "value", height) if name in CURVES else end
            common.beside(axes, point, name, style.BLACK, side, fontsize=8)
        for place, (name, rows) in enumerate(common.parts(own[own["kind"] == "image"])):
            index = every.index(name)
            look = style.points(index) | {"alpha": 0.55, "markersize": 2.6}
            common.whiskers(axes, rows["x"], rows, "value", **look, elinewidth=0.5, capsize=0)
            spot = (0.62, 1.3 - 0.08 * place)
            common.beside(axes, spot, name, style.COLOURS[index], "right", fontsize=8)
        axes.set(title=title, xlim=(0.05, 1.32), ylim=(-0.45, 1.36))
        axes.set_xlabel("σ, in units of r")
    for axes, _, _ in shown[: len(shown) if style.narrow() else 1]:
        axes.set_ylabel("σΦ⁻¹(p) / r")
    return figure


def half_balls(data: pd.DataFrame) -> Figure:
    """Two classes without and with training noise; then the densities of their first coordinate.

    Columns: panel, kind (points or curve), series, x, y.
    """
    figure, shown = common.panels(data, height=2.9)
    for axes, title, own in shown:
        axes.axvline(0, color=style.BLACK, linewidth=1.1)
        for index, (name, rows) in enumerate(common.parts(own)):
            look = style.points(index) | {"alpha": 0.6, "markersize": 2.4, "markeredgewidth": 0}
            if rows["kind"].iloc[0] == "points":
                axes.plot(rows["x"], rows["y"], **look)
                continue
            line = style.line(index // 2) | {"linewidth": 2.2 if index % 2 else 1.0}
            axes.plot(rows["x"], rows["y"], **line)
            peak = rows.iloc[int(rows["y"].argmax())]
            if name and index < 2:
                side = "left" if index == 0 else "left above"
                common.beside(axes, (peak["x"], peak["y"]), name, line["color"], side, fontsize=8)
        axes.set(title=title, xlabel="x₁")
        if own["kind"].iloc[0] == "points":
            axes.set(aspect="equal", xlim=(-1.9, 1.9), ylim=(-1.6, 1.6))
        else:
            axes.set(yticks=[], ylim=(0, None), box_aspect=1.6 / 1.9)
    for axes, _, _ in shown[: 2 if style.narrow() else 1]:
        axes.set_ylabel("x₂")
    return figure
