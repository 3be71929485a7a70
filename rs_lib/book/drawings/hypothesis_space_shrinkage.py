"""The figures of the chapter on hypothesis-space shrinkage."""

from itertools import product
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from rs_lib.book import style
from rs_lib.book.drawings import common
from rs_lib.book.pictures import frames_say

TOP = 1.03
"""Where axes of shares end."""


def strips(data: pd.DataFrame) -> Figure:
    """Hypotheses on a cycle, unrolled, a panel each: a row for each radius of the noise.

    Columns: panel (its title), k, point, label (0 or 1).
    """
    figure, shown = common.panels(data, height=2.3)
    for axes, name, cells in shown:
        table = cells.pivot_table(index="k", columns="point", values="label").to_numpy()
        colours = mpl.colors.ListedColormap([style.PALE, style.BLUE])
        axes.pcolormesh(table, cmap=colours, vmin=0, vmax=1, edgecolors="white", linewidth=0.8)
        common.bare(axes, framed=False)
        axes.set(title=name, yticks=np.arange(len(table)) + 0.5)
        axes.set_yticklabels([str(k) for k in range(len(table))], fontsize=9)
        axes.invert_yaxis()
        axes.tick_params(length=0)
        axes.set_xlabel("points of the cycle", fontsize=9.5)
    figure.axes[0].set_ylabel("radius k of the noise")
    return figure


def sizes(data: pd.DataFrame) -> Figure:
    """Hypotheses that are left, and those that do not change, against the radius of the noise.

    Columns: panel ("image" or "fixed"), series, k, share (of all hypotheses).
    """
    titles = {"image": "left after smoothing", "fixed": "not changed by smoothing"}
    figure, shown = common.panels(data, height=3.8, share_y=True)
    for axes, panel, own in shown:
        common.curves(axes, own, "k", "share", markers=True)
        axes.set(yscale="log", xlabel="radius k of the noise, steps", title=titles[panel])
        common.whole(axes.xaxis)
        axes.yaxis.set_minor_locator(NullLocator())
    figure.axes[0].set_ylabel("share of all hypotheses")
    common.common_legend(figure, figure.axes[0], columns=4)
    return figure


def intervals(data: pd.DataFrame) -> Figure:
    """Left: the smoothed vote of an interval. Right: the length that is left.

    Columns: panel ("vote" or "length"), series, x (place, or largest or typical step; in lengths),
    y (vote, or the share of the length that is left).
    """
    figure, (left, right) = style.panels(2, height=3.7)
    common.curves(left, data[data["panel"] == "vote"], "x", "y")
    left.axhline(0.5, color=style.BLACK, linewidth=0.8)
    left.axvspan(0, 1, color=style.PALE, alpha=0.6, linewidth=0)
    left.set(
        xlabel="place; the interval is [0, 1]",
        ylabel="probability of the interval",
        ylim=(-0.02, 1.02),
        title="uniform noise on [−λ, λ]",
    )
    common.curves(right, data[data["panel"] == "length"], "x", "y")
    right.set(
        xlabel="standard deviation / length",
        ylabel="length that is left",
        title="what is left of the interval",
    )
    common.shares(right, high=TOP)
    for axes in (left, right):
        common.legend_below(axes, ncols=2, fontsize=10)
    return figure


def _best_in_words(rows: pd.DataFrame) -> str:
    base, points, margin = (
        rows[rows["part"] == part] for part in ("hypothesis", "point", "margin")
    )
    steps = common.listed(f"{x:.2f}" for x in base["x"].iloc[1:-1])
    votes = common.listed(
        f"{vote:.3f} (label {label:.0f})"
        for vote, label in zip(points["y"], points["label"], strict=True)
    )
    return (
        f"The best hypothesis changes its label at {steps}. Under noise it has the votes {votes} "
        f"at the labelled points, a margin of {margin['y'].iloc[0]:.4f}."
    )


@frames_say(_best_in_words)
def best(data: pd.DataFrame) -> Figure:
    """The best hypothesis for five labels and its smoothed vote, a panel for each noise.

    Columns: frame (the noise), part ("hypothesis": steps from x on; "vote": a curve;
    "point": a labelled point with its vote; "margin": the best margin), x, y.
    """
    frames = common.parts(data, "frame")
    single = len(frames) == 1
    if single:
        figure, every = style.panels(1, height=3.4)
    else:
        figure, every = common.tiles(len(frames), min(3, len(frames)), height=2.0, more=0.3)
    for axes, (name, own) in zip(every, frames, strict=True):
        _best(axes, own, small=not single)
        margin = float(own.loc[own["part"] == "margin", "y"].iloc[0])
        axes.set_title(f"{name}: margin {margin:.4f}", fontsize=11.5 if single else 9.5)
    return figure


def _best(axes: Axes, rows: pd.DataFrame, *, small: bool) -> None:
    base, vote, points = (rows[rows["part"] == part] for part in ("hypothesis", "vote", "point"))
    axes.fill_between(base["x"], base["y"], step="post", color=style.PALE, linewidth=0)
    axes.plot(vote["x"], vote["y"], color=style.BLUE, linewidth=1.8)
    axes.axhline(0.5, color=style.BLACK, linewidth=0.7)
    for offset, (label, marker, colour) in enumerate(
        ((0, "s", style.VERMILION), (1, "o", style.GREEN))
    ):
        own = points[(points["label"] == label)]
        axes.plot(own["x"], own["y"], marker, color=colour, markersize=6, zorder=3 + offset)
    axes.set(xlim=(-1.5, 5.5), ylim=(-0.03, 1.03), xticks=range(5))
    if small:
        axes.tick_params(labelsize=8)
    else:
        axes.set(xlabel="place", ylabel="vote under noise")


def margins(data: pd.DataFrame) -> Figure:
    """Best margins for alternating labels against the noise, by the number of labels.

    Columns: series, sigma (in spacings), margin; "needed" rows carry a level to read off.
    """
    figure, (axes,) = style.panels(1, height=4.3)
    drawn = data[data["series"] != "needed"]
    common.curves(axes, drawn, "sigma", "margin")
    low = 1e-5
    axes.set(
        yscale="log",
        xlabel="σ, in distances of neighbouring labels",
        ylabel="best margin",
        ylim=(low, 0.8),
        xlim=(0, drawn["sigma"].max()),
    )
    level = float(data.loc[data["series"] == "needed", "margin"].iloc[0])
    axes.axhline(level, color=style.BLACK, linewidth=0.9, linestyle=":")
    # Below all curves.
    seen = "least that 100,000\nsamples can see"
    common.beside(axes, (0.0, level), seen, style.BLACK, va="top")
    ends = []
    for index, (name, rows) in enumerate(common.parts(drawn)):
        last, colour = rows.iloc[-1], style.COLOURS[index]
        if last["sigma"] < drawn["sigma"].max():
            inside = common.at_height(rows, "sigma", "margin", 20 * low)
            common.beside(axes, inside, f"labels {name}", colour, "left")
        else:
            ends.append((float(last["margin"]), name, colour))
    common.at_ends(axes, ends)
    return figure


def pairs(data: pd.DataFrame) -> Figure:
    """Pairs of images, one above the other.

    Columns: pair (its title), place ("upper" or "lower"), text, row, column, value in [0, 1].
    """
    figure, shown = common.gallery(data, "place", "pair", height=1.65, size=10)
    for axes, cells in shown:
        common.tell(axes, cells, 9.5)
    return figure


BOUNDS: dict[str, dict[str, Any]] = {
    "at most": {"color": style.BLUE, "linestyle": "-"},
    "training": {"color": style.VERMILION, "linestyle": "--"},
    "at least": {"color": style.GREEN, "linestyle": "-."},
    "networks": {"color": style.BLACK, "linestyle": ":", "marker": "o"},
}
"""The look of each kind of bound, and of what networks reach."""
TEXTS = {"training": "at most, training set right"}
NOISE = {"radius": "radius r, in units of white", "sigma": "σ, in units of white"}

PLACES: dict[str, tuple[dict[str, Any], float, str, str]] = {
    "at most": (BOUNDS["at most"], 0.85, "right", "at most"),
    "at most, training set right": (
        BOUNDS["training"],
        0.6,
        "left",
        "at most,\ntraining\nset right",
    ),
    "at least": (BOUNDS["at least"], 0.3, "right", "at least"),
    "at most, margin 0.49": (BOUNDS["at most"], 0.5, "below right", "at most, margin 0.49"),
    "at most, margin 0.4": (
        BOUNDS["at most"] | {"linestyle": (0, (1, 1))},
        0.65,
        "right",
        "at most,\nmargin 0.4",
    ),
    "at least, some margin": (BOUNDS["at least"], 0.15, "right", "at least,\nsome margin"),
    "at least, margin 0.4": (
        BOUNDS["at least"] | {"linestyle": (0, (1, 1))},
        0.25,
        "left",
        "at least,\nmargin\n0.4",
    ),
    "networks, plurality": (BOUNDS["networks"], 0.0, "right", "networks,\nplurality"),
}
"""Look of each series of `feasible`, and height, side and text of its name."""


def feasible(data: pd.DataFrame) -> Figure:
    """Left: shares of images against a radius. Right: against the noise, with networks.

    Columns: panel ("radius" or "sigma"), series (a key of `PLACES`), kind ("line", or "network"
    with an interval), x, share, low, high.
    """
    figure, shown = common.panels(data, height=3.9, share_y=True)
    for axes, panel, own in shown:
        for name, rows in common.parts(own):
            look, height, side, text = PLACES[name]
            if rows["kind"].iloc[0] == "line":
                axes.plot(rows["x"], rows["share"], **look)
            else:
                common.whiskers(axes, rows["x"], rows, "share", **look)
            point = common.at_height(rows, "x", "share", height)
            common.beside(axes, point, text, look["color"], side)
        axes.set(xlim=(0, 1.5), xlabel=NOISE[panel])
        common.shares(axes, high=TOP)
    figure.axes[0].set_ylabel("share of the test images")
    return figure


def datasets(data: pd.DataFrame) -> Figure:
    """What can be fitted of several data sets: a row of them for the radius, one for the noise.

    Columns: panel ("radius" or "sigma"), series, bound (a key of `BOUNDS`), x, share.
    """
    panels, names = common.parts(data, "panel"), ("MNIST", "Fashion-MNIST", "CIFAR-10")
    count, across = len(panels) * len(names), len(names)
    figure, every = common.tiles(count, across, height=2.4, more=0.4)
    for axes, ((panel, own), name) in zip(every, product(panels, names), strict=True):
        mine = own[own["series"] == name]
        for bound, look in BOUNDS.items():
            rows = mine[mine["bound"] == bound]
            if len(rows):
                axes.plot(rows["x"], rows["share"], label=TEXTS.get(bound, bound), **look)
        axes.set(xlim=(0, own["x"].max()), title=name)
        axes.set_xlabel(NOISE[panel], fontsize=9.5)
        common.shares(axes, high=TOP)
    for axes in every[::across]:
        axes.set_ylabel("share of test images")
    common.common_legend(figure, every[0], every[across], columns=4)
    return figure


def accuracy(data: pd.DataFrame) -> Figure:
    """Natural accuracy of smoothed networks against the noise, a panel for each source.

    Columns: panel (its title), series, sigma, share, low, high; the series "matched" was trained
    with the noise that it is smoothed with. Two points are no curve: they get no line. The legend
    has the place that five panels leave in two rows of three.
    """
    named = common.parts(data, "panel")
    figure, every = common.tiles(len(named), 3, height=2.4, more=0.1)
    fixed = sorted(set(data["series"]) - {"matched"}, key=lambda name: float(name.split()[-1]))
    for axes, (name, own) in zip(every, named, strict=True):
        for series, rows in common.parts(own):
            if series == "matched":
                look: dict[str, Any] = {"color": style.BLACK, "linestyle": "-", "linewidth": 2.4}
                look |= {"marker": "*", "markersize": 10}
            else:
                index = fixed.index(series)
                look = style.line(index) | {"marker": style.MARKERS[index], "elinewidth": 0.9}
            if len(rows) < 3:
                look["linestyle"] = "none"
            common.whiskers(axes, rows["sigma"], rows, "share", label=series, **look)
        axes.set(xlabel="σ of the smoothing", title=name, xlim=(-0.04, 1.04))
        common.shares(axes, high=TOP)
    for axes in every[::3]:
        axes.set_ylabel("natural accuracy")
    common.common_legend(figure, *every, columns=1, fontsize=9, loc="lower right")
    return figure
