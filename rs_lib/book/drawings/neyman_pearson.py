"""The figures of the chapter on Neyman–Pearson radii."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from matplotlib.ticker import PercentFormatter

from rs_lib.book import style


def _by_series(data: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), rows) for name, rows in data.groupby("series", sort=False)]


def worst_case(data: pd.DataFrame) -> Figure:
    """Left: the half-space that loses most. Right: class probability against distance.

    Columns: series, distance (in σ), probability; the probability at distance 0 is common.
    """
    figure, (plane, curves) = style.panels(2)
    _half_space_picture(plane)
    for index, (name, rows) in enumerate(_by_series(data)):
        look = style.line(index)
        curves.plot(rows["distance"], rows["probability"], label=name, **look)
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
    axes.set(xlim=(-2.5, 3.6), ylim=(-2.3, 2.5), xticks=[], yticks=[], title="the worst classifier")
    axes.grid(visible=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def noise_laws(data: pd.DataFrame) -> Figure:
    """Left: radius against probability at standard deviation 1. Right: ℓ∞ radius by dimension.

    Columns: panel ("radius" or "dimension"), series, x, radius.
    """
    figure, (left, right) = style.panels(2)
    for axes, panel in ((left, "radius"), (right, "dimension")):
        for index, (name, rows) in enumerate(_by_series(data[data["panel"] == panel])):
            axes.plot(rows["x"], rows["radius"], label=name, **style.line(index))
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
    for index, (name, rows) in enumerate(_by_series(data)):
        axes.plot(rows["n"], rows["radius"], label=name, **style.line(index))
    axes.set(xscale="log", xlabel="samples n", ylabel="certified radius, in σ")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")
    return figure


def noisy_images(data: pd.DataFrame) -> Figure:
    """A row of pictures for each image: as it is, and under noise of each strength.

    Columns: image, panel, row, column, value (grey level), text (below the picture).
    """
    images, names = data["image"].unique(), list(dict.fromkeys(data["panel"]))
    figure, grid = style.grid(len(images), len(names), height=1.75 * len(images))
    for line, (_, pictures) in zip(grid, data.groupby("image", sort=False), strict=True):
        for axes, name in zip(line, names, strict=True):
            pixels = pictures[pictures["panel"] == name]
            picture = pixels.pivot_table(index="row", columns="column", values="value")
            axes.imshow(picture.to_numpy(), cmap="gray_r", vmin=-0.6, vmax=1.6)
            axes.set(xticks=[], yticks=[], xlabel=pixels["text"].iloc[0])
            axes.grid(visible=False)
    for axes, name in zip(grid[0], names, strict=True):
        axes.set_title(name)
    return figure


def certified_curves(data: pd.DataFrame) -> Figure:
    """Certified accuracy against the radius, a curve and a 95 % band for each series.

    Columns: panel, series, radius, share, low, high; one panel for each value of `panel`.
    """
    names = list(dict.fromkeys(data["panel"]))
    figure, all_axes = style.panels(len(names), height=3.5, share_y=True)
    for axes, panel in zip(all_axes, names, strict=True):
        for index, (name, rows) in enumerate(_by_series(data[data["panel"] == panel])):
            look = style.line(index)
            if name.startswith("undefended"):
                look = {"color": style.BLACK, "linestyle": "-", "marker": "x", "linewidth": 1.1}
            axes.plot(rows["radius"], rows["share"], label=name, **look)
            axes.fill_between(
                rows["radius"],
                rows["low"],
                rows["high"],
                color=str(look["color"]),
                alpha=0.15,
                linewidth=0,
            )
        axes.set(xlabel="ℓ2 radius", title=panel, ylim=(0, 1.02))
        alive = data.loc[data["share"] > 0.005, "radius"].max()
        axes.set_xlim(0, 1.06 * alive)
        axes.legend(loc="upper right")
    all_axes[0].set_ylabel("share of test images")
    all_axes[0].yaxis.set_major_formatter(PercentFormatter(1.0))
    return figure


def attacks(data: pd.DataFrame) -> Figure:
    """Left: measured against guaranteed class probability. Right: images that keep their class.

    Columns: series, multiple (of the certified radius), guaranteed, measured, at_most (an
    upper confidence bound on the measured probability); a row per attacked image and multiple.
    """
    figure, (left, right) = style.panels(2, height=3.6)
    left.plot([0, 1], [0, 1], color=style.BLACK, linewidth=0.9)
    left.fill_between([0, 1], [0, 1], [0, 0], color=style.VERMILION, alpha=0.08, linewidth=0)
    left.text(
        0.98, 0.36, "far below the line:\nguarantee broken", color=style.VERMILION, ha="right"
    )
    multiples = np.sort(data["multiple"].unique())
    for index, (name, rows) in enumerate(_by_series(data)):
        look = style.line(index)
        left.plot(
            rows["guaranteed"],
            rows["measured"],
            linestyle="none",
            marker=style.MARKERS[index],
            color=look["color"],
            alpha=0.45,
            markersize=3.2,
            label=name,
        )
        kept = [(rows.loc[rows["multiple"] == m, "at_most"] >= 0.5).mean() for m in multiples]
        right.plot(multiples, kept, marker=style.MARKERS[index], label=name, **look)
    right.axvspan(0, 1, color=style.GREEN, alpha=0.12, linewidth=0)
    right.text(0.06, 0.06, "certified", color=style.GREEN)
    left.set(
        xlabel="guaranteed class probability",
        ylabel="measured at the attacked point",
        xlim=(0, 1.01),
        ylim=(0, 1.02),
    )
    right.set(
        xlabel="attack radius, in certified radii",
        ylabel="images not shown to flip",
        xlim=(0, multiples.max() * 1.03),
        ylim=(0, 1.04),
    )
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    left.legend(loc="lower right", handletextpad=0.1)
    return figure
