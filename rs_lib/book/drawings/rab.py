"""The figures of the chapter on noise on the training features."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import PercentFormatter

from rs_lib.book import style


def _by(data: pd.DataFrame, column: str = "series") -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), rows) for name, rows in data.groupby(column, sort=False)]


def _band(axes: Axes, rows: pd.DataFrame, look: dict[str, Any], label: str | None) -> None:
    axes.plot(rows["radius"], rows["share"], label=label, **look)
    some = rows[rows["share"] > 0]
    axes.fill_between(
        some["radius"], some["low"], some["high"], color=look["color"], alpha=0.12, linewidth=0
    )


def images(data: pd.DataFrame) -> Figure:
    """Pictures in a row, all on one grey scale. Columns: panel (its title), row, column, value."""
    parts = _by(data, "panel")
    figure, all_axes = style.panels(len(parts), height=7.2 / len(parts) + 0.45)
    for axes, (name, cells) in zip(all_axes, parts, strict=True):
        picture = cells.pivot_table(index="row", columns="column", values="value").to_numpy()
        axes.imshow(picture, cmap="gray_r", vmin=-1, vmax=2)
        axes.set(xticks=[], yticks=[])
        axes.set_title(name, fontsize=10)
        axes.grid(visible=False)
        for side in ("left", "bottom", "right", "top"):
            axes.spines[side].set_visible(True)
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
    for index, (name, rows) in enumerate(_by(curves[curves["series"] != "tie"])):
        right.plot(rows["x"], rows["y"], label=name, **style.line(index))
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
    for index, (name, rows) in enumerate(_by(data)):
        axes.plot(rows["models"], rows["radius"], label=name, **style.line(index))
    axes.set(xscale="log", xlabel="models N", ylabel="largest radius, in σ", ylim=(0, None))
    axes.legend(loc="upper left")
    return figure


def ties(data: pd.DataFrame) -> Figure:
    """Left: bucketed probability of the first half of equally far points. Right: bucketed radii.

    Columns: panel ("ties" or "digits"), series, x (number of points, or exact radius), y
    (probability, or bucketed less exact radius).
    """
    figure, (left, right) = style.panels(2, height=3.4)
    for index, (name, rows) in enumerate(_by(data[data["panel"] == "ties"])):
        left.plot(
            rows["x"], rows["y"], label=name, marker=style.MARKERS[index], **style.line(index)
        )
    left.axhline(0.5, color=style.BLACK, linewidth=1, label="truth")
    left.set(
        xscale="log",
        ylim=(0.45, 1.02),
        xlabel="points, all equally far",
        ylabel="probability of the first half",
        title="a tie, in buckets",
    )
    left.legend(loc="upper left")
    for index, (name, rows) in enumerate(_by(data[data["panel"] == "digits"])):
        look: dict[str, Any] = {"color": style.COLOURS[index], "alpha": 0.8, "label": name}
        right.plot(rows["x"], rows["y"], style.MARKERS[index], markersize=4, **look)
    right.axhline(0, color=style.BLACK, linewidth=1)
    right.set(
        xlabel="exact radius",
        ylabel="bucketed radius less exact",
        title="digits, one neighbour",
    )
    right.legend(loc="best", fontsize=9)
    return figure


def certified(data: pd.DataFrame) -> Figure:
    """Certified accuracy against the length of all patterns; a panel for each noise.

    Columns: panel, trigger, method ("hard votes" or "soft votes"), radius, share, low, high, and
    attack: the length of the patterns that were used, marked if the curves reach so far. Says so
    where there is no row.
    """
    parts = _by(data, "panel")
    figure, all_axes = style.panels(len(parts), height=3.9, share_y=True)
    for axes, (panel, own) in zip(all_axes, parts, strict=True):
        end = 1.3 * float(own.loc[own["share"] > 0, "radius"].max())
        for index, (trigger, rows) in enumerate(_by(own, "trigger")):
            colour, reach = style.COLOURS[index], float(rows["attack"].iloc[0])
            for method, dash in (("hard votes", "-"), ("soft votes", "--")):
                kept = rows[rows["method"] == method]
                if kept.empty:
                    continue
                look: dict[str, Any] = {"color": colour, "linestyle": dash, "linewidth": 1.6}
                name = f"{trigger} (used: {reach:.2f})" if method == "hard votes" else None
                _band(axes, kept, look, name)
            if reach <= end:
                look = {"color": colour, "markersize": 8, "clip_on": False, "zorder": 5}
                axes.plot([reach], [0], style.MARKERS[index], **look)
        if own["method"].notna().any():
            axes.plot([], [], color=style.BLACK, linestyle="--", label="soft votes")
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, fontsize=8.5)
        else:
            axes.text(0.5, 0.5, "not recorded yet", transform=axes.transAxes, ha="center", size=13)
        axes.set(xlabel="length of all patterns", title=panel, ylim=(0, 1.02))
        axes.set_xlim(0, end if end > 0 else None)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    all_axes[0].set_ylabel("certified accuracy")
    return figure


def neighbours(data: pd.DataFrame) -> Figure:
    """Certified accuracy of nearest neighbours; a panel for each data set.

    Columns: panel, series, radius, share, low, high. Says so where there is no row.
    """
    parts = _by(data, "panel")
    handles: list[Any] = []
    labels: list[Any] = []
    figure, all_axes = style.panels(len(parts), height=3.9, share_y=True)
    for axes, (panel, own) in zip(all_axes, parts, strict=True):
        if own["share"].notna().any():
            for index, (name, rows) in enumerate(_by(own)):
                _band(axes, rows, style.line(index), name)
            handles, labels = axes.get_legend_handles_labels()
        else:
            axes.text(0.5, 0.5, "not recorded yet", transform=axes.transAxes, ha="center", size=13)
        axes.set(
            xlabel="length of all patterns",
            title=panel.replace(", ", "\n", 1),
            ylim=(0, 1.02),
            xlim=(0, None),
        )
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    all_axes[0].set_ylabel("certified accuracy")
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure
