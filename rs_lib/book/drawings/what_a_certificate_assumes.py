"""The figures of the chapter on what a certificate assumes."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
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


def generators(data: pd.DataFrame) -> Figure:
    """Left: claimed against true radius under tampered noise. Right: who notices, and when.

    Columns: panel ("claims" or "tests"), series, kind, x, y. Claims: series is the attack, kind
    "line" or "point", x and y the true and the claimed radius in σ. Tests: series is the test,
    kind the attack, x the number of normals that the test needs.
    """
    figure, (left, right) = style.panels(2, height=4.3)
    _claims(left, data[data["panel"] == "claims"])
    _tests(right, data[data["panel"] == "tests"])
    return figure


def _claims(axes: Axes, data: pd.DataFrame) -> None:
    low, high = data["x"].min(), data["x"].max()
    axes.fill_between([low, high], [low, high], [9, 9], color=style.VERMILION, alpha=0.07)
    for index, (name, rows) in enumerate(common.parts(data)):
        line, points = (rows[rows["kind"] == kind] for kind in ("line", "point"))
        axes.plot(line["x"], line["y"], **style.line(index))
        shown = points[points["y"] > 0]
        axes.plot(shown["x"], shown["y"], label=name, **style.points(index))
    axes.text(low * 1.1, 6.4, "claims too much", color=style.VERMILION, va="center")
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(low, high),
        ylim=(0.01, 9),
        xlabel="true radius, in σ",
        ylabel="claimed radius, in σ",
        title="a linear classifier",
    )
    common.legend_below(axes, -0.17, ncols=3, handletextpad=0.1, columnspacing=0.9)


def _by_name_and_strength(attack: str) -> tuple[str, float]:
    name, strength = attack.split(" = ")
    return name, float(strength)


def _tests(axes: Axes, data: pd.DataFrame) -> None:
    """A table of attacks and tests, the darker the sooner a test notices; empty: it does not."""
    attacks = sorted(data["kind"].unique(), key=_by_name_and_strength)
    tests = list(dict.fromkeys(data["series"]))
    table = data.pivot_table(index="kind", columns="series", values="x").loc[attacks, tests]
    normals = table.to_numpy()
    steps = -np.log2(normals)
    low, high = np.nanmin(steps), np.nanmax(steps)
    # Not to full depth: numbers are written on it.
    axes.imshow(steps, cmap="Blues", vmin=low - 0.1 * (high - low), vmax=high, aspect="auto")
    for i, j in zip(*np.nonzero(np.isfinite(normals)), strict=True):
        dark = steps[i, j] > (low + 2 * high) / 3
        colour = "white" if dark else style.BLACK
        axes.text(j, i, _short(normals[i, j]), ha="center", va="center", size=8.5, color=colour)
    axes.set_xticks(range(len(tests)), tests, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(attacks)), attacks)
    axes.tick_params(length=0, labelsize=9)
    axes.grid(visible=False)
    axes.set(title="normals until noticed", ylabel="attack")


def _short(count: float) -> str:
    """Return a number of normals, a power of two, in the least room."""
    return f"{count:.0f}" if count < 1024 else f"{count / 1024:.0f}k"
