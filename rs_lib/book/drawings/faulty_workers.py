"""Figures of the chapter on faulty workers."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from rs_lib.book import style
from rs_lib.book.drawings import common


def grid(data: pd.DataFrame) -> Figure:
    """Accuracy of each rule under each attack, a number in each cell.

    Columns: rule, attack, value.
    """
    rules, attacks = (list(dict.fromkeys(data[name])) for name in ("rule", "attack"))
    table = data.pivot_table(index="rule", columns="attack", values="value")
    cells = table.loc[rules, attacks].to_numpy()
    figure, (axes,) = style.panels(height=3.4)
    axes.imshow(cells, cmap="RdBu", vmin=-0.3, vmax=1.5, aspect="auto")
    size = 7.5 if style.narrow() else 10
    for i in range(len(rules)):
        for j in range(len(attacks)):
            text = f"{100 * cells[i, j]:.0f}" + ("" if style.narrow() else " %")
            axes.text(j, i, text, ha="center", va="center", fontsize=size)
    turned = {"rotation": 90} if style.narrow() else {"rotation": 40, "ha": "right"}
    axes.set_xticks(range(len(attacks)), attacks, fontsize=9, **turned)
    axes.set_yticks(range(len(rules)), rules, fontsize=9)
    axes.grid(visible=False)
    return figure


def constants(data: pd.DataFrame) -> Figure:
    """Constants of rules against the number of faulty workers. Columns: series, faulty, value."""
    figure, (axes,) = style.panels(height=3.3)
    axes.set_yscale("log")
    axes.set(xlabel="faulty workers f of 10", ylabel="largest |error|² / V")
    most = data["faulty"].max()
    axes.set(xlim=(0.9, most + 0.05), ylim=(0.1, 7))
    ends = []
    for index, (name, rows) in enumerate(common.parts(data)):
        look = style.line(index)
        axes.plot(rows["faulty"], rows["value"], marker=style.MARKERS[index], **look)
        ends.append((float(rows["value"].iloc[-1]), name, look["color"]))
    common.whole(axes.xaxis)
    axes.set_yticks([0.1, 0.2, 0.5, 1, 2, 5], ["0.1", "0.2", "0.5", "1", "2", "5"])
    axes.yaxis.set_minor_locator(NullLocator())
    common.at_ends(axes, ends, gap=0.11)
    return figure


FAR = {
    "Krum": (0.3, "left above"),
    "trimmed mean": (0.27, "left above"),
    "median": (0.3, "below right"),
}
"""Where each curve of `far` is named: at which share, on which side."""


def far(data: pd.DataFrame) -> Figure:
    """How far Gaussian workers' rules are led, against the share of faulty workers.

    Columns: series, kind ("law" or "measured"), share, value, low, high.
    """
    figure, (axes,) = style.panels(height=3.4)
    for index, (name, rows) in enumerate(common.parts(data)):
        look, marks = style.line(index), style.points(index)
        law = rows[rows["kind"] == "law"]
        seen = rows[rows["kind"] == "measured"]
        axes.plot(law["share"], law["value"], **look)
        common.whiskers(axes, seen["share"], seen, "value", **marks)
        at, side = FAR[name]
        point = law.iloc[int((law["share"] - at).abs().argmin())]
        common.beside(axes, (point["share"], point["value"]), name, look["color"], side)
    axes.set(xlabel="share of faulty workers", ylabel="distance, in units of σ√d")
    axes.set(xlim=(0, 0.42), ylim=(0, 2.55))
    common.percent(axes.xaxis)
    return figure


def fixed(data: pd.DataFrame) -> Figure:
    """What is proved of the weights beside what predictions need, on a logarithmic scale.

    Columns: series ("proved" or "needed"), penalty, value, low, high.
    """
    figure, (axes,) = style.panels(height=3.2)
    axes.set(xscale="log", yscale="log")
    for index, (name, rows) in enumerate(common.parts(data)):
        look = style.line(index)
        axes.plot(rows["penalty"], rows["value"], marker=style.MARKERS[index], **look)
        common.band(axes, rows, "penalty", look["color"], 0.15)
        point = rows.iloc[0]
        side = "right above" if index == 0 else "right below"
        common.beside(axes, (point["penalty"], point["low"]), name, look["color"], side)
    axes.set(xlabel="penalty μ", ylabel="distance of weights")
    return figure


def votes(data: pd.DataFrame) -> Figure:
    """Certified accuracy of votes against the number of faulty workers, a panel for each team.

    Columns: panel, series, faulty, value, low, high.
    """
    figure, shown = common.panels(data, height=3.3, share_y=True)
    heights = ((0.75, "right above"), (0.0, "right above"), (0.0, "left above"))
    for axes, title, own in shown:
        for index, (name, rows) in enumerate(common.parts(own)):
            look = style.line(index)
            axes.plot(
                rows["faulty"], rows["value"], marker=style.MARKERS[index], markersize=4, **look
            )
            common.band(axes, rows, "faulty", look["color"], 0.12)
            height, side = heights[index]
            point = common.at_height(rows, "faulty", "value", height)
            common.beside(axes, point, name, look["color"], side)
        axes.set(title=title, xlabel="faulty workers f")
        common.whole(axes.xaxis)
        common.shares(axes)
    for axes, _, _ in shown[: len(shown) if style.narrow() else 1]:
        axes.set_ylabel("certified accuracy")
    return figure
