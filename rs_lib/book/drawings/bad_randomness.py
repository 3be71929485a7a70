"""The figures of the chapter on bad randomness."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rs_lib.book import style
from rs_lib.book.drawings import common


def network(data: pd.DataFrame) -> Figure:
    """What is claimed beyond the truth, a row of marks for each law.

    Columns: series (the law), x (the claim minus a bound of the true radius, in σ), false.
    """
    figure, (axes,) = style.panels(height=4.2)
    laws = list(dict.fromkeys(data["series"]))
    axes.axvline(0, color=style.BLACK, linewidth=0.9)
    for row, law in enumerate(laws):
        own = data[data["series"] == law]
        for wrong, colour in ((False, style.BLUE), (True, style.VERMILION)):
            marks = own.loc[own["false"] == wrong, "x"]
            axes.plot(marks, np.full(len(marks), row), "|", color=colour, markersize=9)
    axes.set(
        yticks=range(len(laws)),
        yticklabels=laws,
        ylim=(len(laws) - 0.4, -0.6),
        xlabel="claim − bound of the truth, in σ",
    )
    axes.grid(visible=False, axis="y")
    return figure


def worst(data: pd.DataFrame) -> Figure:
    """False radius of the worst classifier against β. Columns: series, x, y."""
    figure, (axes,) = style.panels(height=3.4)
    for index, (name, rows) in enumerate(common.parts(data)):
        look = style.line(index)
        axes.plot(rows["x"], rows["y"], **look)
        height, side = ((1.4, "left below"), (2.6, "left"), (2.2, "right"), (2.8, "right"))[index]
        point = common.at_height(rows, "x", "y", height)
        common.beside(axes, point, name.replace(", ", ",\n"), look["color"], side)
    axes.set(xscale="log", xlim=(1, data["x"].max()), ylim=(0, 4))
    axes.set(xlabel="strength β of the attack", ylabel="certified radius, in σ (true: 0)")
    return figure


def power(data: pd.DataFrame) -> Figure:
    """Power of tests against the strength of beta. Columns: series, x (β + 1), y."""
    figure, (axes,) = style.panels(height=3.2)
    for index, (name, rows) in enumerate(common.parts(data)):
        look = style.line(index)
        axes.plot(rows["x"], rows["y"], **look)
        height = (0.3, 0.7, 0.8)[index]
        falling = rows[rows["x"] > 3]
        point = common.at_height(falling, "x", "y", height)
        side = ("left", "left", "right")[index]
        common.beside(axes, point, name.replace(", ", ",\n"), look["color"], side)
    axes.set(
        xscale="log", xlim=(1, data["x"].max()), xlabel="β + 1", ylabel="rejected with probability"
    )
    common.shares(axes)
    return figure


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
    across = 2 if style.narrow() else 3
    common.legend_below(axes, -0.17, ncols=across, handletextpad=0.1, columnspacing=0.9)


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
