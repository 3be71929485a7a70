"""Figures of the chapter on smoothed embeddings."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rs_lib.book import style
from rs_lib.book.drawings import common

NAMED: dict[str, tuple[float, str]] = {
    "vector": (0.12, "right"),
    "law": (0.25, "below left"),
    "hard votes": (0.3, "right above"),
}
"""At which height each certificate of `certified` is named, and on which side; others below 0."""


def certified(data: pd.DataFrame) -> Figure:
    """Certified accuracy against the radius, a curve for each certificate, a panel for each way.

    Columns: panel, series, radius, value, low, high.
    """
    figure, shown = common.panels(data, height=3.7, share_y=True)
    for axes, title, own in shown:
        series = common.parts(own)
        for index, (name, rows) in enumerate(series):
            look = style.line(index)
            axes.plot(rows["radius"], rows["value"], **look)
            plain = {"color": look["color"], "marker": style.MARKERS[index], "markersize": 3}
            drawn = rows[rows["value"] > 0]
            common.some_whiskers(axes, drawn, "radius", "value", (index, len(series)), **plain)
            if name in NAMED:
                at, side = NAMED[name]
                point = common.at_height(rows, "radius", "value", at)
                common.beside(axes, point, name, look["color"], side)
            else:
                at = (0.0, 0.62)[index]
                common.beside(axes, (at, 0.0), name, look["color"], "right below")
        axes.set(title=title, xlabel="ℓ2 radius, in units of σ", xlim=(0, data["radius"].max()))
        common.shares(axes, low=-0.1, high=None)
    for axes, _, _ in shown[: len(shown) if style.narrow() else 1]:
        axes.set_ylabel("certified accuracy")
    return figure


def ladder(data: pd.DataFrame) -> Figure:
    """What the rest of g is worth, a curve for each mean score. Columns: series, rest, times."""
    figure, (axes,) = style.panels(height=3.2)
    for index, (name, rows) in enumerate(common.parts(data)):
        look = style.line(index)
        axes.plot(rows["rest"], rows["times"], **look)
        height, side = ((1.3, "right below"), (2.5, "left"), (1.7, "left"))[index]
        point = common.at_height(rows, "rest", "times", height)
        common.beside(axes, point, name, look["color"], side)
    axes.set(xlabel="|g⊥|", ylabel="radius, over that of the mean", xlim=(0, 1), ylim=(0.9, 4))
    return figure


def worst(data: pd.DataFrame) -> Figure:
    """Scores of the two embeddings that lose most, along the shift. Columns: series, z, score."""
    figure, (axes,) = style.panels(height=3.2)
    axes.axhline(0, color=style.BLACK, linewidth=0.9)
    for index, (name, rows) in enumerate(common.parts(data)):
        look = style.line(index)
        axes.plot(rows["z"], rows["score"], **look)
        place = float(rows.loc[rows["score"] > 0, "z"].max())
        height, side = ((-0.6, "left"), (0.0, "right above"))[index]
        common.beside(axes, (place, height), name.replace(": ", ":\n"), look["color"], side)
    axes.set(xlabel="place along the shift, in units of σ", ylabel="score ⟨f, u⟩")
    axes.set(xlim=(data["z"].min(), data["z"].max()), ylim=(-1.08, 1.08))
    return figure


def published(data: pd.DataFrame) -> Figure:
    """Curves of the published logs, a panel for each data set.

    Columns: panel, series, radius, value, low, high; a series without values is a band alone.
    """
    figure, shown = common.panels(data, height=3.2, share_y=True)
    for axes, title, own in shown:
        for index, (name, rows) in enumerate(common.parts(own)):
            look = style.line(index)
            if rows["value"].isna().all():
                common.band(axes, rows, "radius", look["color"], 0.45)
                _point_at(axes, rows, name, look["color"])
                continue
            axes.plot(rows["radius"], rows["value"], marker=style.MARKERS[index], **look)
            common.band(axes, rows, "radius", look["color"], 0.12)
            at, side = ((0.5, "below left"), (0.1, "above right"))[index]
            point = rows.iloc[int((rows["radius"] - at).abs().argmin())]
            common.beside(axes, (point["radius"], point["value"]), name, look["color"], side)
        axes.set(title=title, xlabel="ℓ2 radius", xlim=(0, 1.02))
        common.shares(axes, high=0.66)
    for axes, _, _ in shown[: len(shown) if style.narrow() else 1]:
        axes.set_ylabel("certified accuracy")
    return figure


def _point_at(axes: Axes, rows: pd.DataFrame, name: str, colour: str) -> None:
    """Name a narrow band from above its neighbours, by a line into its middle."""
    row = rows.iloc[len(rows) // 2]
    axes.annotate(
        name,
        (row["radius"], (row["low"] + row["high"]) / 2),
        xytext=(row["radius"] + 0.05, row["high"] + 0.17),
        color=colour,
        fontsize=9,
        arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.9},
    )
