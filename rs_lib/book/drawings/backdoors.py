"""The figures of the chapter on backdoors."""

from typing import Any

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
    budgets, size = data["series"] == "budget", 7 if style.narrow() else 9
    for index, (name, rows) in enumerate(common.parts(data[~budgets & (data["radius"] > 0)])):
        look = style.line(index)
        axes.step(rows["keep"], rows["radius"], where="mid", label=f"{name} models", **look)
    for _, row in data[budgets].iterrows():
        axes.axhline(row["radius"], color=GREY, linewidth=0.9, linestyle=":")
        place = (0.975, row["radius"])
        axes.text(*place, common.in_two(str(row["text"])), size=size, color="#444444", va="center")
    axes.set(
        xlabel="probability that an entry keeps its value",
        ylabel="changed entries",
        yscale="log",
        ylim=(0.8, 400),
        xlim=(0.53, 0.97),
    )
    _ticks(axes.yaxis, [1, 2, 5, 10, 20, 50, 100, 200])
    common.legend_beside(figure)
    return figure


def _ticks(axis: Axis, places: list[int]) -> None:
    axis.set_major_locator(FixedLocator(places))
    axis.set_major_formatter("{x:.0f}")
    axis.set_minor_formatter(NullFormatter())


LEARNERS = {
    "perceptron": (style.BLUE, "-", "o"),
    "naive Bayes": (style.VERMILION, "--", "s"),
    "nearest neighbour": (style.GREEN, "-.", "^"),
    "ridge": (style.BLACK, ":", "D"),
}
"""Colour, line and marker of each learner."""
SHADES = ("#d9a4c4", "#c27aa5", "#9a4a7b", "#5c2148")
"""Of one quantity that grows: the solvable learner's images."""


def tradeoff(data: pd.DataFrame) -> Figure:
    """Probability of the right answer against keep, and what r changed entries demand.

    Columns: panel, kind ("demand" or "offer"), series (of an offer: a learner, or a number of
    images, growing), keep, p.
    """
    figure, shown = common.panels(data, height=4.3, share_y=True)
    for axes, name, own in shown:
        _demands(axes, own[own["kind"] == "demand"])
        for index, (series, rows) in enumerate(common.parts(own[own["kind"] == "offer"])):
            rest = (SHADES[index % len(SHADES)], style.LINES[index], None)
            colour, dash, marker = LEARNERS.get(series, rest)
            look: dict[str, Any] = {"color": colour, "linestyle": dash, "marker": marker}
            axes.plot(rows["keep"], rows["p"], label=series, **look)
        axes.set(
            xlabel="probability that an entry keeps its value",
            title=name,
            ylim=(0.48, 1.01),
            xlim=(0.46, 1.0),
        )
        common.legend_below(axes, -0.16, ncols=2)
    figure.axes[0].set_ylabel("probability of the right answer")
    return figure


def _demands(axes: Axes, data: pd.DataFrame) -> None:
    """Draw a grey curve for each series, its name left of it at a height of its own."""
    for (series, rows), height in zip(common.parts(data), (0.62, 0.72, 0.82, 0.92), strict=False):
        axes.plot(rows["keep"], rows["p"], color=GREY, linewidth=1)
        place = common.at_height(rows, "keep", "p", height)
        halo = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}
        common.beside(axes, place, series, "#444444", "left", fontsize=8.5, bbox=halo)


def certified(data: pd.DataFrame) -> Figure:
    """Certified accuracy by changed entries: a line for each setting, a number for each radius.

    Columns: panel (a comparison), series (a setting), radius, share, low, high.
    """
    named = common.parts(data, "panel")
    settings = sum(own["series"].nunique() for _, own in named)
    figure, (axes,) = style.panels(1, height=0.7 + 0.33 * settings + 0.36 * len(named))
    place, ticks = 0.0, {}
    for name, own in named:
        axes.text(0, place, name, ha="left", va="center", fontsize=9.5, weight="bold")
        for series, rows in common.parts(own):
            place += 1
            ticks[place] = series
            _numbers(axes, rows.sort_values("radius"), place)
        place += 1.5
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.tick_params(axis="y", labelsize=9, length=0)
    axes.set(xlabel="certified accuracy", xlim=(-0.02, 1.03), ylim=(place - 0.7, -0.7))
    common.percent(axes.xaxis)
    return figure


def _numbers(axes: Axes, rows: pd.DataFrame, place: float) -> None:
    """Write each radius where its certified accuracy lies, with its interval; the last 0 once."""
    lost = rows["radius"] > rows.loc[rows["share"] == 0, "radius"].min()
    shown = rows[~lost]
    axes.hlines(place, shown["share"].min(), shown["share"].max(), color="#cccccc", linewidth=0.8)
    for index, (_, same) in enumerate(shown.groupby("share", sort=False)):
        # Neighbours may be close together: they lie by turns above and below the line.
        height = place + (0.22 if index % 2 else -0.22)
        row = same.iloc[0]
        axes.hlines(height, row["low"], row["high"], color=style.BLUE, linewidth=1.3)
        axes.text(
            *(row["share"], height, ", ".join(f"{radius:.0f}" for radius in same["radius"])),
            ha="center",
            va="center",
            fontsize=7.5,
            bbox={"boxstyle": "round,pad=0.22", "facecolor": "white", "edgecolor": style.BLUE},
        )


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
