"""The figures of the chapter on randomized ablation."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from rs_lib.book import style
from rs_lib.book.drawings.samples_to_certificates import RULES

UNSEEN = "#9ecae1"


def _by_series(data: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), rows) for name, rows in data.groupby("series", sort=False)]


def views(data: pd.DataFrame) -> Figure:
    """A row of pictures for each image: the scan, and a view at each number of pixels kept.

    Columns: image, panel, row, column, value (grey level), seen, text (below the picture).
    """
    images, names = data["image"].unique(), list(dict.fromkeys(data["panel"]))
    figure, grid = style.grid(len(images), len(names), height=1.75 * len(images))
    for line, (_, pictures) in zip(grid, data.groupby("image", sort=False), strict=True):
        for axes, name in zip(line, names, strict=True):
            pixels = pictures[pictures["panel"] == name]
            value, seen = (
                pixels.pivot_table(index="row", columns="column", values=column).to_numpy()
                for column in ("value", "seen")
            )
            axes.imshow(value, cmap="gray_r", vmin=0, vmax=1)
            holes = np.where(seen > 0, np.nan, 1.0)
            axes.imshow(holes, cmap=ListedColormap([UNSEEN]))
            axes.set(xticks=[], yticks=[], xlabel=pixels["text"].iloc[0])
            axes.grid(visible=False)
    for axes, name in zip(grid[0], names, strict=True):
        axes.set_title(name)
    return figure


def delta(data: pd.DataFrame) -> Figure:
    """Left: Δ against changed pixels, for several k. Right: the largest radius against k.

    Columns: panel ("delta" or "ceiling"), series, x, value.
    """
    figure, (left, right) = style.panels(2, height=3.6)
    for index, (name, rows) in enumerate(_by_series(data[data["panel"] == "delta"])):
        look = style.line(index)
        marker = style.MARKERS[index]
        left.plot(rows["x"], rows["value"], label=name, marker=marker, **look)
    left.axhline(0.5, color=style.BLACK, linewidth=0.9)
    left.axhspan(0.5, 1, color=style.VERMILION, alpha=0.06, linewidth=0)
    left.text(0.2, 0.6, "no certificate", color=style.VERMILION)
    left.set(
        xlabel="changed pixels ρ",
        ylabel="Δ: chance to see a changed pixel",
        ylim=(0, 0.92),
        title="784 pixels",
    )
    left.legend(loc="upper left", ncols=2, columnspacing=1.0)
    for index, (name, rows) in enumerate(_by_series(data[data["panel"] == "ceiling"])):
        look = style.line(index)
        if name.startswith("ln 2"):
            look = {"color": style.BLACK, "linestyle": ":"}
        right.plot(rows["x"], rows["value"], label=name, **look)
    right.set(
        xscale="log",
        yscale="log",
        xlabel="share of the pixels kept, k / d",
        ylabel="largest certified ρ",
        title="all votes agree",
    )
    right.legend(loc="upper right")
    return figure


def information(data: pd.DataFrame) -> Figure:
    """The probability that a radius needs, at equal information, a panel for each alphabet.

    Columns: panel, series, rho, probability.
    """
    names = list(dict.fromkeys(data["panel"]))
    figure, all_axes = style.panels(len(names), height=3.6, share_y=True)
    for axes, panel in zip(all_axes, names, strict=True):
        for index, (name, rows) in enumerate(_by_series(data[data["panel"] == panel])):
            look = style.line(index)
            marker = style.MARKERS[index]
            axes.plot(rows["rho"], rows["probability"], label=name, marker=marker, **look)
        axes.axhline(1, color=style.BLACK, linewidth=0.9)
        axes.set(xlabel="changed pixels ρ", title=panel, ylim=(0.48, 1.02))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="lower right")
    all_axes[0].set_ylabel("probability needed to certify ρ")
    return figure


def certified_curves(data: pd.DataFrame) -> Figure:
    """Certified accuracy against changed pixels, with 95 % bands, a panel for each data set.

    Columns: panel, series, radius, share, low, high.
    """
    names = list(dict.fromkeys(data["panel"]))
    figure, all_axes = style.panels(len(names), height=3.6, share_y=True)
    for axes, panel in zip(all_axes, names, strict=True):
        for index, (name, rows) in enumerate(_by_series(data[data["panel"] == panel])):
            _steps(axes, rows, name, index)
        axes.axhline(0.5, color=style.BLACK, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.set(xlabel="changed pixels ρ", title=panel, ylim=(0, 1.02))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="upper right")
    all_axes[0].set_ylabel("certified accuracy")
    all_axes[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure


def _steps(axes: Axes, rows: pd.DataFrame, name: str, index: int) -> None:
    look = style.line(index)
    offset = 0.05 * (index - 1.5)  # intervals of equal radii side by side
    marker = style.MARKERS[index]
    axes.plot(rows["radius"], rows["share"], alpha=0.55, **look)
    axes.errorbar(
        rows["radius"] + offset,
        rows["share"],
        yerr=(rows["share"] - rows["low"], rows["high"] - rows["share"]),
        color=look["color"],
        linestyle="none",
        marker=marker,
        elinewidth=1.0,
        label=name,
    )


def samples(data: pd.DataFrame) -> Figure:
    """Left: exact mean samples of the rules against p. Right: samples of images, by their votes.

    Columns: panel ("rules" or "images"), series, p, samples, threshold (required p; rules only).
    """
    figure, (left, right) = style.panels(2, height=3.8, share_y=True)
    rules, images = (data[data["panel"] == panel] for panel in ("rules", "images"))
    for name, rows in _by_series(rules):
        look = {key: value for key, value in RULES[name].items() if key != "marker"}
        left.plot(rows["p"], rows["samples"], label=name, **look)
    left.axvline(rules["threshold"].iloc[0], color=style.BLACK, linewidth=0.8, linestyle=":")
    for index, (name, rows) in enumerate(_by_series(images)):
        right.plot(
            rows["p"],
            rows["samples"],
            linestyle="none",
            marker=style.MARKERS[index],
            color=style.COLOURS[index],
            alpha=0.6,
            label=name,
        )
    left.set(
        yscale="log",
        xlabel="probability $p_A$",
        ylabel="samples",
        title="one question, exact means",
    )
    right.set(xlabel="share of votes for the class", title="digits, the whole table")
    left.legend(loc="upper left", bbox_to_anchor=(0, 0.9), fontsize=9)
    right.legend(loc="upper center", ncols=2, fontsize=9, handletextpad=0.1)
    return figure


def attacks(data: pd.DataFrame) -> Figure:
    """Left: measured against guaranteed probability. Right: images not shown to flip.

    Columns: series (data set and k), rho (changed pixels), beyond (rho minus the certified
    radius), guaranteed, measured, at_most; a row per attacked image and rho. On the right the
    curves end where the search ended for some image.
    """
    figure, (left, right) = style.panels(2, height=3.6)
    left.plot([0, 1], [0, 1], color=style.BLACK, linewidth=0.9)
    left.fill_between([0, 1], [0, 1], [0, 0], color=style.VERMILION, alpha=0.08, linewidth=0)
    left.text(
        0.98, 0.04, "far below the line:\nguarantee broken", color=style.VERMILION, ha="right"
    )
    for index, (name, rows) in enumerate(_by_series(data)):
        look, marker = style.line(index), style.MARKERS[index]
        meaningful = rows[rows["guaranteed"] > 0]
        left.plot(
            meaningful["guaranteed"],
            meaningful["measured"],
            linestyle="none",
            marker=marker,
            color=look["color"],
            alpha=0.45,
            markersize=3.2,
            label=name,
        )
        reached = rows["beyond"].value_counts().sort_index()
        steps = reached.index[(reached.index <= 0) | (reached == (rows["rho"] == 1).sum())]
        kept = [(rows.loc[rows["beyond"] == step, "at_most"] >= 0.5).mean() for step in steps]
        right.plot(steps, kept, marker=marker, label=name, **look)
    right.axvspan(data["beyond"].min() - 0.4, 0, color=style.GREEN, alpha=0.12, linewidth=0)
    right.text(0.06, 0.05, "certified", color=style.GREEN, transform=right.transAxes)
    left.set(
        xlabel="guaranteed class probability",
        ylabel="measured after the attack",
        xlim=(0, 1.01),
        ylim=(0, 1.02),
    )
    right.set(
        xlabel="changed pixels − certified radius",
        ylabel="images not shown to flip",
        ylim=(0, 1.04),
    )
    right.set_xlim(left=data["beyond"].min() - 0.4)
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    left.legend(loc="upper left", handletextpad=0.1)
    return figure
