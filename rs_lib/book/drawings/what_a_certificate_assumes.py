"""The figures of the chapter on what a certificate assumes."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rs_lib.book import style
from rs_lib.book.drawings import common


def reachable(data: pd.DataFrame) -> Figure:
    """Left: floats that a pixel can reach, a row per pixel. Right: floats for one integer sum.

    Columns: panel ("floats" or "sums"), series, x (place, or integer sum), y (unused, or the
    offset from the exact quotient in units of 2^-25).
    """
    figure, (left, right) = style.panels(2, height=3.4)
    names = []
    for row, (name, marks) in enumerate(common.parts(data[data["panel"] == "floats"])):
        names.append(name)
        colour = style.COLOURS[row]
        left.vlines(marks["x"], row - 0.32, row + 0.32, color=colour, linewidth=2.2)
    left.set(
        yticks=range(len(names)),
        yticklabels=names,
        ylim=(len(names) - 0.45, -0.55),
        xlabel="neighbouring floats near −0.012",
        xticks=[],
        ylabel="pixel value x",
        title="floats that x can reach",
    )
    left.grid(visible=False)
    looks: dict[str, dict[str, Any]] = {
        "float by float": {"color": style.VERMILION, "marker": "_", "markersize": 9, "zorder": 2},
        "integers, once": {"color": style.BLUE, "marker": "o", "markersize": 5, "zorder": 3},
    }
    for name, points in common.parts(data[data["panel"] == "sums"]):
        right.plot(points["x"], points["y"], linestyle="none", label=name, **looks[name])
    top = data.loc[data["panel"] == "sums", "y"].max()
    right.set(
        xlabel="noise + pixel, an integer",
        ylabel="float value − exact value, in $2^{-25}$",
        title="floats that stand for one sum",
        ylim=(None, top * 1.45),
    )
    common.whole(right.xaxis)
    right.legend(loc="upper left", ncols=2, handletextpad=0.1, columnspacing=0.7, fontsize=9)
    return figure


def contradictions(data: pd.DataFrame) -> Figure:
    """Claimed radius and distance of a counterexample, a row per false certificate.

    Columns: series, claimed, counterexample (both in pixel units).
    """
    figure, (axes,) = style.panels(1, height=2.9)
    rows = np.arange(len(data))
    axes.hlines(rows, data["counterexample"], data["claimed"], color="#aaaaaa", linewidth=2)
    axes.plot(
        data["counterexample"],
        rows,
        "X",
        color=style.VERMILION,
        markersize=8,
        label="a counterexample",
    )
    axes.plot(
        data["claimed"], rows, "o", color=style.BLUE, markersize=7, label="the claimed radius"
    )
    for row, far, near in zip(rows, data["claimed"], data["counterexample"], strict=True):
        axes.text(
            (far * near) ** 0.5, row - 0.12, f"{_factor(far / near)}", ha="center", va="bottom"
        )
    axes.set(
        xscale="log",
        yticks=rows,
        yticklabels=[common.in_two(name) for name in data["series"]],
        ylim=(len(data) - 0.5, -1.75),
        xlim=(1e-7, 15),
        xlabel=common.in_two("ℓ2 distance from the image, in pixel units"),
    )
    axes.grid(visible=False, axis="y")
    common.legend_inside(axes, "upper center", ncols=2)
    return figure


def _factor(ratio: float) -> str:
    if ratio < 10_000:
        return f"×{ratio:,.0f}"
    power = int(np.floor(np.log10(ratio)))
    return rf"×{ratio / 10**power:.0f} $\cdot$ $10^{{{power}}}$"
