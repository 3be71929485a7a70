"""The figures of the chapter on backdoors."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, PercentFormatter

from rs_lib.book import style


def _by_series(data: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), rows) for name, rows in data.groupby("series", sort=False)]


def _panels(data: pd.DataFrame) -> list[str]:
    return [str(name) for name in dict.fromkeys(data["panel"])]


def _percent(axes: Axes) -> None:
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def views(data: pd.DataFrame) -> Figure:
    """Noisy copies of a few images, a row for each image and a column for each keep.

    Columns: image (title of the row), panel (title of the column), row, column, value (0 or 1),
    label (what the example is called), wrong (1 where that is not its class).
    """
    images, names = list(dict.fromkeys(data["image"])), _panels(data)
    figure, axes = style.grid(len(images), len(names), height=1.55 * len(images) + 0.3)
    for i, image in enumerate(images):
        for j, name in enumerate(names):
            cells = data[(data["image"] == image) & (data["panel"] == name)]
            picture = cells.pivot_table(index="row", columns="column", values="value").to_numpy()
            panel = axes[i][j]
            panel.imshow(picture, cmap="gray_r", vmin=0, vmax=1)
            panel.set(xticks=[], yticks=[])
            panel.grid(visible=False)
            for side in ("right", "top"):
                panel.spines[side].set_visible(True)
            if i == 0:
                panel.set_title(name, fontsize=10.5)
            if j == 0:
                panel.set_ylabel(image, fontsize=10)
            wrong = bool(cells["wrong"].iloc[0])
            colour, weight = (style.VERMILION, "bold") if wrong else (style.BLACK, "normal")
            panel.set_xlabel(str(cells["label"].iloc[0]), fontsize=9, color=colour, weight=weight)
    return figure


def enumeration(data: pd.DataFrame) -> Figure:
    """What the worst attack leaves of a class in enumerated pipelines, and the bound.

    Columns: panel, series ("bound", "learners", "backdoored"), p (at the clean input), worst.
    """
    names = _panels(data)
    figure, all_axes = style.panels(len(names), height=3.0, share_y=True)
    for axes, name in zip(all_axes, names, strict=True):
        own = dict(_by_series(data[data["panel"] == name]))
        axes.plot(own["bound"]["p"], own["bound"]["worst"], color=style.BLACK, label="the bound")
        axes.plot(
            *(own["learners"]["p"], own["learners"]["worst"], "o"),
            color=style.BLUE,
            label="learners",
            linestyle="none",
            markersize=3.2,
            alpha=0.55,
        )
        axes.plot(
            *(own["backdoored"]["p"], own["backdoored"]["worst"], "D"),
            color=style.VERMILION,
            markersize=6,
            label="backdoored",
        )
        axes.axhline(0.5, color="#888888", linewidth=0.8, linestyle=":")
        axes.set(xlabel="probability, clean", title=name, xlim=(0.48, 1.01), ylim=(-0.02, 1.02))
    all_axes[0].set_ylabel("probability, worst attack")
    all_axes[0].legend(loc="upper left", fontsize=8.5)
    return figure


def ceilings(data: pd.DataFrame) -> Figure:
    """Most changed entries that any certificate reaches, against the keep probability.

    Columns: series (a number of models, or "budget"), keep, radius, text (of a budget).
    """
    figure, (axes,) = style.panels(1, height=3.7)
    index = 0
    for name, rows in _by_series(data):
        if name == "budget":
            for _, row in rows.iterrows():
                axes.axhline(row["radius"], color="#888888", linewidth=0.9, linestyle=":")
                axes.text(
                    *(0.975, row["radius"], str(row["text"])),
                    fontsize=9,
                    color="#444444",
                    va="center",
                )
            continue
        drawn = rows[rows["radius"] > 0]
        axes.step(
            drawn["keep"], drawn["radius"], where="mid", label=f"{name} models", **style.line(index)
        )
        index += 1
    axes.set(
        xlabel="probability that an entry keeps its value",
        ylabel="changed entries",
        yscale="log",
        ylim=(0.8, 400),
        xlim=(0.53, 0.97),
    )
    axes.yaxis.set_major_locator(FixedLocator([1, 2, 5, 10, 20, 50, 100, 200]))
    axes.yaxis.set_major_formatter("{x:.0f}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    figure.legend(loc="outside right center")
    return figure


def tradeoff(data: pd.DataFrame) -> Figure:
    """Probability of the right answer against keep, and what r changed entries demand.

    Columns: panel, kind ("demand" or "offer"), series, keep, p.
    """
    names = _panels(data)
    figure, all_axes = style.panels(len(names), height=4.0, share_y=True)
    for axes, name in zip(all_axes, names, strict=True):
        own = data[data["panel"] == name]
        demands = _by_series(own[own["kind"] == "demand"])
        for (series, rows), height in zip(demands, (0.8, 0.86, 0.93, 0.72), strict=False):
            axes.plot(rows["keep"], rows["p"], color="#888888", linewidth=1)
            middle = rows.iloc[int((rows["p"] - height).abs().argmin())]
            axes.text(
                *(middle["keep"], middle["p"], series),
                fontsize=8.5,
                ha="center",
                va="center",
                color="#444444",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            )
        for index, (series, rows) in enumerate(_by_series(own[own["kind"] == "offer"])):
            few = len(rows) < 20
            axes.plot(
                *(rows["keep"], rows["p"]),
                marker=style.MARKERS[index] if few else None,
                label=series,
                **style.line(index),
            )
        axes.set(
            xlabel="probability that an entry keeps its value",
            title=name,
            ylim=(0.38, 1.01),
            xlim=(0.46, 1.0),
        )
        axes.legend(loc="lower right", fontsize=8.5, ncols=2)
    all_axes[0].set_ylabel("probability of the right answer")
    return figure


def certified(data: pd.DataFrame) -> Figure:
    """Certified accuracy against changed entries, a panel for each comparison.

    Columns: panel, series, radius, share, low, high; a panel without curves says so (one row
    whose share is empty).
    """
    names = _panels(data)
    columns = 2 if len(names) > 2 else len(names)
    rows_of_panels = -(-len(names) // columns)
    figure, table = style.grid(rows_of_panels, columns, height=3.5 * rows_of_panels)
    all_axes = [axes for row in table for axes in row]
    for axes in all_axes[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(all_axes, names, strict=False):
        own = data[data["panel"] == name]
        if own["share"].isna().all():
            axes.text(
                *(0.5, 0.5, "not recorded yet"), transform=axes.transAxes, ha="center", size=12
            )
        else:
            for index, (series, rows) in enumerate(_by_series(own)):
                look = style.line(index)
                axes.plot(
                    *(rows["radius"], rows["share"]),
                    marker=style.MARKERS[index],
                    label=series,
                    **look,
                )
                axes.fill_between(
                    *(rows["radius"], rows["low"], rows["high"]),
                    color=look["color"],
                    alpha=0.13,
                    linewidth=0,
                )
            axes.legend(
                loc="upper center",
                bbox_to_anchor=(0.5, -0.2),
                ncols=2,
                fontsize=8.5,
                frameon=False,
            )
        axes.set(xlabel="changed entries", title=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _percent(axes)
    for row in table:
        row[0].set_ylabel("certified accuracy")
    return figure


def attacked(data: pd.DataFrame) -> Figure:
    """Accuracy under attack against the changed entries, and the certified accuracy.

    Columns: panel, series, cost (0: no attack), share, low, high.
    """
    names = _panels(data)
    figure, all_axes = style.panels(len(names), height=3.8, share_y=True)
    for axes, name in zip(np.atleast_1d(np.array(all_axes)), names, strict=True):
        for index, (series, rows) in enumerate(_by_series(data[data["panel"] == name])):
            look = style.line(index)
            axes.plot(
                *(rows["cost"], rows["share"]), marker=style.MARKERS[index], label=series, **look
            )
            axes.fill_between(
                *(rows["cost"], rows["low"], rows["high"]),
                color=look["color"],
                alpha=0.13,
                linewidth=0,
            )
        axes.set_xscale("symlog", linthresh=1)
        ticks = [0, 1, 2, 3, 5, 10, 20, 50, 100]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="changed entries", title=name)
        _percent(axes)
        axes.legend(loc="lower left", fontsize=8.5)
    all_axes[0].set_ylabel("share of images answered right")
    return figure
