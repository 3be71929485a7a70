"""The figures of the chapter on derandomised patches."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rs_lib.book import style
from rs_lib.book.drawings import common


def _image(axes: Axes, cells: pd.DataFrame, title: str = "") -> None:
    """Show the pixels (columns: row, column, value) and hatch those that are not seen."""
    unseen = np.isnan(common.image(axes, cells))
    look: dict[str, Any] = {"hatch": "////", "edgecolor": "white", "linewidth": 0}
    for i, j in zip(*np.nonzero(unseen), strict=True):
        corner = (float(j) - 0.5, float(i) - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, facecolor="none", **look))
    height, width = unseen.shape
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_title(title, fontsize=10)


def views(data: pd.DataFrame) -> Figure:
    """What the base classifier sees, a panel for each view.

    Columns: panel (its title), row, column, value (in [0, 1]; empty where nothing is seen).
    """
    figure, shown = common.panels(data, height=1.9)
    for axes, name, cells in shown:
        _image(axes, cells, name)
    return figure


def strides(data: pd.DataFrame) -> Figure:
    """Left: bands around the border and a patch. Right: formula and truth against its width.

    Columns: panel ("band", "patch" or "width"), series, x (first column, or width of the patch),
    bands (columns of the band or of the patch, or bands met). Of a band, `series` says whether it
    "meets" the patch or "misses" it; of a width it is "truth" or "formula".
    """
    figure, (left, right) = style.panels(2, height=3.4)
    strip = data[data["panel"] == "patch"].iloc[0]
    left.axvspan(strip["x"], strip["x"] + strip["bands"], color=style.ORANGE, alpha=0.35)
    left.axvline(0, color=style.BLACK, linewidth=0.8, linestyle=":")
    shown = data[data["panel"] == "band"]
    for place, (_, row) in enumerate(shown.iterrows()):
        meets = row["series"] == "meets"
        colour, hatch = (style.VERMILION, "//") if meets else ("#999999", "")
        left.barh(
            -place, row["bands"], left=row["x"], height=0.6, alpha=0.75, color=colour, hatch=hatch
        )
    left.set(
        xlabel="columns; the border is at 0",
        yticks=[],
        title=f"a patch that meets {(shown['series'] == 'meets').sum()} bands",
    )
    left.text(strip["x"] + strip["bands"] / 2, 0.9, "patch", ha="center", va="center")
    left.set_ylim(0.6 - len(shown), 1.4)
    wide = data[data["panel"] == "width"].pivot_table(index="x", columns="series", values="bands")
    for name, colour, dash in (("truth", style.VERMILION, "-"), ("formula", style.BLUE, "--")):
        right.step(wide.index, wide[name], where="mid", color=colour, label=name, linestyle=dash)
    short = wide[wide["truth"] > wide["formula"]]
    right.plot(
        short.index, short["truth"], "x", color=style.BLACK, markersize=5, label="formula fails"
    )
    right.set(xlabel="columns of the patch", ylabel="bands met at most", title="by its width")
    right.legend(loc="upper left")
    return figure


def vote_maps(data: pd.DataFrame) -> Figure:
    """Scores of every class at every position for a few images, the votes marked.

    Columns: image, text, panel ("scan" or "scores"), row (or class), column (or position), value,
    vote (0 or 1), worst (1 where a band meets the patch that leaves least).
    """
    images = common.parts(data, "image")
    figure, axes = style.grid(2, len(images), height=4.8)
    for upper, lower, (_, own) in zip(*axes, images, strict=True):
        scan, scores = (own[own["panel"] == panel] for panel in ("scan", "scores"))
        _image(upper, scan, common.lines(str(scan["text"].iloc[0])))
        table = scores.pivot_table(index="row", columns="column", values="value").to_numpy()
        shown = lower.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        voted = scores[scores["vote"] == 1]
        dot = {"color": style.ORANGE, "markeredgecolor": style.BLACK, "markeredgewidth": 0.5}
        dot |= {"linestyle": "none", "marker": "o", "markersize": 5.5, "label": "a vote"}
        lower.plot(voted["column"], voted["row"], **dot)
        met = scores.loc[scores["worst"] == 1, "column"]
        frame = {"facecolor": "none", "edgecolor": style.VERMILION, "hatch": "//", "linewidth": 1.5}
        lower.axvspan(
            met.min() - 0.5, met.max() + 0.5, alpha=0.7, label="met by the patch", **frame
        )
        lower.set_xlabel(common.lines("first column of the band"))
        lower.set(yticks=range(10), xticks=range(table.shape[1]))
        lower.tick_params(labelsize=8)
        lower.grid(visible=False)
    axes[1][0].set_ylabel("class")
    figure.colorbar(shown, ax=axes[1], label="probability of the class", aspect=14)
    common.common_legend(figure, axes[1][0], columns=2)
    return figure


def certified(data: pd.DataFrame) -> Figure:
    """Certified accuracy against the size of the patch, a panel for each comparison.

    Columns: panel, series, radius (size of the patch; 0: no attack), share, low, high.
    """
    figure, shown = common.panels(data, height=3.7, share_y=True)
    for axes, panel, own in shown:
        named = common.parts(own)
        for index, (name, rows) in enumerate(named):
            shift = 0.05 * (index - (len(named) - 1) / 2) * rows["radius"].max() / 4
            look = style.line(index) | {"marker": style.MARKERS[index]}
            common.whiskers(axes, rows["radius"] + shift, rows, "share", label=name, **look)
        axes.set(xlabel="size of the patch, pixels", title=panel)
        common.whole(axes.xaxis)
        common.shares(axes)
        common.legend_inside(axes, "upper right", fontsize=9)
    figure.axes[0].set_ylabel("certified accuracy")
    return figure


def attacked(data: pd.DataFrame) -> Figure:
    """Certified accuracy and accuracy under attack against the width of the patch.

    Columns: series ("certified" or "under attack"), radius (columns), share, low, high.
    """
    figure, (axes,) = style.panels(1, height=3.2)
    common.curves(axes, data, "radius", "share", markers=True, shade=0.15)
    axes.set(xlabel="columns of the patch", ylabel="share of images")
    common.whole(axes.xaxis)
    common.shares(axes)
    axes.legend(loc="upper right")
    return figure


def largest(data: pd.DataFrame) -> Figure:
    """Images with their certified patch drawn on them, a column for each size.

    Columns: image, size (columns certified), text, row, column, value.
    """
    sizes = list(dict.fromkeys(data["size"]))
    groups = [common.parts(data[data["size"] == size], "image") for size in sizes]
    depth = max(map(len, groups))
    figure, axes = style.grid(depth, len(sizes), height=1.75 * depth + 0.35)
    for column, (size, images) in enumerate(zip(sizes, groups, strict=True)):
        for row in range(depth):
            panel = axes[row][column]
            if row >= len(images):
                panel.set_visible(False)
                continue
            own = images[row][1]
            _image(panel, own)
            if row == 0:
                panel.set_title(f"width {size}" if size else "none", fontsize=10.5)
            panel.set_xlabel(str(own["text"].iloc[0]), fontsize=9)
            if size:
                left = (own["column"].max() + 1 - size) // 2 - 0.5
                height = own["row"].max() + 1
                look: dict[str, Any] = {"hatch": "xx", "facecolor": "none", "linewidth": 1.6}
                panel.add_patch(
                    Rectangle((left, -0.5), size, height, edgecolor=style.VERMILION, **look)
                )
    return figure


def recorded(data: pd.DataFrame) -> Figure:
    """Certified accuracy of a recorded run beside published values.

    Columns: series, kind ("ours" or "published"), radius, share, low, high (empty if unknown).
    """
    figure, (axes,) = style.panels(1, height=3.9)
    ours = common.parts(data[data["kind"] == "ours"])
    for index, (name, rows) in enumerate(ours):
        common.stairs(axes, rows, "radius", "share", 0.15, label=name, **style.line(index))
    published = common.parts(data[data["kind"] == "published"])
    for marker, (name, rows) in zip(("*", "P", "X"), published, strict=False):
        axes.plot(
            *(rows["radius"], rows["share"], marker),
            color=style.BLACK,
            linestyle="none",
            markersize=9,
            markerfacecolor="white",
            zorder=4,
            label=f"{name}, published",
        )
    axes.set(
        xlabel="size of the patch, pixels",
        ylabel="certified accuracy",
        xlim=(-0.3, data["radius"].max() + 0.5),
    )
    common.whole(axes.xaxis)
    common.shares(axes, high=None)
    common.legend_below(axes, -0.18, ncols=1 if style.narrow() else 2)
    return figure
