"""The figures of the chapter on randomized ablation."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from rs_lib.book import style
from rs_lib.book.drawings import common


def views(data: pd.DataFrame) -> Figure:
    """A row of pictures for each image: the scan, and a view at each number of pixels kept.

    Columns: image, panel, row, column, value (grey level), seen, text (below the picture).
    """
    visible = data.assign(value=data["value"].where(data["seen"] > 0))
    figure, shown = common.gallery(visible, "image", "panel", height=1.75)
    for axes, cells in shown:
        common.tell(axes, cells)
    return figure


def delta(data: pd.DataFrame) -> Figure:
    """Left: Δ against changed pixels, for several k. Right: the largest radius against k.

    Columns: panel ("delta" or "ceiling"), series, x, value.
    """
    figure, (left, right) = style.panels(2, height=3.6)
    common.curves(left, data[data["panel"] == "delta"], "x", "value", markers=True)
    left.axhline(0.5, color=style.BLACK, linewidth=0.9)
    left.axhspan(0.5, 1, color=style.VERMILION, alpha=0.06, linewidth=0)
    left.text(0.2, 0.6, "no certificate", color=style.VERMILION)
    left.set(
        xlabel="changed pixels ρ",
        ylabel="Δ: chance to see a changed pixel",
        ylim=(0, 0.92),
        title="784 pixels",
    )
    left.legend(loc="upper left", ncols=2, columnspacing=1.0)
    for index, (name, rows) in enumerate(common.parts(data[data["panel"] == "ceiling"])):
        look = style.line(index)
        if name.startswith("ln 2"):
            look = {"color": style.BLACK, "linestyle": ":"}
        right.plot(rows["x"], rows["value"], label=name, **look)
    right.set(
        xscale="log",
        yscale="log",
        xlabel="share of the pixels kept, k / d",
        ylabel="largest certified ρ",
        title="all votes agree",
    )
    right.legend(loc="upper right")
    return figure


def information(data: pd.DataFrame) -> Figure:
    """The probability that a radius needs, at equal information, a panel for each alphabet.

    Columns: panel, series, rho, probability.
    """
    figure, shown = common.panels(data, height=3.6, share_y=True)
    for axes, panel, own in shown:
        common.curves(axes, own, "rho", "probability", markers=True)
        axes.axhline(1, color=style.BLACK, linewidth=0.9)
        axes.set(xlabel="changed pixels ρ", title=panel, ylim=(0.48, 1.02))
        common.whole(axes.xaxis)
        axes.legend(loc="lower right")
    figure.axes[0].set_ylabel("probability needed to certify ρ")
    return figure


def certified_curves(data: pd.DataFrame) -> Figure:
    """Certified accuracy against changed pixels, with 95 % bands, a panel for each data set.

    Columns: panel, series, radius, share, low, high.
    """
    figure, shown = common.panels(data, height=3.6, share_y=True)
    for axes, panel, own in shown:
        for index, (name, rows) in enumerate(common.parts(own)):
            axes.plot(rows["radius"], rows["share"], alpha=0.55, **style.line(index))
            offset = 0.05 * (index - 1.5)  # intervals of equal radii side by side
            look = style.points(index) | {"capsize": 0}
            common.whiskers(axes, rows["radius"] + offset, rows, "share", label=name, **look)
        axes.axhline(0.5, color=style.BLACK, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.set(xlabel="changed pixels ρ", title=panel)
        common.whole(axes.xaxis)
        common.shares(axes, low=0)
        axes.legend(loc="upper right")
    figure.axes[0].set_ylabel("certified accuracy")
    return figure


def samples(data: pd.DataFrame) -> Figure:
    """Left: exact mean samples of the rules against p. Right: images done by number of samples.

    Columns: panel ("rules" or "images"), series, p, samples, threshold (required p; rules only).
    """
    figure, (left, right) = style.panels(2, height=3.8)
    rules, images = (data[data["panel"] == panel] for panel in ("rules", "images"))
    for name, rows in common.parts(rules):
        left.plot(rows["p"], rows["samples"], label=name, **common.RULES[name])
    left.axvline(rules["threshold"].iloc[0], color=style.BLACK, linewidth=0.8, linestyle=":")
    for index, (name, rows) in enumerate(common.parts(images)):
        # Colours that are not those of the rules on the left.
        look: dict[str, Any] = {"color": KEPT[index % len(KEPT)]}
        look["linestyle"] = style.LINES[index]
        right.ecdf(rows["samples"], label=name, **look)
    left.set(
        yscale="log",
        xlabel="probability $p_A$",
        ylabel="samples",
        title="one question, exact means",
    )
    right.set(
        xscale="log",
        xlabel="samples",
        ylabel="share of scans that are done",
        title="digits, the whole table",
    )
    common.shares(right, 0)
    common.legend_below(left, ncols=2 if style.narrow() else 3)
    common.legend_below(right, ncols=2)
    return figure


KEPT = ("#c9b6a5", "#a5876b", "#75563b", "#3d2918")
"""Of one quantity that grows: the pixels that are kept."""


def attacks(data: pd.DataFrame) -> Figure:
    """Left: measured against guaranteed probability. Right: images not shown to flip.

    Columns: series (data set and k), rho (changed pixels), beyond (rho minus the certified
    radius), guaranteed, measured, at_most; a row per attacked image and rho. On the right the
    curves end where the search ended for some image.
    """
    figure, (left, right) = style.panels(2, height=3.6)
    common.guarantee(left, data[data["guaranteed"] > 0], 0.04)
    for index, (name, rows) in enumerate(common.parts(data)):
        reached = rows["beyond"].value_counts().sort_index()
        steps = reached.index[(reached.index <= 0) | (reached == (rows["rho"] == 1).sum())]
        kept = [(rows.loc[rows["beyond"] == step, "at_most"] >= 0.5).mean() for step in steps]
        marker = style.MARKERS[index]
        right.plot(steps, kept, marker=marker, label=name, **style.line(index))
    right.axvspan(data["beyond"].min() - 0.4, 0, color=style.GREEN, alpha=0.12, linewidth=0)
    right.text(0.06, 0.05, "certified", color=style.GREEN, transform=right.transAxes)
    left.set_ylabel("measured after the attack")
    right.set(xlabel="changed pixels − certified radius", ylabel="images not shown to flip")
    right.set_xlim(left=data["beyond"].min() - 0.4)
    common.whole(right.xaxis)
    common.shares(right, 0, 1.04)
    left.legend(loc="upper left", handletextpad=0.1)
    return figure
