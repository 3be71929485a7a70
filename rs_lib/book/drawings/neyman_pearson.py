"""The figures of the chapter on Neyman–Pearson radii."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from rs_lib.book import style
from rs_lib.book.drawings import common


def worst_case(data: pd.DataFrame) -> Figure:
    """Left: the half-space that loses most. Right: class probability against distance.

    Columns: series, distance (in σ), probability; the probability at distance 0 is common.
    """
    figure, (plane, curves) = style.panels(2)
    _half_space_picture(plane)
    common.curves(curves, data, "distance", "probability")
    curves.axhline(0.5, color=style.BLACK, linewidth=0.8)
    crossing = data[data["probability"] > 0.5].groupby("series")["distance"].max().min()
    curves.annotate(
        "no classifier\nfalls faster",
        (crossing, 0.5),
        (0.1, 0.13),
        textcoords="axes fraction",
        arrowprops={"arrowstyle": "->", "color": style.BLACK},
    )
    curves.set(
        xlabel="distance moved, in σ",
        ylabel="probability of the class",
        ylim=(0, 1.22),
        yticks=np.linspace(0, 1, 6),
        title="what a shift can do",
    )
    curves.legend(loc="upper right")
    return figure


def _half_space_picture(axes: Axes) -> None:
    axes.set_aspect("equal")
    boundary, shift = 1.0, 1.6
    axes.add_patch(Rectangle((-4, -4), 4 + boundary, 8, color=style.SKY, alpha=0.25, linewidth=0))
    axes.axvline(boundary, color=style.BLUE)
    for centre, colour, dashes in ((0.0, style.BLUE, "-"), (shift, style.VERMILION, "--")):
        for radius in (0.6, 1.2, 1.8):
            axes.add_patch(
                Circle((centre, 0), radius, fill=False, edgecolor=colour, linestyle=dashes)
            )
    axes.annotate(
        "",
        (shift, 0),
        (0, 0),
        arrowprops={"arrowstyle": "-|>", "color": style.BLACK, "shrinkA": 0, "shrinkB": 0},
    )
    for x, text in ((0.0, "$x$"), (shift, r"$x+\delta$")):
        axes.text(x, -0.12, text, ha="center", va="top")
    axes.text(-2.35, 2.0, "classified as $A$", color=style.BLUE)
    axes.text(boundary + 0.12, 2.0, "anything else")
    common.bare(axes, framed=False)
    axes.set(xlim=(-2.5, 3.6), ylim=(-2.3, 2.5), title="the worst classifier")


def noise_laws(data: pd.DataFrame) -> Figure:
    """Left: radius against probability at standard deviation 1. Right: ℓ∞ radius by dimension.

    Columns: panel ("radius" or "dimension"), series, x, radius.
    """
    figure, (left, right) = style.panels(2)
    for axes, panel in ((left, "radius"), (right, "dimension")):
        common.curves(axes, data[data["panel"] == panel], "x", "radius")
        axes.legend()
    left.set(
        xlabel="lower bound on the class probability",
        ylabel="ℓ1 radius / standard deviation",
        title="a density peaked at 0 pays late",
    )
    right.set(
        xscale="log",
        yscale="log",
        xlabel="dimension d",
        ylabel="ℓ∞ radius / standard deviation",
        title="ℓ∞ radii shrink with the dimension",
    )
    return figure


def ceiling(data: pd.DataFrame) -> Figure:
    """Certified radius against the number of samples, for class probabilities and unanimous votes.

    Columns: series, n, radius (in σ).
    """
    figure, (axes,) = style.panels(1, height=3.4)
    common.curves(axes, data, "n", "radius")
    axes.set(xscale="log", xlabel="samples n", ylabel="certified radius, in σ")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")
    return figure


def noisy_images(data: pd.DataFrame) -> Figure:
    """A row of pictures for each image: as it is, and under noise of each strength.

    Columns: image, panel, row, column, value (0 white, 1 black), text (below the picture).
    """
    figure, shown = common.gallery(data, "image", "panel", height=1.75, more=0.3)
    for axes, cells in shown:
        common.tell(axes, cells)
    common.grey_key(figure)
    return figure


def certified_curves(data: pd.DataFrame) -> Figure:
    """Certified accuracy against the radius, a curve and a 95 % band for each series.

    Columns: panel, series, radius, share, low, high; one panel for each value of `panel`.
    """
    figure, shown = common.panels(data, height=3.5, share_y=True)
    for axes, panel, own in shown:
        for index, (name, rows) in enumerate(common.parts(own)):
            look = style.line(index)
            if name.startswith("undefended"):
                look = {"color": style.BLACK, "linestyle": "-", "marker": "x", "linewidth": 1.1}
            axes.plot(rows["radius"], rows["share"], label=name, **look)
            common.band(axes, rows, "radius", look["color"], 0.15)
        axes.set(xlabel="ℓ2 radius", title=panel, ylim=(0, 1.02))
        alive = data.loc[data["share"] > 0.005, "radius"].max()
        axes.set_xlim(0, 1.06 * alive)
        common.legend_inside(axes, "upper right")
    figure.axes[0].set_ylabel("share of test images")
    common.percent(figure.axes[0].yaxis, decimals=None)
    return figure


def beside_published(data: pd.DataFrame) -> Figure:
    """Certified accuracy at the radii of a table, ours and published, with 95 % intervals.

    Columns: panel, series ("ours" first), radius, share, low, high; one panel for each value of
    `panel`.
    """
    figure, shown = common.panels(data, height=3.5, share_y=True)
    for axes, panel, own in shown:
        step = own["radius"].drop_duplicates().sort_values().diff().min()
        for index, (name, rows) in enumerate(common.parts(own)):
            look = style.line(index) | {"marker": style.MARKERS[index], "markersize": 4}
            x = rows["radius"] + (index - 0.5) * 0.08 * step
            common.whiskers(axes, x, rows, "share", label=name, **look)
        axes.set(xlabel="ℓ2 radius", title=panel, ylim=(0, 1.02))
    figure.axes[0].set_ylabel("share of test images")
    common.percent(figure.axes[0].yaxis, decimals=None)
    common.common_legend(figure, figure.axes[0], columns=2)
    return figure


def attacks(data: pd.DataFrame) -> Figure:
    """Left: measured against guaranteed class probability. Right: images that keep their class.

    Columns: series, multiple (of the certified radius), guaranteed, measured, at_most (an
    upper confidence bound on the measured probability); a row per attacked image and multiple.
    """
    figure, (left, right) = style.panels(2, height=3.6)
    common.guarantee(left, data, 0.36)
    multiples = np.sort(data["multiple"].unique())
    for index, (name, rows) in enumerate(common.parts(data)):
        kept = [(rows.loc[rows["multiple"] == m, "at_most"] >= 0.5).mean() for m in multiples]
        marker = style.MARKERS[index]
        right.plot(multiples, kept, marker=marker, label=name, **style.line(index))
    right.axvspan(0, 1, color=style.GREEN, alpha=0.12, linewidth=0)
    right.text(0.06, 0.06, "certified", color=style.GREEN)
    left.set_ylabel("measured at the attacked point")
    right.set(
        xlabel="attack radius, in certified radii",
        ylabel="images not shown to flip",
        xlim=(0, multiples.max() * 1.03),
        ylim=(0, 1.04),
    )
    common.percent(right.yaxis, decimals=None)
    left.legend(loc="lower right", handletextpad=0.1)
    return figure
