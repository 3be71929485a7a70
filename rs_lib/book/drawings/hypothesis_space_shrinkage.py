"""The figures of the chapter on hypothesis-space shrinkage."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter

from rs_lib.book import style

PALE = "#cfe3f3"


def _by_series(data: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), rows) for name, rows in data.groupby("series", sort=False)]


def _legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def _shares(axes: Axes) -> None:
    axes.set_ylim(-0.02, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def strips(data: pd.DataFrame) -> Figure:
    """Hypotheses on a cycle, unrolled, a panel each: a row for each radius of the noise.

    Columns: panel (its title), k, point, label (0 or 1).
    """
    names = list(dict.fromkeys(data["panel"]))
    figure, all_axes = style.panels(len(names), height=2.3)
    for axes, name in zip(all_axes, names, strict=True):
        cells = data[data["panel"] == name]
        table = cells.pivot_table(index="k", columns="point", values="label").to_numpy()
        colours = mpl.colors.ListedColormap([PALE, style.BLUE])
        axes.pcolormesh(table, cmap=colours, vmin=0, vmax=1, edgecolors="white", linewidth=0.8)
        axes.set(title=name, xticks=[], yticks=np.arange(len(table)) + 0.5)
        axes.set_yticklabels([str(k) for k in range(len(table))], fontsize=9)
        axes.invert_yaxis()
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.set_xlabel("points of the cycle", fontsize=9.5)
    all_axes[0].set_ylabel("radius k of the noise")
    return figure


def sizes(data: pd.DataFrame) -> Figure:
    """Hypotheses that are left, and those that do not change, against the radius of the noise.

    Columns: panel ("image" or "fixed"), series, k, share (of all hypotheses).
    """
    figure, all_axes = style.panels(2, height=3.8, share_y=True)
    titles = {"image": "left after smoothing", "fixed": "not changed by smoothing"}
    for axes, (panel, title) in zip(all_axes, titles.items(), strict=True):
        for index, (name, rows) in enumerate(_by_series(data[data["panel"] == panel])):
            look = style.line(index)
            axes.plot(rows["k"], rows["share"], marker=style.MARKERS[index], label=name, **look)
        axes.set(yscale="log", xlabel="radius k of the noise, steps", title=title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_minor_locator(NullLocator())
    all_axes[0].set_ylabel("share of all hypotheses")
    _legend_below(figure, all_axes[0], 4)
    return figure


def intervals(data: pd.DataFrame) -> Figure:
    """Left: the smoothed vote of an interval. Right: the length that is left.

    Columns: panel ("vote" or "length"), series, x (place, or largest or typical step; in lengths),
    y (vote, or the share of the length that is left).
    """
    figure, (left, right) = style.panels(2, height=3.7)
    for index, (name, rows) in enumerate(_by_series(data[data["panel"] == "vote"])):
        left.plot(rows["x"], rows["y"], label=name, **style.line(index))
    left.axhline(0.5, color=style.BLACK, linewidth=0.8)
    left.axvspan(0, 1, color=PALE, alpha=0.6, linewidth=0)
    left.set(
        xlabel="place; the interval is [0, 1]",
        ylabel="probability of the interval",
        ylim=(-0.02, 1.02),
        title="uniform noise on [−r, r]",
    )
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    for index, (name, rows) in enumerate(_by_series(data[data["panel"] == "length"])):
        right.plot(rows["x"], rows["y"], label=name, **style.line(index))
    right.set(
        xlabel="standard deviation / length",
        ylabel="length that is left",
        title="what is left of the interval",
    )
    _shares(right)
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    return figure


def best(data: pd.DataFrame) -> Figure:
    """The best hypothesis for five labels and its smoothed vote, a panel for each noise.

    Columns: frame (the noise), part ("hypothesis": steps from x on; "vote": a curve;
    "point": a labelled point with its vote; "margin": the best margin), x, y.
    """
    names = list(dict.fromkeys(data["frame"]))
    columns = min(3, len(names))
    depth = -(-len(names) // columns)
    if len(names) == 1:
        figure, grid = style.grid(1, 1, height=3.4)
    else:
        figure, grid = style.grid(depth, columns, height=2.0 * depth + 0.3)
    every = [axes for row in grid for axes in row]
    for axes in every[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(every, names, strict=False):
        own = data[data["frame"] == name]
        _best(axes, own, small=len(names) > 1)
        margin = float(own.loc[own["part"] == "margin", "y"].iloc[0])
        title = f"{name}: margin {margin:.4f}"
        axes.set_title(title, fontsize=9.5 if len(names) > 1 else 11.5)
    return figure


def _best(axes: Axes, rows: pd.DataFrame, *, small: bool) -> None:
    base, vote, points = (rows[rows["part"] == part] for part in ("hypothesis", "vote", "point"))
    axes.fill_between(base["x"], base["y"], step="post", color=PALE, linewidth=0)
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
    for index, (name, rows) in enumerate(_by_series(drawn)):
        axes.plot(rows["sigma"], rows["margin"], label=name, **style.line(index))
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
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)
    return figure


def pairs(data: pd.DataFrame) -> Figure:
    """Pairs of images, one above the other.

    Columns: pair (its title), place ("upper" or "lower"), text, row, column, value in [0, 1].
    """
    names = list(dict.fromkeys(data["pair"]))
    figure, grid = style.grid(2, len(names), height=3.3)
    for column, name in enumerate(names):
        for row, place in enumerate(("upper", "lower")):
            cells = data[(data["pair"] == name) & (data["place"] == place)]
            picture = cells.pivot_table(index="row", columns="column", values="value").to_numpy()
            axes = grid[row][column]
            axes.imshow(picture, cmap="gray_r", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
            axes.set_xlabel(str(cells["text"].iloc[0]), fontsize=9.5)
            axes.grid(visible=False)
            axes.spines[["right", "top"]].set_visible(True)
            if row == 0:
                axes.set_title(name, fontsize=10)
    return figure


def feasible(data: pd.DataFrame) -> Figure:
    """Left: shares of images against a radius. Right: against the noise, with networks.

    Columns: panel ("radius" or "sigma"), series, kind ("line", or "network" with an interval), x,
    share, low, high.
    """
    figure, all_axes = style.panels(2, height=4.6, share_y=True)
    labels = {"radius": "radius r, in units of white", "sigma": "σ, in units of white"}
    for axes, (panel, label) in zip(all_axes, labels.items(), strict=True):
        own = data[data["panel"] == panel]
        for index, (name, rows) in enumerate(_by_series(own)):
            look = style.line(index)
            if rows["kind"].iloc[0] == "line":
                axes.plot(rows["x"], rows["share"], label=name, **look)
                continue
            errors = [rows["share"] - rows["low"], rows["high"] - rows["share"]]
            axes.errorbar(
                rows["x"],
                rows["share"],
                yerr=np.clip(errors, 0, None),
                label=name,
                marker=style.MARKERS[index],
                capsize=2,
                elinewidth=1,
                **look,
            )
        axes.set(xlabel=label, xlim=(0, 1.5))
        _shares(axes)
        axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.16), fontsize=9, handlelength=2.6)
    all_axes[0].set_ylabel("share of the test images")
    return figure


BOUNDS = {
    "at most": ("-", "at most"),
    "training": ("--", "at most, training set right"),
    "networks": (":", "networks"),
    "at least": ("-", "at least"),
}
"""Line and text of each kind of bound."""


def datasets(data: pd.DataFrame) -> Figure:
    """What can be fitted of several data sets; says so where nothing is recorded.

    Columns: panel ("radius" or "sigma"), series, bound (a key of `BOUNDS`), x, share. Rows of the
    series "pending" hold no values.
    """
    figure, all_axes = style.panels(2, height=5.0, share_y=True)
    labels = {"radius": "radius r, in units of white", "sigma": "σ, in units of white"}
    order = ("MNIST", "Fashion-MNIST", "CIFAR-10")
    pending = set(data["bound"]) <= {"networks"} or "at most" not in set(data["bound"])
    for axes, (panel, label) in zip(all_axes, labels.items(), strict=True):
        own = data[(data["panel"] == panel) & (data["series"] != "pending")]
        for index, name in enumerate(order):
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
        axes.set(xlabel=label, xlim=(0, own["x"].max() if len(own) else 1))
        _shares(axes)
        if pending:
            axes.text(0.5, 0.5, "not recorded yet", transform=axes.transAxes, ha="center", size=13)
        if len(own):
            axes.legend(
                loc="upper left", bbox_to_anchor=(-0.02, -0.16), fontsize=9, handlelength=2.6
            )
    all_axes[0].set_ylabel("share of the test images")
    return figure


def accuracy(data: pd.DataFrame) -> Figure:
    """Natural accuracy of smoothed networks against the noise, a panel for each source.

    Columns: panel (its title), series, sigma, share, low, high; the series "matched" was trained
    with the noise that it is smoothed with.
    """
    names = list(dict.fromkeys(data["panel"]))
    rows_of_panels = -(-len(names) // 2)
    figure, grid = style.grid(rows_of_panels, 2, height=3.6 * rows_of_panels)
    every = [axes for row in grid for axes in row]
    for axes in every[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(every, names, strict=False):
        for index, (series, rows) in enumerate(_by_series(data[data["panel"] == name])):
            look = style.line(index)
            if series == "matched":
                look = {"color": style.BLACK, "linestyle": "-", "linewidth": 2.4}
            axes.errorbar(
                rows["sigma"],
                rows["share"],
                yerr=np.clip([rows["share"] - rows["low"], rows["high"] - rows["share"]], 0, None),
                label=series,
                marker="*" if series == "matched" else style.MARKERS[index % len(style.MARKERS)],
                markersize=10 if series == "matched" else 4.5,
                capsize=2,
                elinewidth=0.9,
                **look,
            )
        axes.set(xlabel="σ of the smoothing", title=name, xlim=(-0.04, 1.04))
        _shares(axes)
        axes.legend(
            loc="upper center",
            bbox_to_anchor=(0.48, -0.22),
            ncols=2,
            fontsize=9,
            handlelength=2.4,
            columnspacing=1.2,
        )
    for row in grid:
        row[0].set_ylabel("natural accuracy")
    return figure
