"""The figures of the chapter on samples and certificates."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from rs_lib.book import style
from rs_lib.book.drawings import common


def coverage(data: pd.DataFrame) -> Figure:
    """Left: error of lower bounds over p, in units of α. Right: what the coin adds to the radius.

    Columns: panel ("error" or "gain"), series, p, value.
    """
    figure, (left, right) = style.panels(2, height=3.5)
    looks: tuple[dict[str, Any], ...] = (
        {"color": style.VERMILION, "linestyle": "-", "linewidth": 1.6},
        {"color": style.BLUE, "linestyle": "-", "linewidth": 0.9},
        {"color": style.BLACK, "linestyle": "--", "linewidth": 1.2},
    )
    for look, (name, rows) in zip(looks, common.parts(data[data["panel"] == "error"]), strict=True):
        left.plot(rows["p"], rows["value"], label=name, **look)
    gain = data[data["panel"] == "gain"]
    common.curves(right, gain.assign(missing=1 - gain["p"]), "missing", "value")
    left.set(
        xlabel="probability p",
        ylabel="P(bound > p), in units of α",
        xlim=(0.5, 1),
        ylim=(0, 1.4),
        title="the bound spends part of α",
    )
    right.set(
        xscale="log",
        yscale="log",
        xlabel="1 − p",
        ylabel="mean radius gained, in σ",
        title="a coin spends the rest",
    )
    right.invert_xaxis()
    left.legend(loc="upper right", ncols=2, handlelength=1.4, columnspacing=1.0)
    right.legend(loc="best")
    return figure


def reuse(data: pd.DataFrame) -> Figure:
    """Error of re-used samples, in units of α, against their number. Columns: n, least, most."""
    figure, (axes,) = style.panels(1, height=3.2)
    common.band(axes, data.rename(columns={"least": "low", "most": "high"}), "n", style.BLUE, 0.3)
    axes.plot(data["n"], data["least"], color=style.BLUE, linewidth=0.9)
    axes.plot(data["n"], data["most"], color=style.BLUE, linewidth=0.9)
    for height, text in ((2, "2α"), (1, "α: promised")):
        axes.axhline(height, color=style.BLACK, linewidth=0.8, linestyle="--")
        axes.text(1.1e5, height, text, va="center")
    axes.set(
        xscale="log",
        xlabel="samples n",
        ylabel="P(false certificate), in units of α",
        xlim=(10, 1e5),
        ylim=(0, 2.2),
    )
    return figure


def peeking(data: pd.DataFrame) -> Figure:
    """Accumulated error of repeated looks, in units of α. Columns: series, n, error."""
    figure, (axes,) = style.panels(1, height=3.4)
    for index, (name, rows) in enumerate(common.parts(data)):
        look = style.line(index)
        if len(rows) < 10:
            look["marker"] = style.MARKERS[index]
        axes.plot(rows["n"], rows["error"], label=name, **look)
    axes.axhline(1, color=style.BLACK, linewidth=0.8)
    axes.text(1.1e5, 1, "α", va="center")
    axes.set(
        xscale="log",
        xlabel="samples n so far",
        ylabel="P(wrong at a look so far), in α",
        xlim=(10, 1e5),
    )
    axes.set_ylim(bottom=0)
    common.legend_inside(axes, "upper left", title="looking")
    return figure


MARKERS = dict(zip(common.RULES, "os^Dv|", strict=True))


def boundaries(data: pd.DataFrame) -> Figure:
    """Boundaries of stopping rules as rates of success over the samples, with a few paths.

    Columns: series (a rule, or "path, …"), n, certify, give_up; of a path, `certify` is its rate.
    """
    figure, (axes,) = style.panels(1, height=4.2)
    for name, rows in common.parts(data):
        if name.startswith("path"):
            axes.plot(rows["n"], rows["certify"], color="#888888", linewidth=0.9, zorder=1)
            end = rows.iloc[-1]
            axes.plot(end["n"], end["certify"], "o", color="#888888", markersize=3.5)
            axes.annotate(
                name.removeprefix("path, "),
                (end["n"], end["certify"]),
                (4, 5 if end["certify"] > 0.84 else -11),
                textcoords="offset points",
                color="#666666",
                fontsize=9,
            )
            continue
        look = common.RULES[name]
        if len(rows) < 5:
            look = look | {"linestyle": "none", "marker": MARKERS[name]}
        axes.plot(rows["n"], rows["certify"], label=name, **look)
        axes.plot(rows["n"], rows["give_up"], **look)
        if name == "calibrated":
            axes.fill_between(
                rows["n"],
                rows["give_up"].fillna(0),
                rows["certify"].fillna(1),
                color=style.BLUE,
                alpha=0.08,
                linewidth=0,
            )
    axes.text(3e4, 0.955, "certify", color=style.BLACK, ha="center")
    axes.text(3e4, 0.70, "give up", color=style.BLACK, ha="center")
    axes.set(
        xscale="log",
        xlabel="samples n",
        ylabel="votes for A / samples",
        xlim=(8, 1.3e5),
        ylim=(0.4, 1.02),
    )
    common.percent(axes.yaxis)
    common.legend_inside(axes, "lower right", ncols=2)
    return figure


def costs(data: pd.DataFrame) -> Figure:
    """Expected samples against the margin of the radius, a panel for each radius.

    Columns: panel, series (a rule or "Wald's bound"), margin (in σ), samples.
    """
    figure, shown = common.panels(data, height=3.9, share_y=True)
    for axes, panel, own in shown:
        for name, rows in common.parts(own):
            axes.plot(rows["margin"], rows["samples"], label=name, **common.RULES[name])
        axes.set(yscale="log", xlabel="true radius − r, in σ", title=panel, ylim=(20, 1.6e5))
    figure.axes[0].set_ylabel("expected samples")
    common.common_legend(figure, figure.axes[0], columns=3, handlelength=2.6)
    return figure


def published_samples(data: pd.DataFrame) -> Figure:
    """Mean samples of each rule by setting, a row each. Columns: setting, series, samples."""
    settings = list(dict.fromkeys(data["setting"]))
    figure, (axes,) = style.panels(1, height=5.6)
    places = {name: -index for index, name in enumerate(settings)}
    for name, rows in common.parts(data):
        wald = name == "Wald's bound"
        axes.plot(
            *(rows["samples"], rows["setting"].map(places), MARKERS[name]),
            color=common.RULES[name]["color"],
            markersize=11 if wald else 5,
            markeredgewidth=1.6 if wald else 1,
            label=name,
            zorder=4 if name == "calibrated" else 3,
        )
    axes.set(
        xscale="log",
        xlabel="mean samples per image",
        yticks=list(places.values()),
        yticklabels=[common.in_two(name) for name in settings],
    )
    axes.tick_params(axis="y", labelsize=7 if style.narrow() else 9)
    columns = 3 if style.narrow() else 6
    figure.legend(loc="outside upper center", ncols=columns, handletextpad=0.1, columnspacing=1.2)
    return figure


def lattices(data: pd.DataFrame) -> Figure:
    """Odds for α = 0.001 against 0.01, a mark for each log in a row for each group.

    Columns: log, source, series (the group), evidence (decimal logarithm of the odds), off_001,
    off_01.
    """
    figure, (axes,) = style.panels(1, height=3.2)
    groups = list(dict.fromkeys(data["series"]))
    sources = list(dict.fromkeys(data["source"]))
    for place, (_, rows) in enumerate(common.parts(data)):
        index = sources.index(rows["source"].iloc[0])
        look = style.points(index) | {"alpha": 0.65, "markersize": 6}
        axes.plot(rows["evidence"], [-place] * len(rows), **look)
    axes.axvline(0, color=style.BLACK, linewidth=0.8)
    for side, text in ((-1, "fits α = 0.01"), (1, "fits α = 0.001")):
        axes.text(4 * side, 0.62, text, ha="left" if side > 0 else "right", va="center")
    axes.set(
        xlabel="decimal logarithm of the odds",
        yticks=[-place for place in range(len(groups))],
        yticklabels=[common.in_two(name) for name in groups],
        ylim=(0.5 - len(groups), 1.0),
    )
    return figure


def samples_used(data: pd.DataFrame) -> Figure:
    """Samples that images needed against their radius, a panel for each question.

    Columns: panel, series ("images", "exact mean" or "radii asked for"), radius, samples.
    """
    figure, shown = common.panels(data, height=3.4, share_y=True)
    for axes, panel, own in shown:
        for name, rows in common.parts(own):
            if name == "images":
                axes.plot(rows["radius"], rows["samples"], "o", color=style.BLUE, alpha=0.55)
            elif name == "exact mean":
                axes.plot(rows["radius"], rows["samples"], color=style.VERMILION, label=name)
            else:
                for radius in rows["radius"]:
                    axes.axvline(radius, color=style.BLACK, linewidth=0.8, linestyle=":")
        axes.set(yscale="log", xlabel="estimated radius", title=panel)
    figure.axes[0].set_ylabel("samples used")
    figure.axes[0].legend(loc="lower right")
    return figure
