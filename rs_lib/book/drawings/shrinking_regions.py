"""The figures of the chapter on shrinking regions."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from rs_lib.book import style
from rs_lib.book.drawings import common
from rs_lib.book.pictures import frames_say

TILE = 4.0
"""Width and height of the window in which a region of the plane is shown."""
ON_PAPER = 4
"""How many of the frames stand side by side where nothing moves."""
NOISE = r"noise, $\sigma/\sigma_{\mathrm{van}}$"


def _outline(rows: pd.DataFrame, shift: tuple[float, float]) -> Path:
    """Return the closed loops of a region (columns: loop, x, y) as one path."""
    corners: list[tuple[float, float]] = []
    codes: list[np.uint8] = []
    for _, loop in rows.groupby("loop", sort=False):
        points = [
            (float(x) + shift[0], float(y) + shift[1])
            for x, y in zip(loop["x"], loop["y"], strict=True)
        ]
        corners += [*points, points[0]]
        codes += [Path.MOVETO, *[Path.LINETO] * (len(points) - 1), Path.CLOSEPOLY]
    return Path(corners, codes)


def _tiles(axes: Axes, rows: pd.DataFrame, size: float) -> None:
    """Draw one frame: a tile for each region, what it was and what is left of it."""
    for index, name in enumerate(dict.fromkeys(rows["region"])):
        across, down = index % 3, index // 3
        centre = (TILE * across, -TILE * down)
        corner = (centre[0] - TILE / 2, centre[1] - TILE / 2)
        window = Rectangle(corner, TILE, TILE, facecolor="none", edgecolor="#bbbbbb", linewidth=0.8)
        axes.add_patch(window)
        own = rows[rows["region"] == name]
        before, after = (own[own["part"] == part] for part in ("base", "smoothed"))
        shape = PathPatch(
            _outline(before, centre), facecolor=style.PALE, edgecolor="#777777", linewidth=0.9
        )
        shape.set_linestyle((0, (3, 2)))
        axes.add_patch(shape)
        shape.set_clip_path(window)
        if len(after):
            left = PathPatch(
                _outline(after, centre), facecolor=style.BLUE, edgecolor=style.BLACK, alpha=0.75
            )
            left.set_linewidth(1.0)
            axes.add_patch(left)
            left.set_clip_path(window)
        axes.text(
            corner[0] + 0.12, corner[1] + TILE - 0.15, str(name), va="top", ha="left", size=size
        )
    axes.set(xlim=(-TILE / 2, 2.5 * TILE), ylim=(-1.5 * TILE, TILE / 2), aspect="equal")
    common.bare(axes, framed=False)


def _plane_in_words(rows: pd.DataFrame) -> str:
    told = []
    for name, own in common.parts(rows, "region"):
        before, after = (_area(own[own["part"] == part]) for part in ("base", "smoothed"))
        loops = own.loc[own["part"] == "smoothed", "loop"].nunique()
        pieces = f" in {loops} pieces" if loops > 1 else ""
        told.append(f"{name} {after / before:.0%}{pieces}")
    return f"Of the area in the tile smoothing leaves: {common.listed(told)}."


def _area(rows: pd.DataFrame) -> float:
    """Return the area that closed loops bound, by their corners; 0 without any."""
    area = 0.0
    for _, loop in rows.groupby("loop"):
        x, y = loop["x"].to_numpy(), loop["y"].to_numpy()
        area += float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
    return abs(area)


@frames_say(_plane_in_words)
def plane(data: pd.DataFrame) -> Figure:
    """Regions of the plane before and after smoothing: one frame, or a few of all of them.

    Columns: frame ("σ = …"), region, part ("base" or "smoothed"), loop, x, y.
    """
    frames = common.parts(data, "frame")
    if len(frames) == 1:
        figure, (axes,) = style.panels(1, height=2.7 if style.narrow() else 4.9)
        _tiles(axes, data, 7 if style.narrow() else 10.5)
        return figure
    # On paper nothing moves: a few frames say it, and are large enough to be read.
    chosen = np.linspace(0, len(frames) - 1, min(ON_PAPER, len(frames))).round().astype(int)
    figure, every = common.tiles(len(chosen), 2, height=2.7)
    for axes, (name, rows) in zip(every, (frames[k] for k in chosen), strict=True):
        _tiles(axes, rows, 7)
        axes.set_title(name, fontsize=10.5)
    return figure


def _curves(axes: Axes, data: pd.DataFrame) -> None:
    for index, (name, rows) in enumerate(common.parts(data)):
        look = style.line(index)
        width = 1.2 if index >= len(style.COLOURS) else 1.8
        if index >= len(style.COLOURS):
            look["color"] = style.BLACK
        axes.plot(rows["x"], rows["y"], label=name, linewidth=width, **look)


def balls(data: pd.DataFrame) -> Figure:
    """Left: radius of the smoothed ball. Right: how far it lies between its bounds.

    Columns: panel ("radius" or "bounds"), series ("d = …"), x (σ / σ_van), y.
    """
    figure, (left, right) = style.panels(2, height=3.5)
    _curves(left, data[data["panel"] == "radius"])
    _curves(right, data[data["panel"] == "bounds"])
    left.set(xlabel=NOISE, ylabel=r"radius left, $R_\sigma/R$", ylim=(0, 1.03), xlim=(0, 1.0))
    right.set(
        xlabel=NOISE,
        ylabel=r"$(R^2-R_\sigma^2)/\sigma^2-(d-1)$",
        ylim=(-0.16, 1.1),
        xlim=(0, 1.0),
    )
    right.axhline(0, color=style.GREY, linewidth=1)
    right.axhline(1, color=style.GREY, linewidth=1)
    right.text(0.03, 0.97, r"lower bound, $R_\sigma^2=R^2-d\,\sigma^2$", va="top", size=9.5)
    right.text(0.03, -0.03, r"upper bound, $R_\sigma^2=R^2-(d-1)\,\sigma^2$", va="top", size=9.5)
    common.common_legend(figure, left, columns=7, fontsize=9)
    return figure


def certificate(data: pd.DataFrame) -> Figure:
    """Left: true and certified radius at the centre of a ball. Right: their ratio.

    Columns: panel ("radius" or "ratio"), series, x (σ / σ_van), y. Of the ratio the range over all
    dimensions is drawn, and the series "d → ∞".
    """
    figure, (left, right) = style.panels(2, height=3.6)
    for index, (name, rows) in enumerate(common.parts(data[data["panel"] == "radius"])):
        look = style.line(index)
        left.plot(rows["x"], rows["y"], label=name, **look)
    common.legend_below(left, ncols=2, handlelength=3)
    ratio = data[data["panel"] == "ratio"]
    limit = ratio[ratio["series"] == "d → ∞"]
    every = ratio.assign(x=ratio["x"].round(6)).groupby("x")["y"].agg(["min", "max"])
    dimensions = [name for name in dict.fromkeys(ratio["series"]) if name != "d → ∞"]
    right.fill_between(
        every.index, every["min"], every["max"], color=style.SKY, alpha=0.6, label=_span(dimensions)
    )
    right.plot(limit["x"], limit["y"], color=style.BLACK, linewidth=1.2, label="d → ∞")
    common.legend_below(right, ncols=2)
    left.set(xlabel=NOISE, ylabel=r"radius / $R$", ylim=(0, 1.03), xlim=(0, 1))
    right.set(xlabel=NOISE, ylabel="certified / true radius", ylim=(0, 1.03), xlim=(0, 1))
    return figure


def _span(dimensions: list[str]) -> str:
    numbers = [int(name.split(" = ")[1]) for name in dimensions]
    return f"d from {min(numbers)} to {max(numbers)}"


def cones(data: pd.DataFrame) -> Figure:
    """The tip's shift in units of σ, by the angle (left) and by the dimension (right).

    Columns: panel ("angle" or "dimension"), series, x (degrees or d), y (shift / σ).
    """
    figure, (left, right) = style.panels(2, height=3.7)
    _curves(left, data[data["panel"] == "angle"])
    _curves(right, data[data["panel"] == "dimension"])
    left.set(xlabel="half-angle θ, degrees", ylabel="shift of the tip, σ", yscale="log")
    left.set(xlim=(0, 90), ylim=(0.005, 6000), xticks=range(0, 91, 15))
    right.set(xlabel="dimension d", xscale="log", yscale="log", ylim=(0.005, 6000))
    for axes in (left, right):
        common.legend_below(axes, ncols=2, handlelength=3)
    return figure


def points(data: pd.DataFrame) -> Figure:
    """Mass of class 1 at its point and at those of class 0, for two rules.

    Columns: panel (title), series, x (σ / a), y (mass), critical (σ / a at which the mass at ±a
    passes 1/2, or empty).
    """
    figure, shown = common.panels(data, height=3.5, share_y=True)
    for axes, name, rows in shown:
        _curves(axes, rows)
        axes.axhline(0.5, color=style.BLACK, linewidth=1)
        critical = rows["critical"].dropna()
        if len(critical):
            at = float(critical.iloc[0])
            axes.axvline(at, color=style.GREY, linewidth=1, linestyle=(0, (4, 2)))
            axes.axvspan(at, float(rows["x"].max()), color=style.ORANGE, alpha=0.15, linewidth=0)
            axes.text(at + 0.06, 0.06, "class 0 is lost", size=10)
        axes.set(xlabel="noise, σ / a", title=name, ylim=(0, 1.0), xlim=(0, rows["x"].max()))
    figure.axes[0].set_ylabel("noisy mass of class 1")
    common.common_legend(figure, figure.axes[0], columns=2)
    return figure


def classes(data: pd.DataFrame) -> Figure:
    """Accuracy of each class against the noise, a panel for each comparison.

    Columns: panel (title; "unit" names the x axis), unit, series (class), x, y, low, high, and
    mark ("best" or "worst" at the largest noise, or empty).
    """
    figure, shown = common.panels(data, height=3.9, share_y=True)
    looks = {"best": (style.BLUE, "-", "o"), "worst": (style.VERMILION, "--", "s")}
    for axes, name, panel in shown:
        ends: list[tuple[float, str, str]] = []
        for label, rows in common.parts(panel):
            mark = str(rows["mark"].iloc[0])
            colour, dash, marker = looks.get(mark, (style.GREY, "-", "."))
            strong = mark in looks
            width = 2.0 if strong else 0.9
            axes.plot(rows["x"], rows["y"], dash, color=colour, linewidth=width, marker=marker)
            if strong:
                common.band(axes, rows, "x", colour, 0.15)
                ends.append((float(rows["y"].iloc[-1]), label, colour))
        axes.set(xlabel=str(panel["unit"].iloc[0]), title=name)
        common.shares(axes)
        common.at_ends(axes, ends)
    figure.axes[0].set_ylabel("accuracy of the class")
    return figure


def shares(data: pd.DataFrame) -> Figure:
    """Accuracy of each class against its share of pure noise, a panel for each classifier.

    Columns: panel (title), series (class), x (share), y (accuracy), low, high.
    """
    figure, shown = common.panels(data, height=3.3, share_y=True)
    for index, (axes, name, rows) in enumerate(shown):
        common.whiskers(axes, rows["x"], rows, "y", elinewidth=0.9, **style.points(index))
        _label_points(axes, rows.sort_values("x"))
        axes.set(xlabel="share of pure noise", title=name, xlim=(0.015, 0.148))
        common.percent(axes.xaxis)
        common.shares(axes, -0.03, 1.05)
    figure.axes[0].set_ylabel("accuracy of the class")
    return figure


def _label_points(axes: Axes, rows: pd.DataFrame) -> None:
    """Write the series beside its point: right of a lone one, in turn where several are near."""
    near = np.diff(rows["x"], prepend=-1.0, append=2.0) < 0.007
    places = ((-11, -3), (4, -12), (5, 1))
    rank = 0
    for index, (_, row) in enumerate(rows.iterrows()):
        rank = rank + 1 if near[index] else 0
        alone = not (near[index] or near[index + 1])
        place = places[2 if alone else rank % 3]
        axes.annotate(
            str(row["series"]),
            (row["x"], row["y"]),
            xytext=place,
            textcoords="offset points",
            fontsize=9.5,
        )


def disparity(data: pd.DataFrame) -> Figure:
    """Gap between the best and the worst class against the noise, by training method.

    Columns: series (method), x (σ), y (gap in points).
    """
    figure, (axes,) = style.panels(1, height=3.4)
    for index, (name, rows) in enumerate(common.parts(data)):
        shift = (index - 3) * 0.008
        look = style.line(index)
        marker = (*style.MARKERS, "X")[index]
        if index >= len(style.COLOURS):
            look["color"] = style.BLACK
        axes.plot(np.asarray(rows["x"]) + shift, rows["y"], marker=marker, label=name, **look)
    axes.set(
        xlabel="σ of training and smoothing",
        ylabel="best − worst class, points",
        ylim=(0, 85),
        xticks=[0.25, 0.5, 1.0],
    )
    common.legend_beside(figure)
    return figure
