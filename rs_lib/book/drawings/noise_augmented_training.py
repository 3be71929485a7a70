"""The figures of the chapter on training with noise."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MultipleLocator

from rs_lib.book import style
from rs_lib.book.drawings import common
from rs_lib.book.pictures import frames_say

SIDE = 100
"""Pixels of the square with balls."""
KINDS = ("kept", "lost", "added")
FILLS = (style.BLUE, "#bcd7ec", style.ORANGE)
LEVELS = ("region", "trained", "smoothed")


def _line_panel(axes: Axes, rows: pd.DataFrame, *, small: bool) -> None:
    """One frame of intervals on the line: what noise sees above, regions as bars below."""
    for name, colour, dash in (("training", style.GREEN, "--"), ("test", style.VERMILION, "-")):
        curve = rows[(rows["part"] == "seen") & (rows["name"] == name)]
        axes.plot(curve["x"], curve["y"], color=colour, linestyle=dash, label=f"{name} noise sees")
    axes.axhline(0.5, color=style.GREY, linewidth=0.9)
    for depth, (name, colour) in enumerate(
        zip(LEVELS, (style.BLACK, style.GREEN, style.VERMILION), strict=True)
    ):
        bars = rows[(rows["part"] == "bar") & (rows["name"] == name)]
        for left, right in zip(bars["x"], bars["y"], strict=True):
            corner = (left, -0.16 - 0.15 * depth)
            axes.add_patch(Rectangle(corner, right - left, 0.1, color=colour, linewidth=0))
        if not small:
            axes.text(-4.9, -0.11 - 0.15 * depth, name, ha="left", va="center", size=9)
    axes.set(xlim=(-5, 4.2), ylim=(-0.52, 1.05), yticks=[0, 0.5, 1])


def _line_in_words(rows: pd.DataFrame) -> str:
    told = []
    names = ("The region", "after training", "after smoothing")
    for name, text in zip(LEVELS, names, strict=True):
        bars = rows[(rows["part"] == "bar") & (rows["name"] == name)]
        ends = [f"from {a:g} to {b:g}" for a, b in zip(bars["x"], bars["y"], strict=True)]
        told.append(f"{text}: {common.listed(ends) or 'nothing'}")
    return "; ".join(told) + "."


@frames_say(_line_in_words)
def line(data: pd.DataFrame) -> Figure:
    """Two intervals on the line as the training noise grows: a panel for each noise, or one frame.

    Columns: frame, part ("seen": a point of a curve; "bar": an interval), name (of the noise, or
    of the region), x and y (of the point, or left and right end).
    """
    frames = common.parts(data, "frame")
    if len(frames) == 1:
        figure, (axes,) = style.panels(1, height=3.6)
        _line_panel(axes, data, small=False)
        axes.set(xlabel="x", ylabel="share of the window", title=frames[0][0])
    else:
        figure, every = common.tiles(len(frames), 3, height=1.75, more=0.5)
        for axes, (name, rows) in zip(every, frames, strict=True):
            _line_panel(axes, rows, small=True)
            axes.set_title(name, fontsize=10)
            axes.tick_params(labelsize=8)
    common.common_legend(figure, figure.axes[0], columns=2)
    return figure


def risk(data: pd.DataFrame) -> Figure:
    """Length of the errors on the line against the training noise, a panel for each noise.

    Columns: panel, series, x (scale of the training noise), y (length), best (1 at the least).
    """
    figure, shown = common.panels(data, height=3.7)
    for axes, panel, own in shown:
        for index, (name, rows) in enumerate(common.parts(own)):
            axes.plot(rows["x"], rows["y"], label=name, **style.line(index))
            least = rows[rows["best"] == 1]
            axes.plot(least["x"], least["y"], markersize=6.5, **style.points(index))
        axes.set(xlabel="scale of the training noise", title=panel)
        axes.set_ylim(bottom=0)
        common.legend_below(axes, ncols=2)
    figure.axes[0].set_ylabel("length of the errors, Δ")
    return figure


def where(data: pd.DataFrame) -> Figure:
    """The largest gain from training noise by test noise and gap, a panel for each noise.

    Columns: panel, x (test noise / length), y (gap / length), gain (length / length).
    """
    figure, shown = common.panels(data, height=3.5, share_y=True)
    top = float(data["gain"].max())
    for axes, panel, own in shown:
        table = own.pivot_table(index="y", columns="x", values="gain")
        seen = np.ma.masked_less_equal(table.to_numpy(), 1e-9)
        colours = axes.pcolormesh(
            table.columns, table.index, seen, cmap="viridis", vmin=0, vmax=top, rasterized=True
        )
        axes.set(xlabel="test noise / length, t / ℓ", title=panel)
        axes.axhline(1, color=style.BLACK, linewidth=1, linestyle="--")
        axes.grid(visible=False)
    every = list(figure.axes)
    every[0].set_ylabel("gap / length, ζ / ℓ")
    place = "bottom" if style.narrow() else "right"
    figure.colorbar(colours, ax=every, label="largest gain / ℓ", location=place)
    return figure


def _raster(axes: Axes, rows: pd.DataFrame) -> None:
    """Show runs of pixels (columns: row, left, right, kind) of a square."""
    picture = np.zeros((SIDE, SIDE), dtype=int)
    for row, left, right, kind in zip(
        rows["row"], rows["left"], rows["right"], rows["kind"], strict=True
    ):
        picture[row, left:right] = 1 + KINDS.index(kind)
    colours = ListedColormap(["white", *FILLS])
    axes.imshow(picture, cmap=colours, vmin=0, vmax=len(KINDS), interpolation="nearest")
    common.bare(axes, framed=True)
    wrong = (picture > 1).mean()
    axes.set_xlabel(f"wrong: {wrong:.1%}", fontsize=9)


def _balls_in_words(rows: pd.DataFrame) -> str:
    told = []
    for step, text in (("trained", "After training"), ("smoothed", "after smoothing")):
        own = rows[rows["step"] == step]
        runs = (own["right"] - own["left"]).groupby(own["kind"]).sum() / SIDE**2
        kept, lost, added = (float(runs.get(kind, 0.0)) for kind in KINDS)
        told.append(
            f"{text} {kept / (kept + lost):.0%} of the balls are kept, and {added:.1%} of the "
            "square are taken for balls in error"
        )
    return "; ".join(told) + "."


@frames_say(_balls_in_words)
def balls(data: pd.DataFrame) -> Figure:
    """Balls on a torus as the training noise grows: after training, and then smoothed.

    Columns: frame, step ("trained" or "smoothed"), row, left, right (a run of pixels), kind
    ("kept", "lost" or "added").
    """
    frames = common.parts(data, "frame")
    single = len(frames) == 1
    if single:
        figure, every = style.panels(2, height=4.3)
    else:
        figure, every = common.tiles(2 * len(frames), 6, height=1.62, more=0.4)
    for index, (name, own) in enumerate(frames):
        title = f"after training, {name}" if single else name
        steps = (("trained", title), ("smoothed", "then smoothed"))
        for axes, (step, text) in zip(every[2 * index :], steps, strict=False):
            _raster(axes, own[own["step"] == step])
            axes.set_title(text, fontsize=9.5)
    handles = [
        Patch(facecolor=fill, edgecolor=style.GREY, label=kind)
        for kind, fill in zip(KINDS, FILLS, strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _gains(data: pd.DataFrame, *, share_y: bool, step: float) -> Figure:
    figure, shown = common.panels(data, height=3.9, share_y=share_y)
    for axes, panel, own in shown:
        axes.axhline(0, color=style.GREY, linewidth=1)
        named = common.parts(own)
        for index, (name, rows) in enumerate(named):
            look = style.line(index)
            ours, other = (rows[rows["kind"] == kind] for kind in ("ours", "published"))
            axes.plot(ours["x"], ours["y"], label=name, **look)
            common.some_whiskers(axes, ours, "x", "y", (index, len(named)), color=look["color"])
            look = style.points(index) | {"markerfacecolor": "white", "markersize": 4}
            axes.plot(other["x"], other["y"], **look)
        axes.set(xlabel="training noise s, pixels", title=panel)
        common.percent(axes.yaxis, decimals=1 if share_y else 0)
        axes.xaxis.set_major_locator(MultipleLocator(step))
    figure.axes[0].set_ylabel("Δ(s, t) − Δ(0, t), share of pixels")
    common.common_legend(figure, figure.axes[0], columns=4)
    return figure


def gains(data: pd.DataFrame) -> Figure:
    """Change of the risk against the training noise, a panel for each test noise.

    Columns: panel, series, kind ("ours" or "published"), x, y, low, high (empty if unknown).
    """
    return _gains(data, share_y=False, step=5)


def closeup(data: pd.DataFrame) -> Figure:
    """The same with one scale for all panels; columns as for `gains`."""
    return _gains(data, share_y=True, step=2)


def _noise_table(axes: Axes, rows: pd.DataFrame) -> None:
    """A heat map of wrong answers (columns: x, y, wrong, images, best) with the least marked."""
    table = rows.pivot_table(index="y", columns="x", values="wrong").sort_index()
    share = np.maximum(table.to_numpy(), 0.5) / rows["images"].iloc[0]
    axes.imshow(share, cmap="Blues", norm=LogNorm(0.004, 0.9), origin="lower", aspect="auto")
    tests, trains = list(table.columns), list(table.index)
    axes.set_xticks(range(len(tests)), [f"{x:g}" for x in tests])
    axes.set_yticks(range(len(trains)), [f"{y:g}" for y in trains])
    size = 9 if len(tests) < 8 else 6.3
    for j in range(len(tests)):
        for i in range(len(trains)):
            dark = share[i, j] > 0.16
            text = f"{100 * share[i, j]:.1f}"
            axes.text(
                j, i, text, ha="center", va="center", size=size, color="white" if dark else "black"
            )
    for _, row in rows[rows["best"] == 1].iterrows():
        corner = (tests.index(row["x"]) - 0.5, trains.index(row["y"]) - 0.5)
        axes.add_patch(
            Rectangle(corner, 1, 1, fill=False, edgecolor=style.VERMILION, linewidth=2.2)
        )
    axes.set(xlabel="σ of the smoothing", ylabel="σ of the training")
    axes.grid(visible=False)


def noise_map(data: pd.DataFrame) -> Figure:
    """Wrong answers by training noise and test noise, a panel for each data set.

    Columns: panel, x, y (σ of the smoothing and of the training), wrong, images, best (1 where
    fewest are wrong for this x).
    """
    figure, shown = common.panels(data, height=3.9)
    for axes, panel, rows in shown:
        axes.set_title(f"{panel}: wrong answers, %")
        _noise_table(axes, rows)
    return figure


def best(data: pd.DataFrame) -> Figure:
    """The best training noise against the test noise, a panel for each data set and source.

    Columns: panel, series ("ours", or "published, …" for raw counts and smoothed curves), x, y,
    low, high (the training noises that nothing beats; empty where unknown).
    """
    source = data["panel"] + ", " + data["series"].str.split(",").str[0]
    named = common.parts(data.assign(source=source), "source")
    figure, every = common.tiles(len(named), 2, height=2.7, more=0.5)
    series = list(dict.fromkeys(data["series"]))
    for axes, (title, own) in zip(every, named, strict=True):
        axes.plot([0, 1], [0, 1], color=style.GREY, linewidth=1, linestyle=":", label="equal noise")
        for name, rows in common.parts(own):
            look = style.points(series.index(name)) | {"markersize": 5.5, "elinewidth": 1.3}
            if "smoothed" in name:
                look |= {"markersize": 7, "markerfacecolor": "none", "zorder": 4}
            known = rows.fillna({"low": rows["y"], "high": rows["y"]})
            common.whiskers(axes, known["x"], known, "y", label=name, **look)
        axes.set(xlabel="σ of the smoothing", title=title, xlim=(-0.06, 1.06), ylim=(-0.04, 1.04))
        axes.set_ylabel("σ of the training")
    common.common_legend(figure, *every, columns=2)
    return figure
