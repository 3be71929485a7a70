"""The figures of the chapter on hypothesis-space shrinkage."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from rs_lib.book import style
from rs_lib.book.drawings import common

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
        title="uniform noise on [−r, r]",
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
    level = float(data.loc[data["series"] == "needed", "margin"].iloc[0])
    axes.axhline(level, color=style.BLACK, linewidth=0.9, linestyle=":")
    axes.text(
        drawn["sigma"].max(),
        level * 1.15,
        "what 100,000 samples can see",
        ha="right",
        va="bottom",
        fontsize=9.5,
    )
    axes.set(
        yscale="log",
        xlabel="σ, in distances of neighbouring labels",
        ylabel="best margin",
        ylim=(1e-5, 0.8),
        xlim=(0, drawn["sigma"].max()),
    )
    common.legend_beside(axes)
    return figure


def pairs(data: pd.DataFrame) -> Figure:
    """Pairs of images, one above the other.

    Columns: pair (its title), place ("upper" or "lower"), text, row, column, value in [0, 1].
    """
    figure, shown = common.gallery(data, "place", "pair", height=1.65, size=10)
    for axes, cells in shown:
        axes.set_xlabel(str(cells["text"].iloc[0]), fontsize=9.5)
    return figure


def feasible(data: pd.DataFrame) -> Figure:
    """Left: shares of images against a radius. Right: against the noise, with networks.

    Columns: panel ("radius" or "sigma"), series, kind ("line", or "network" with an interval), x,
    share, low, high.
    """
    figure, shown = common.panels(data, height=4.6, share_y=True)
    for axes, panel, own in shown:
        for index, (name, rows) in enumerate(common.parts(own)):
            look = style.line(index)
            if rows["kind"].iloc[0] == "line":
                axes.plot(rows["x"], rows["share"], label=name, **look)
                continue
            look["marker"] = style.MARKERS[index]
            common.whiskers(axes, rows["x"], rows, "share", label=name, **look)
        axes.set(xlim=(0, 1.5))
        _finish(axes, panel)
    figure.axes[0].set_ylabel("share of the test images")
    return figure


def _finish(axes: Axes, panel: str) -> None:
    label = {"radius": "radius r, in units of white", "sigma": "σ, in units of white"}
    axes.set_xlabel(label[panel])
    common.shares(axes, high=TOP)
    axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.16), fontsize=9, handlelength=2.6)


BOUNDS = {
    "at most": ("-", "at most"),
    "training": ("--", "at most, training set right"),
    "networks": (":", "networks"),
    "at least": ("-", "at least"),
}
"""Line and text of each kind of bound."""


def datasets(data: pd.DataFrame) -> Figure:
    """What can be fitted of several data sets.

    Columns: panel ("radius" or "sigma"), series, bound (a key of `BOUNDS`), x, share.
    """
    figure, shown = common.panels(data, height=5.0, share_y=True)
    for axes, panel, own in shown:
        for index, name in enumerate(("MNIST", "Fashion-MNIST", "CIFAR-10")):
            for bound, (dash, text) in BOUNDS.items():
                part = own[(own["series"] == name) & (own["bound"] == bound)]
                if len(part):
                    axes.plot(
                        part["x"],
                        part["share"],
                        label=f"{name}: {text}",
                        color=style.COLOURS[index],
                        linestyle=dash,
                        marker=style.MARKERS[index],
                        markevery=(2 * index, max(1, len(part) // 8)),
                    )
        axes.set(xlim=(0, own["x"].max()))
        _finish(axes, panel)
    figure.axes[0].set_ylabel("share of the test images")
    return figure


def accuracy(data: pd.DataFrame) -> Figure:
    """Natural accuracy of smoothed networks against the noise, a panel for each source.

    Columns: panel (its title), series, sigma, share, low, high; the series "matched" was trained
    with the noise that it is smoothed with.
    """
    named = common.parts(data, "panel")
    figure, every = common.tiles(len(named), 2, height=3.6)
    for axes, (name, own) in zip(every, named, strict=True):
        for index, (series, rows) in enumerate(common.parts(own)):
            marker = style.MARKERS[index % len(style.MARKERS)]
            look = style.line(index) | {"marker": marker, "elinewidth": 0.9}
            if series == "matched":
                look |= {"color": style.BLACK, "linestyle": "-", "linewidth": 2.4}
                look |= {"marker": "*", "markersize": 10}
            common.whiskers(axes, rows["sigma"], rows, "share", label=series, **look)
        axes.set(xlabel="σ of the smoothing", title=name, xlim=(-0.04, 1.04))
        common.shares(axes, high=TOP)
        common.legend_below(axes, -0.22, 0.48, ncols=2, handlelength=2.4, columnspacing=1.2)
    for axes in every[::2]:
        axes.set_ylabel("natural accuracy")
    return figure
