"""What the drawings share: series, panels, images, bands, shares in percent, legends."""

import re
from collections.abc import Iterable, Sequence
from itertools import product
from textwrap import wrap
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from rs_lib.book import style

RULES: dict[str, dict[str, Any]] = {
    "calibrated": {"color": style.BLUE, "linestyle": "-"},
    "betting": {"color": style.VERMILION, "linestyle": "--"},
    "union": {"color": style.GREEN, "linestyle": "-."},
    "three-stage": {"color": style.PURPLE, "linestyle": ":"},
    "fixed": {"color": style.ORANGE, "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    "Wald's bound": {"color": style.BLACK, "linestyle": (0, (1, 1))},
}
"""The line of each rule that says when to stop sampling."""


SOME = 5
"""How many points of a long curve get whiskers."""


def listed(texts: Iterable[str]) -> str:
    """Return texts as a list in a sentence."""
    *most, last = list(texts) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def parts(data: pd.DataFrame, column: str = "series") -> list[tuple[str, pd.DataFrame]]:
    """Return each value of a column with its rows, in the order of the data."""
    return [(str(name), rows) for name, rows in data.groupby(column, sort=False)]


def panels(
    data: pd.DataFrame, *, height: float, share_y: bool = False
) -> tuple[Figure, list[tuple[Axes, str, pd.DataFrame]]]:
    """Return a figure with a row of panels: the axes, name and rows of each value of `panel`."""
    named = parts(data, "panel")
    figure, row = style.panels(len(named), height=height, share_y=share_y)
    return figure, [(axes, *part) for axes, part in zip(row, named, strict=True)]


def tiles(
    count: int, columns: int, *, height: float, more: float = 0, phone: int = 1
) -> tuple[Figure, list[Axes]]:
    """Return a figure of `count` panels in rows of `columns`, and hide the places that are left.

    A row is `height` inches high, the figure `more` than its rows; on a phone a row has `phone`
    panels.
    """
    columns = phone if style.narrow() else columns
    depth = -(-count // columns)
    figure, grid = style.grid(depth, columns, height=height * depth + more)
    every = [axes for row in grid for axes in row]
    for axes in every[count:]:
        axes.set_visible(False)
    return figure, every[:count]


def image(axes: Axes, cells: pd.DataFrame) -> np.ndarray:
    """Show pixels (columns: row, column, value) with 0 white and 1 black, and return them.

    Empty values are not seen: they get a colour of their own.
    """
    values = cells.pivot_table(index="row", columns="column", values="value", dropna=False)
    pixels = values.to_numpy()
    greys = mpl.colormaps["gray_r"].with_extremes(bad=style.UNSEEN)
    axes.imshow(np.ma.masked_invalid(pixels), cmap=greys, vmin=0, vmax=1)
    bare(axes, framed=True)
    return pixels


def gallery(
    data: pd.DataFrame, row: str, column: str, *, height: float, more: float = 0, size: float = 11.5
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """Return a table of images by two columns of the data, and the axes and pixels of each.

    The values of `column` stand above, of this size; a row is `height` inches high.
    """
    rows, columns = (list(dict.fromkeys(data[name])) for name in (row, column))
    count, across = len(rows) * len(columns), len(columns)
    if style.narrow():
        height, size = style.width() / across + 0.7, 8
    figure, every = tiles(count, across, height=height, more=more, phone=across)
    shown = []
    for axes, (i, j) in zip(every, product(rows, columns), strict=True):
        cells = data[(data[row] == i) & (data[column] == j)]
        image(axes, cells)
        shown.append((axes, cells))
    for axes, name in zip(every, columns, strict=False):
        axes.set_title(lines(str(name)), fontsize=size)
    return figure, shown


def in_two(name: str) -> str:
    """Return a row's name; on a phone in two lines, parted behind its middle comma or space."""
    if not style.narrow():
        return name
    gaps = [gap.end() for gap in re.finditer(", ", name)] or [
        gap.end() for gap in re.finditer(" ", name)
    ]
    if not gaps:
        return name
    at = min(gaps, key=lambda gap: abs(gap - len(name) / 2))
    return f"{name[:at].rstrip()}\n{name[at:]}"


def tell(axes: Axes, cells: pd.DataFrame, size: float = 11) -> None:
    """Write a picture's text (column: text) below it."""
    text = str(cells["text"].iloc[0])
    axes.set_xlabel(lines(text), fontsize=7.5 if style.narrow() else size)


def lines(text: str) -> str:
    """Return a text that stands at a picture; on a phone in lines of a few letters."""
    if not style.narrow():
        return text
    return "\n".join("\n".join(wrap(line, 11)) for line in text.split("\n"))


def grey_key(figure: Figure) -> None:
    """Say below a figure how images show values outside of [0, 1], such as those of noise."""
    figure.legend(
        handles=[
            Patch(facecolor="white", edgecolor=style.BLACK, linewidth=0.8, label="0 or less"),
            Patch(facecolor="black", edgecolor=style.BLACK, linewidth=0.8, label="1 or more"),
        ],
        loc="outside lower center",
        ncols=2,
    )


def curves(
    axes: Axes, data: pd.DataFrame, x: str, y: str, *, markers: bool = False, shade: float = 0
) -> None:
    """Draw a curve for each series, its points marked on demand, and its band if `shade` is set."""
    for index, (name, rows) in enumerate(parts(data)):
        look = style.line(index)
        marker = style.MARKERS[index] if markers else None
        axes.plot(rows[x], rows[y], marker=marker, label=name, **look)
        if shade:
            band(axes, rows, x, look["color"], shade)


def band(axes: Axes, rows: pd.DataFrame, x: str, colour: Any, shade: float, **more: Any) -> None:
    """Fill what lies between `low` and `high` (columns) with a pale colour."""
    look = {"color": colour, "alpha": shade, "linewidth": 0}
    axes.fill_between(rows[x], rows["low"], rows["high"], **look, **more)


def whiskers(axes: Axes, x: pd.Series, rows: pd.DataFrame, y: str, **look: Any) -> None:
    """Draw points at `x` with whiskers from `low` to `high` (columns)."""
    reach = np.clip([rows[y] - rows["low"], rows["high"] - rows[y]], 0, None)
    axes.errorbar(x, rows[y], yerr=reach, **{"capsize": 2, "elinewidth": 1, **look})


def some_whiskers(
    axes: Axes, rows: pd.DataFrame, x: str, y: str, place: tuple[int, int], **look: Any
) -> None:
    """Draw whiskers at a few points of a curve; those of the `place[1]` curves take turns.

    For curves so near that their bands would hide one another.
    """
    step = max(1, len(rows) // SOME)
    few = rows.iloc[step * (place[0] + 1) // (place[1] + 1) :: step]
    whiskers(axes, few[x], few, y, **{"linestyle": "none", **look})


def stairs(axes: Axes, rows: pd.DataFrame, x: str, y: str, shade: float, **look: Any) -> None:
    """Draw values at whole numbers as steps around them, with the band from `low` to `high`."""
    axes.step(rows[x], rows[y], where="mid", **look)
    band(axes, rows, x, look["color"], shade, step="mid")


def beside(
    axes: Axes,
    point: tuple[float, float],
    text: str,
    colour: Any,
    side: str = "right",
    **look: Any,
) -> None:
    """Write a name beside a point, at a side such as "right", "above" or "below right"."""
    x = 5 * (("right" in side) - ("left" in side))
    y = 5 * (("above" in side) - ("below" in side))
    shift = (x, y)
    across = {5: "left", -5: "right", 0: "center"}[x]
    upright = {5: "bottom", -5: "top", 0: "center"}[y]
    axes.annotate(
        *(text, point),
        xytext=shift,
        textcoords="offset points",
        color=colour,
        annotation_clip=False,
        **{"fontsize": 9, "ha": across, "va": upright, **look},
    )


def at_height(rows: pd.DataFrame, x: str, y: str, height: float) -> tuple[float, float]:
    """Return the point of a curve that is nearest to a height."""
    point = rows.iloc[int((rows[y] - height).abs().argmin())]
    return float(point[x]), float(point[y])


def at_ends(axes: Axes, ends: Sequence[tuple[float, str, Any]], gap: float = 0.07) -> None:
    """Write names right of a panel at the heights (height, name, colour) of their curves' ends.

    Names stay `gap` of the panel's height apart; the limits of the axes must be set before.
    """
    left = axes.get_xlim()[0]
    place = axes.transAxes.inverted().transform
    heights = [float(place(axes.transData.transform((left, y)))[1]) for y, _, _ in ends]
    order = np.argsort(heights, kind="stable")
    free = np.array(heights)[order]
    for k in range(1, len(free)):
        free[k] = max(free[k], free[k - 1] + gap)
    free[-1] = min(free[-1], 1.0)
    for k in range(len(free) - 2, -1, -1):
        free[k] = min(free[k], free[k + 1] - gap)
    for k, height in zip(order, free, strict=True):
        _, text, colour = ends[k]
        axes.text(1.02, height, text, color=colour, va="center", size=9, transform=axes.transAxes)


def percent(axis: Axis, decimals: int | None = 0) -> None:
    """Write an axis of shares in percent."""
    axis.set_major_formatter(PercentFormatter(1.0, decimals=decimals))


def shares(axes: Axes, low: float = -0.02, high: float | None = 1.02) -> None:
    """Let y run over all shares, in percent, or up to the largest that is drawn (None)."""
    axes.set_ylim(low, high)
    percent(axes.yaxis)


def whole(axis: Axis) -> None:
    """Put ticks at whole numbers only."""
    axis.set_major_locator(MaxNLocator(integer=True))


def bare(axes: Axes, *, framed: bool) -> None:
    """Take ticks and grid away; leave a frame all round, or none."""
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(framed)


def legend_inside(axes: Axes, place: str, **look: Any) -> None:
    """Put a panel's legend into it; on a phone, where curves would cross it, below."""
    if style.narrow():
        legend_below(axes, **{**look, "ncols": 1})
    else:
        axes.legend(**{**look, "loc": place})


def legend_below(axes: Axes, y: float = -0.2, x: float = 0.5, **look: Any) -> None:
    """Put a panel's legend under it, its upper middle at (x, y) in units of the panel."""
    axes.legend(loc="upper center", bbox_to_anchor=(x, y), **{"fontsize": 9, **look})


def legend_beside(figure: Figure, phone: int = 2, **look: Any) -> None:
    """Put a figure's legend on its right; on a phone, where that is too narrow, below it.

    There it has `phone` columns.
    """
    narrow = style.narrow()
    place = (
        {"loc": "outside lower center", "ncols": phone}
        if narrow
        else {"loc": "outside right center"}
    )
    figure.legend(**{**look, **place})


def common_legend(figure: Figure, *every: Axes, columns: int, **look: Any) -> None:
    """Put one legend of what these axes show, each text once, below the whole figure.

    `look` may name another place. On a phone it is below, and has two columns at most.
    """
    columns = min(columns, 2) if style.narrow() else columns
    below = {"loc": "outside lower center"}
    look = look | below if style.narrow() else below | look
    handles = {
        text: handle
        for axes in every
        for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(handles.values()), list(handles), ncols=columns, **look)


def guarantee(axes: Axes, data: pd.DataFrame, y: float) -> None:
    """Draw measured probabilities against guaranteed ones, a point for each attacked image.

    What would break the guarantee is red, and says so at the height y.
    """
    axes.plot([0, 1], [0, 1], color=style.BLACK, linewidth=0.9)
    axes.fill_between([0, 1], [0, 1], [0, 0], color=style.VERMILION, alpha=0.08, linewidth=0)
    text = "far below the line:\nguarantee broken"
    axes.text(0.98, y, text, color=style.VERMILION, ha="right")
    for index, (name, rows) in enumerate(parts(data)):
        look = style.points(index) | {"alpha": 0.45, "markersize": 3.2}
        axes.plot(rows["guaranteed"], rows["measured"], label=name, **look)
    axes.set(xlabel="guaranteed class probability", xlim=(0, 1.01), ylim=(0, 1.02))
