"""The figures of the chapter on label flips."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rs_lib.book import style
from rs_lib.book.drawings import common


def radii(data: pd.DataFrame) -> Figure:
    """Both radii against the log failure for several q, and their ratio.

    Columns: series (a value of q), failure (-log of the failure probability), tight, kl.
    """
    figure, (left, right) = style.panels(2, height=3.5)
    for index, (name, rows) in enumerate(common.parts(data)):
        colour = style.COLOURS[index]
        left.plot(rows["failure"], rows["tight"], color=colour, label=f"q = {name}, tight")
        left.plot(
            rows["failure"], rows["kl"], color=colour, linestyle="--", label=f"q = {name}, KL"
        )
        shown = rows[rows["kl"] >= 10]
        # Whole numbers divided by whole numbers: points, for a line would only zigzag.
        right.plot(
            shown["failure"],
            shown["tight"] / shown["kl"],
            style.MARKERS[index],
            color=colour,
            markersize=2.4,
            label=f"q = {name}",
        )
    right.axhline(2, color=style.BLACK, linewidth=0.9)
    left.set(xlabel="minus log of the failure probability", ylabel="certified flips")
    left.legend(loc="upper left", fontsize=9)
    right.set(xlabel="minus log of the failure probability", ylabel="tight radius / KL radius")
    right.set(xscale="log", ylim=(1.45, 2.35))
    right.legend(loc="lower right", markerscale=2)
    return figure


def toys(data: pd.DataFrame) -> Figure:
    """Five radii of small rules with all label vectors asked, a row for each rule.

    Columns: toy, series, radius.
    """
    figure, (axes,) = style.panels(1, height=4.6)
    for toy, rows in common.parts(data, "toy"):
        axes.hlines(float(toy), rows["radius"].min(), rows["radius"].max(), color="#bbbbbb")
    for name, rows in common.parts(data):
        axes.plot(rows["radius"], rows["toy"], label=name, linestyle="none", **TOYS[name])
    toys_ = sorted(set(data["toy"]))
    axes.set(xlabel="flips", ylabel="rule", yticks=toys_, ylim=(max(toys_) + 0.6, min(toys_) - 0.6))
    axes.set_xlim(data["radius"].min() - 0.4, data["radius"].max() + 0.4)
    common.whole(axes.xaxis)
    axes.grid(visible=False, axis="y")
    common.legend_beside(figure, phone=1, fontsize=9, labelspacing=0.9)
    return figure


TOYS: dict[str, dict[str, Any]] = {
    "KL, Chernoff bound": {"marker": "<", "color": style.SKY, "markersize": 7},
    "KL, exact probability": {
        "marker": "s",
        "color": style.BLUE,
        "fillstyle": "none",
        "markersize": 12,
        "markeredgewidth": 1.4,
    },
    "tight, exact probability": {"marker": "D", "color": style.GREEN, "markersize": 5.5},
    "withstood by the smoothed rule": {
        "marker": "o",
        "color": style.BLACK,
        "fillstyle": "none",
        "markersize": 12,
        "markeredgewidth": 1.4,
    },
    "withstood without noise": {
        "marker": "|",
        "color": style.VERMILION,
        "markersize": 15,
        "markeredgewidth": 2.4,
    },
}
"""The mark of each radius of a toy; where several coincide, each is seen around or in the other."""


def share(data: pd.DataFrame) -> Figure:
    """Share of the exact radius of equal votes that a certificate reaches, against q.

    Columns: series, kind ("limit" or "votes"), flip, share.
    """
    figure, (axes,) = style.panels(1, height=3.3)
    common.curves(axes, data[data["kind"] == "limit"], "flip", "share")
    for index, (name, rows) in enumerate(common.parts(data[data["kind"] == "votes"])):
        axes.plot(
            rows["flip"],
            rows["share"],
            style.MARKERS[index],
            color=style.BLACK,
            fillstyle="none",
            label=name,
        )
    axes.axhline(1, color=style.GREY, linewidth=0.9)
    axes.set(xlabel="probability q of a flip", ylabel="share of the exact radius")
    axes.set_xscale("log")
    common.shares(axes, 0, 1.06)
    common.legend_beside(figure, fontsize=9.5)
    return figure


def _curve(axes: Axes, rows: pd.DataFrame, name: str, index: int) -> None:
    look = style.line(index)
    if name.startswith("without noise"):
        look = {"color": style.BLACK, "linestyle": "-"}
    axes.step(rows["radius"], rows["share"], where="pre", label=name, **look)
    common.band(axes, rows, "radius", look["color"], 0.13, step="pre")


def certified(data: pd.DataFrame) -> Figure:
    """Certified accuracy against the number of flips, on a logarithmic axis, a panel a problem.

    Columns: panel, series, kind ("ours" or "published"), radius, share, low, high (empty where
    unknown).
    """
    figure, shown = common.panels(data, height=4.9, share_y=True)
    for axes, panel, own in shown:
        for index, (name, rows) in enumerate(common.parts(own[own["kind"] == "ours"])):
            _curve(axes, rows, name, index - 1)
        for index, (name, rows) in enumerate(common.parts(own[own["kind"] == "published"])):
            look: dict[str, Any] = {"color": style.PURPLE, "markeredgecolor": style.BLACK}
            look |= {"markersize": 11, "markeredgewidth": 0.6, "clip_on": False, "zorder": 5}
            axes.plot(rows["radius"], rows["share"], ("*", "X", "P")[index], label=name, **look)
        axes.set(xscale="log", xlabel="flipped labels", title=panel)
        axes.set_xlim(0.9, 1.25 * own["radius"].max())
        common.shares(axes)
        common.legend_below(axes, -0.17)
    figure.axes[0].set_ylabel("certified accuracy")
    return figure


def penalties(data: pd.DataFrame) -> Figure:
    """Median number of flips withstood against the ridge penalty, a panel for each data set.

    Columns: panel, series, penalty, radius, low, high (a range that is drawn as a band, or
    empty), chosen (1 at the penalty in use), right (accuracy, on top).
    """
    figure, shown = common.panels(data, height=4.0)
    for axes, panel, own in shown:
        for index, (name, rows) in enumerate(common.parts(own)):
            look = style.line(index - 1)
            if index == 0:
                look = {"color": style.BLACK, "linestyle": "-"}
            if rows["low"].notna().any():
                known = rows[rows["low"].notna() & rows["high"].notna()]
                common.band(axes, known, "penalty", style.ORANGE, 0.45, label=name)
                continue
            marker = style.MARKERS[index]
            axes.plot(rows["penalty"], rows["radius"], marker=marker, label=name, **look)
        chosen = own.loc[own["chosen"] == 1, "penalty"].iloc[0]
        axes.axvline(chosen, color=style.GREY, linestyle=":", linewidth=1.2)
        axes.set(xscale="log", xlabel="ridge penalty λ", ylim=(-0.04 * own["radius"].max(), None))
        axes.set_title(f"{panel}; accuracy:")
        axes.margins(x=0.09)
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        _accuracies(axes, own[own["series"] == own["series"].iloc[0]])
    figure.axes[0].set_ylabel("flips, median image")
    common.common_legend(figure, figure.axes[0], columns=4, fontsize=9)
    return figure


def _accuracies(axes: Axes, rows: pd.DataFrame) -> None:
    """Write the accuracy at each penalty on an axis at the top."""
    top = axes.secondary_xaxis("top")
    top.set_xticks(rows["penalty"], [f"{right:.1%}" for right in rows["right"]], fontsize=7.5)
    top.minorticks_off()
    top.tick_params(length=2, pad=1)
    top.spines["top"].set_visible(False)


def samples(data: pd.DataFrame) -> Figure:
    """Most flips that unanimous votes of separately trained rules certify, against their number.

    Columns: series (a value of q), samples, radius.
    """
    figure, (axes,) = style.panels(1, height=3.3)
    common.curves(axes, data[data["radius"] > 0], "samples", "radius", markers=True)
    axes.set(xscale="log", yscale="log", xlabel="training runs", ylabel="certified flips")
    axes.yaxis.set_major_formatter("{x:g}")
    common.legend_beside(figure)
    return figure
