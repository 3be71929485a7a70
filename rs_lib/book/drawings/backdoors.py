"""The figures of the chapter on backdoors."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter

from rs_lib.book import style
from rs_lib.book.drawings import common

GREY = "#888888"


def views(data: pd.DataFrame) -> Figure:
    """Noisy copies of a few images, a row for each image and a column for each keep.

    Columns: image (title of the row), panel (title of the column), row, column, value (0 or 1),
    label (what the example is called), wrong (1 where that is not its class).
    """
    figure, shown = common.gallery(data, "image", "panel", height=1.55, more=0.3, size=10.5)
    columns = data["panel"].nunique()
    for axes, cells in shown[::columns]:
        axes.set_ylabel(str(cells["image"].iloc[0]), fontsize=10)
    for axes, cells in shown:
        wrong = bool(cells["wrong"].iloc[0])
        colour, weight = (style.VERMILION, "bold") if wrong else (style.BLACK, "normal")
        axes.set_xlabel(str(cells["label"].iloc[0]), fontsize=9, color=colour, weight=weight)
    return figure


def enumeration(data: pd.DataFrame) -> Figure:
    """What the worst attack leaves of a class in enumerated pipelines, and the bound.

    Columns: panel, series ("bound", "learners", "backdoored"), p (at the clean input), worst.
    """
    figure, shown = common.panels(data, height=3.0, share_y=True)
    for axes, name, rows in shown:
        bound, learners, backdoored = (
            rows.loc[rows["series"] == series, ["p", "worst"]].to_numpy().T
            for series in ("bound", "learners", "backdoored")
        )
        axes.plot(*bound, color=style.BLACK, label="the bound")
        axes.plot(*learners, "o", color=style.BLUE, label="learners", markersize=3.2, alpha=0.55)
        axes.plot(*backdoored, "D", color=style.VERMILION, label="backdoored", markersize=6)
        axes.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
        axes.set(xlabel="probability, clean", title=name, xlim=(0.48, 1.01), ylim=(-0.02, 1.02))
    figure.axes[0].set_ylabel("probability, worst attack")
    figure.axes[0].legend(loc="upper left", fontsize=8.5)
    return figure


def ceilings(data: pd.DataFrame) -> Figure:
    """Most changed entries that any certificate reaches, against the keep probability.

    Columns: series (a number of models, or "budget"), keep, radius, text (of a budget).
    """
    figure, (axes,) = style.panels(1, height=3.7)
    budgets = data["series"] == "budget"
    for index, (name, rows) in enumerate(common.parts(data[~budgets & (data["radius"] > 0)])):
        look = style.line(index)
        axes.step(rows["keep"], rows["radius"], where="mid", label=f"{name} models", **look)
    for _, row in data[budgets].iterrows():
        axes.axhline(row["radius"], color=GREY, linewidth=0.9, linestyle=":")
        place = (0.975, row["radius"])
        axes.text(*place, str(row["text"]), fontsize=9, color="#444444", va="center")
    axes.set(
        xlabel="probability that an entry keeps its value",
        ylabel="changed entries",
        yscale="log",
        ylim=(0.8, 400),
        xlim=(0.53, 0.97),
    )
    _ticks(axes.yaxis, [1, 2, 5, 10, 20, 50, 100, 200])
    figure.legend(loc="outside right center")
    return figure


def _ticks(axis: Axis, places: list[int]) -> None:
    axis.set_major_locator(FixedLocator(places))
    axis.set_major_formatter("{x:.0f}")
    axis.set_minor_formatter(NullFormatter())


def tradeoff(data: pd.DataFrame) -> Figure:
    """Probability of the right answer against keep, and what r changed entries demand.

    Columns: panel, kind ("demand" or "offer"), series, keep, p.
    """
    figure, shown = common.panels(data, height=4.0, share_y=True)
    for axes, name, own in shown:
        _demands(axes, own[own["kind"] == "demand"])
        for index, (series, rows) in enumerate(common.parts(own[own["kind"] == "offer"])):
            marker = style.MARKERS[index] if len(rows) < 20 else None
            axes.plot(rows["keep"], rows["p"], marker=marker, label=series, **style.line(index))
        axes.set(
            xlabel="probability that an entry keeps its value",
            title=name,
            ylim=(0.38, 1.01),
            xlim=(0.46, 1.0),
        )
        axes.legend(loc="lower right", fontsize=8.5, ncols=2)
    figure.axes[0].set_ylabel("probability of the right answer")
    return figure


def _demands(axes: Axes, data: pd.DataFrame) -> None:
    """Draw a grey curve for each series, its name on it at a height of its own."""
    for (series, rows), height in zip(common.parts(data), (0.8, 0.86, 0.93, 0.72), strict=False):
        axes.plot(rows["keep"], rows["p"], color=GREY, linewidth=1)
        middle = rows.iloc[int((rows["p"] - height).abs().argmin())]
        axes.text(
            *(middle["keep"], middle["p"], series),
            fontsize=8.5,
            ha="center",
            va="center",
            color="#444444",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )


def certified(data: pd.DataFrame) -> Figure:
    """Certified accuracy against changed entries, a panel for each comparison.

    Columns: panel, series, radius, share, low, high.
    """
    named = common.parts(data, "panel")
    columns = min(2, len(named))
    figure, all_axes = common.tiles(len(named), columns, height=3.5)
    for axes, (name, own) in zip(all_axes, named, strict=True):
        common.curves(axes, own, "radius", "share", markers=True, shade=0.13)
        common.legend_below(axes, ncols=2, fontsize=8.5)
        axes.set(xlabel="changed entries", title=name)
        common.whole(axes.xaxis)
        common.shares(axes)
    for axes in all_axes[::columns]:
        axes.set_ylabel("certified accuracy")
    return figure


def attacked(data: pd.DataFrame) -> Figure:
    """Accuracy under attack against the changed entries, and the certified accuracy.

    Columns: panel, series, cost (0: no attack), share, low, high.
    """
    figure, shown = common.panels(data, height=3.8, share_y=True)
    for axes, name, own in shown:
        common.curves(axes, own, "cost", "share", markers=True, shade=0.13)
        axes.set_xscale("symlog", linthresh=1)
        _ticks(axes.xaxis, [0, 1, 2, 3, 5, 10, 20, 50, 100])
        axes.set(xlabel="changed entries", title=name)
        common.shares(axes)
        axes.legend(loc="lower left", fontsize=8.5)
    figure.axes[0].set_ylabel("share of images answered right")
    return figure
