"""The figures of the chapter on discrete noise."""

from itertools import product

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedLocator, NullLocator

from rs_lib.book import style
from rs_lib.book.drawings import common


def regions(data: pd.DataFrame) -> Figure:
    """Left: masses of the regions under both laws, what is bought solid. Right: all classifiers.

    Columns: panel ("regions", "classifier", "border" or "worst"), series, x, y, bought, text.
    Of a region, series is "P" or "Q", x its place, y its mass, bought the part of it that the worst
    classifier takes, and text (under P) its name and price, parted by "|". Of the other panels, x
    and y are the masses of A under P and Q; a border's series is "least" or "largest".
    """
    figure, (left, right) = style.panels(2, height=3.9)
    shown = data[data["panel"] == "regions"]
    for name, colour, shift in (("P", style.BLUE, -0.2), ("Q", style.VERMILION, 0.2)):
        rows = shown[shown["series"] == name]
        left.bar(
            rows["x"] + shift, rows["y"], 0.36, facecolor="none", edgecolor=colour, linewidth=1.2
        )
        left.bar(rows["x"] + shift, rows["bought"], 0.36, color=colour, edgecolor=colour)
        for x, mass in zip(rows["x"], rows["y"], strict=True):
            left.text(x + shift, mass + 0.012, f"{mass:g}", ha="center", fontsize=9, color=colour)
    named = shown[shown["series"] == "P"]
    texts = [str(text).split("|") for text in named["text"]]
    left.set_xticks(named["x"], [f"{name}\nprice {price}" for name, price in texts])
    left.set(ylabel="probability of the region", ylim=(0, 0.88), title="buy the cheapest first")
    left.tick_params(axis="x", length=0, labelsize=9.5)
    left.grid(visible=False, axis="x")
    left.legend(
        handles=[
            Patch(color=style.BLUE, label="at $x$"),
            Patch(color=style.VERMILION, label="at $x'$"),
            Patch(facecolor="none", edgecolor=style.BLACK, label="not bought"),
        ],
        loc="upper center",
        ncols=3,
        fontsize=9,
        columnspacing=1.0,
        handlelength=1.4,
    )
    every = data[data["panel"] == "classifier"]
    right.plot(every["x"], every["y"], ".", color="#999999", markersize=4)
    for name, colour, dash, x, y, side in (
        ("least", style.VERMILION, "-", 1.02, 0.025, "right"),
        ("largest", style.BLUE, "--", -0.01, 0.95, "left"),
    ):
        rows = data[(data["panel"] == "border") & (data["series"] == name)]
        right.plot(rows["x"], rows["y"], linestyle=dash, color=colour)
        right.text(x, y, name, ha=side, fontsize=9.5, color=colour)
    worst = data[data["panel"] == "worst"].iloc[0]
    right.plot(worst["x"], worst["y"], "D", color=style.BLACK, markersize=6)
    right.annotate(
        str(worst["text"]),
        (worst["x"], worst["y"]),
        xytext=(1.02, 0.14),
        ha="right",
        fontsize=9.5,
        arrowprops={"arrowstyle": "-", "color": style.BLACK, "shrinkB": 5},
    )
    right.axhline(0.5, color=style.BLACK, linewidth=0.8, linestyle=":")
    right.set(
        xlabel="probability of $A$ at $x$",
        ylabel="probability of $A$ at $x'$",
        xlim=(-0.02, 1.03),
        ylim=(-0.02, 1.02),
        title="every classifier of three bits",
    )
    return figure


def thresholds(data: pd.DataFrame) -> Figure:
    """Left: worst cases against the class probability. Right: what thresholds leave of 1.

    Columns: panel ("worst", "threshold", "missing" or "votes"), series, x, y. "threshold" holds the
    crossing of each curve of "worst" with 1/2; "missing" 1 - threshold by radius, "votes"
    1 - p_lower (y) after as many unanimous votes as series says.
    """
    figure, (left, right) = style.panels(2, height=3.9)
    crossings = data[data["panel"] == "threshold"]
    for index, (name, rows) in enumerate(common.parts(data[data["panel"] == "worst"])):
        look = style.line(index)
        left.plot(rows["x"], rows["y"], label=name, **look)
        own = crossings[crossings["series"] == name]
        left.plot(own["x"], own["y"], style.MARKERS[index], color=look["color"], markersize=6)
    left.axhline(0.5, color=style.BLACK, linewidth=0.8, linestyle=":")
    left.set(
        xlabel="probability of $A$ at $x$",
        ylabel="least probability of $A$ at $x'$",
        xlim=(0.5, 1.005),
        ylim=(-0.02, 1.02),
        title=r"the worst case, keep $\kappa$ = 0.8",
    )
    left.legend(loc="upper left", title="changed entries", ncols=2, fontsize=9, title_fontsize=9)
    common.curves(right, data[data["panel"] == "missing"], "x", "y", markers=True)
    for _, row in data[data["panel"] == "votes"].iterrows():
        right.axhline(row["y"], color=style.BLACK, linewidth=0.8, linestyle=":")
        right.text(12.4, row["y"] * 1.15, row["series"], fontsize=9)
    right.set(
        yscale="log",
        xlabel="changed entries $r$",
        ylabel="1 − threshold",
        xlim=(-0.3, 18.6),
        ylim=(2e-11, 1),
        title="what a certificate may miss",
    )
    right.set_xticks(range(0, 13, 2))
    right.legend(loc="lower left", title=r"keep $\kappa$", fontsize=9, title_fontsize=9)
    return figure


def _radius_axis(axes: Axes, top: float) -> None:
    ticks = [tick for tick in (0, 1, 2, 5, 10, 20, 50, 100, 200, 400) if tick <= top]
    axes.set_yscale("symlog", linthresh=2, linscale=0.9)
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(-0.12, top)


def ceilings(data: pd.DataFrame) -> Figure:
    """Left: largest radius of unanimous votes by the noise. Right: thresholds by the alphabet.

    Columns: panel ("keep" or "alphabet"), series, x (keep, or changed entries), y (largest radius,
    or threshold).
    """
    figure, (left, right) = style.panels(2, height=3.9)
    keep, alphabet = (data[data["panel"] == panel] for panel in ("keep", "alphabet"))
    for index, (name, rows) in enumerate(common.parts(keep)):
        left.plot(rows["x"], rows["y"], drawstyle="steps-mid", label=name, **style.line(index))
    _radius_axis(left, 420)
    left.set(
        xlabel=r"probability $\kappa$ of keeping a bit",
        ylabel="changed bits certified at most",
        title="when all votes agree",
    )
    left.legend(loc="upper right", title="votes", fontsize=9, title_fontsize=9)
    common.curves(right, alphabet, "x", "y", markers=True)
    right.axhline(1, color=style.BLACK, linewidth=0.8, linestyle=":")
    right.set(
        xlabel="changed entries $r$",
        ylabel="threshold",
        ylim=(0.49, 1.02),
        title="a tenth kept, the rest drawn anew",
    )
    common.whole(right.xaxis)
    right.legend(loc="lower right", title="values of an entry", fontsize=9, title_fontsize=9)
    return figure


def plane(data: pd.DataFrame) -> Figure:
    """Pairs of added and deleted ones that are certified, as cells: a row for each probability.

    Columns: panel (its title), series, added, deleted: for each number of additions, from 0 on,
    the most deletions that are certified together with them (-1: none).
    """
    panels, noises = common.parts(data, "panel"), common.parts(data)
    across = len(noises)
    figure, every = common.tiles(len(panels) * across, across, height=2.3, phone=2)
    for axes, ((panel, own), (noise, _)) in zip(every, product(panels, noises), strict=True):
        inside = own[(own["series"] == noise) & (own["deleted"] >= 0)]
        for x, top in zip(inside["added"], inside["deleted"], strict=True):
            for y in range(int(top) + 1):
                cell = Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=style.BLUE)
                cell.set(edgecolor="white", linewidth=0.7)
                axes.add_patch(cell)
        certified = own.loc[own["deleted"] >= 0, "added"]
        axes.set(xlim=(-0.5, certified.max() + 0.5), ylim=(-0.5, own["deleted"].max() + 0.5))
        axes.set_title(f"{noise}, {panel}", fontsize=9.5)
        common.whole(axes.xaxis)
        common.whole(axes.yaxis)
        axes.grid(visible=False)
    columns = 2 if style.narrow() else across
    for axes in every[-columns:]:
        axes.set_xlabel("ones added")
    for axes in every[::columns]:
        axes.set_ylabel("ones deleted")
    return figure
