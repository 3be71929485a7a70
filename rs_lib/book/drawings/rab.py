"""The figures of the chapter on noise on the training features."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from rs_lib.book import style
from rs_lib.book.drawings import common


def images(data: pd.DataFrame) -> Figure:
    """Images in a row. Columns: panel (its title), row, column, value (0 white, 1 black)."""
    named = common.parts(data, "panel")
    across = 2 if style.narrow() else len(named)
    height = style.width() / across
    figure, every = common.tiles(len(named), across, height=height, more=0.6, phone=2)
    for axes, (name, cells) in zip(every, named, strict=True):
        common.image(axes, cells)
        axes.set_title(name, fontsize=10)
    common.grey_key(figure)
    return figure


def worst(data: pd.DataFrame) -> Figure:
    """Left: the worst learner, in the plane of two training features. Right: what it answers.

    Columns: panel, series, x, y. Panel "plane": series "from" and "to" are the centres of both
    laws, "answer" and "rival" the offsets of the half-spaces along the shift (in x). Panel
    "curve": y is the probability of the series at a shift of length x; "tie" is one point.
    """
    figure, (left, right) = style.panels(2, height=3.6)
    plane = data[data["panel"] == "plane"].set_index("series")[["x", "y"]]
    start, stop = (plane.loc[name].to_numpy(dtype=float) for name in ("from", "to"))
    offsets = plane["x"].to_numpy(dtype=float)
    edges = dict(zip(plane.index, offsets.tolist(), strict=True))
    unit = (stop - start) / np.linalg.norm(stop - start)
    across = np.array([-unit[1], unit[0]])
    reach = 9.0
    for name, sign, colour, hatch in (
        ("answer", -1, style.BLUE, "//"),
        ("rival", 1, style.VERMILION, "\\\\"),
    ):
        edge = start + edges[name] * unit
        corners = [edge + reach * across, edge - reach * across]
        corners += [corner + sign * reach * unit for corner in reversed(corners)]
        left.fill(*np.array(corners).T, facecolor=colour, alpha=0.18, edgecolor=colour, hatch=hatch)
    for centre, dash in ((start, "-"), (stop, "--")):
        for radius in (1, 2):
            place = (float(centre[0]), float(centre[1]))
            left.add_patch(Circle(place, radius, fill=False, linestyle=dash, color=style.BLACK))
    arrow: dict[str, Any] = {"arrowstyle": "-|>", "color": style.BLACK, "linewidth": 1.6}
    left.annotate("", xy=(stop[0], stop[1]), xytext=(start[0], start[1]), arrowprops=arrow)
    box: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
    left.text(-1.9, -2.3, "answers A", color=style.BLUE, bbox=box)
    left.text(1.9, 2.7, "answers B", color=style.VERMILION, bbox=box)
    left.set(
        xlim=(-3, 4.4),
        ylim=(-3, 3.8),
        aspect="equal",
        xlabel="feature of the first example, in σ",
        ylabel="… of the second",
        title="the worst learner",
    )
    curves = data[data["panel"] == "curve"]
    common.curves(right, curves[curves["series"] != "tie"], "x", "y")
    tie = curves[curves["series"] == "tie"]
    right.plot(tie["x"], tie["y"], "o", color=style.BLACK, markersize=6, label="R")
    right.set(
        xlabel="length of the patterns, in σ",
        ylabel="probability",
        ylim=(0, 1),
        title="what it answers",
    )
    right.legend(loc="upper right")
    return figure


def caps(data: pd.DataFrame) -> Figure:
    """The largest radius that N unanimous models certify. Columns: series, models, radius."""
    figure, (axes,) = style.panels(1, height=3.1)
    common.curves(axes, data, "models", "radius")
    axes.set(xscale="log", xlabel="models N", ylabel="largest radius, in σ", ylim=(0, None))
    axes.legend(loc="upper left")
    return figure


def ties(data: pd.DataFrame) -> Figure:
    """Left: bucketed probability of the first half of equally far points. Right: bucketed radii.

    Columns: panel ("ties" or "digits"), series, x (number of points, or exact radius), y
    (probability, or bucketed less exact radius).
    """
    figure, (left, right) = style.panels(2, height=3.4)
    tied = data[data["panel"] == "ties"]
    common.curves(left, tied, "x", "y", markers=True)
    left.axhline(0.5, color=style.BLACK, linewidth=1)
    left.set(
        xscale="log",
        ylim=(0.45, 1.02),
        xlabel="points, all equally far",
        ylabel="probability of the first half",
        title="a tie, in buckets",
    )
    ends = [
        (float(rows["y"].iloc[-1]), name.split()[0] if index else name, style.COLOURS[index])
        for index, (name, rows) in enumerate(common.parts(tied))
    ]
    common.at_ends(left, [*ends, (0.5, "truth", style.BLACK)], gap=0.08)
    for index, (name, rows) in enumerate(common.parts(data[data["panel"] == "digits"])):
        # Colours that are not those of the buckets.
        look: dict[str, Any] = {
            "color": (style.ORANGE, style.SKY)[index],
            "marker": style.MARKERS[3 + index],
        }
        look |= {"linestyle": "none", "alpha": 0.9, "markersize": 4.5}
        right.plot(rows["x"], rows["y"], label=name, **look)
    right.axhline(0, color=style.BLACK, linewidth=1)
    right.set(
        xlabel="exact radius",
        ylabel="bucketed radius less exact",
        title="digits, one neighbour",
    )
    common.legend_below(right, ncols=2, handletextpad=0.1)
    return figure


VOTES: dict[str, dict[str, Any]] = {
    "hard votes": {"color": style.BLUE, "linestyle": "-"},
    "soft votes": {"color": style.VERMILION, "linestyle": "--"},
}


def certified(data: pd.DataFrame) -> Figure:
    """Certified accuracy against the length of all patterns; a row of attacks for each noise.

    Columns: panel, trigger, method (a key of `VOTES`), radius, share, low, high, and
    attack: the length of the patterns that were used, marked if the curves reach so far.
    """
    noises, triggers = common.parts(data, "panel"), common.parts(data, "trigger")
    count, across = len(noises) * len(triggers), len(triggers)
    figure, every = common.tiles(count, across, height=2.2, more=0.4, phone=2)
    for axes, ((noise, own), (trigger, _)) in zip(every, product(noises, triggers), strict=True):
        end = 1.15 * float(own.loc[own["share"] > 0, "radius"].max())
        shown = own[own["trigger"] == trigger]
        for method, rows in common.parts(shown, "method"):
            look = VOTES[method]
            axes.plot(rows["radius"], rows["share"], label=method, **look)
            common.band(axes, rows[rows["share"] > 0], "radius", look["color"], 0.15)
        used = float(shown["attack"].iloc[0])
        axes.text(0.98, 0.9, f"used: {used:.2f}", ha="right", transform=axes.transAxes, size=9)
        if used <= end:
            axes.plot([used], [0], "^", color=style.BLACK, markersize=8, clip_on=False, zorder=5)
        axes.set(xlim=(0, end if end > 0 else None))
        axes.set_title(f"{trigger}, {noise}", fontsize=10)
        common.shares(axes, low=0)
    across = 2 if style.narrow() else across
    for axes in every[-across:]:
        axes.set_xlabel("length of patterns", size=9.5)
    if style.narrow():
        for axes in every:
            axes.xaxis.set_major_formatter("{x:g}")  # a long last one would leave the picture
    for axes in every[::across]:
        axes.set_ylabel("certified accuracy", size=9.5)
    common.common_legend(figure, every[0], columns=2)
    return figure


def neighbours(data: pd.DataFrame) -> Figure:
    """Certified accuracy of nearest neighbours; a panel for each data set.

    Columns: panel, series, radius, share, low, high; a series "…, by buckets" is drawn thin.
    """
    figure, shown = common.panels(data, height=3.9, share_y=True)
    for axes, panel, own in shown:
        named = common.parts(own)
        for index, (name, rows) in enumerate(named):
            if name.endswith("by buckets"):
                thin: dict[str, Any] = {
                    "color": style.BLACK,
                    "linestyle": ":",
                    "linewidth": 1.2,
                    "zorder": 4,
                }
                axes.plot(rows["radius"], rows["share"], label=name, **thin)
                continue
            look = style.line(index)
            axes.plot(rows["radius"], rows["share"], label=name, **look)
            place, some = (index, len(named)), rows[rows["share"] > 0]
            common.some_whiskers(axes, some, "radius", "share", place, color=look["color"])
        axes.set(
            xlabel="length of all patterns", title=panel.replace(", ", "\n", 1), xlim=(0, None)
        )
        common.shares(axes, low=0)
    figure.axes[0].set_ylabel("certified accuracy")
    common.common_legend(figure, *figure.axes, columns=4)
    return figure
