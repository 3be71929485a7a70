"""The figures of the chapter on samples and certificates."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from rs_lib.book import style


def _by_series(data: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), rows) for name, rows in data.groupby("series", sort=False)]


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
    for look, (name, rows) in zip(looks, _by_series(data[data["panel"] == "error"]), strict=True):
        left.plot(rows["p"], rows["value"], label=name, **look)
    for index, (name, rows) in enumerate(_by_series(data[data["panel"] == "gain"])):
        right.plot(1 - rows["p"], rows["value"], label=name, **style.line(index))
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
    axes.fill_between(
        data["n"], data["least"], data["most"], color=style.BLUE, alpha=0.3, linewidth=0
    )
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
    for index, (name, rows) in enumerate(_by_series(data)):
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
    axes.legend(loc="upper left", title="looking")
    return figure


RULES: dict[str, dict[str, Any]] = {
    "calibrated": {"color": style.BLUE, "linestyle": "-", "marker": "o"},
    "betting": {"color": style.VERMILION, "linestyle": "--", "marker": "s"},
    "union": {"color": style.GREEN, "linestyle": "-.", "marker": "^"},
    "three-stage": {"color": style.PURPLE, "linestyle": ":", "marker": "D"},
    "fixed": {"color": style.ORANGE, "linestyle": (0, (5, 1, 1, 1, 1, 1)), "marker": "v"},
    "Wald's bound": {"color": style.BLACK, "linestyle": (0, (1, 1)), "marker": "|"},
}


def boundaries(data: pd.DataFrame) -> Figure:
    """Boundaries of stopping rules as rates of success over the samples, with a few paths.

    Columns: series (a rule, or "path, …"), n, certify, give_up; of a path, `certify` is its rate.
    """
    figure, (axes,) = style.panels(1, height=4.2)
    for name, rows in _by_series(data):
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
        look = RULES[name] | ({"linestyle": "none"} if len(rows) < 5 else {"marker": None})
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
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.legend(loc="lower right", ncols=2)
    return figure


def costs(data: pd.DataFrame) -> Figure:
    """Expected samples against the margin of the radius, a panel for each radius.

    Columns: panel, series (a rule or "Wald's bound"), margin (in σ), samples.
    """
    names = list(dict.fromkeys(data["panel"]))
    figure, all_axes = style.panels(len(names), height=3.9, share_y=True)
    for axes, panel in zip(all_axes, names, strict=True):
        for name, rows in _by_series(data[data["panel"] == panel]):
            look = {key: value for key, value in RULES[name].items() if key != "marker"}
            axes.plot(rows["margin"], rows["samples"], label=name, **look)
        axes.set(yscale="log", xlabel="true radius − r, in σ", title=panel, ylim=(20, 1.6e5))
    all_axes[0].set_ylabel("expected samples")
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, handlelength=2.6)
    return figure


def published_samples(data: pd.DataFrame) -> Figure:
    """Mean samples of each rule by setting, a row each. Columns: setting, series, samples."""
    settings = list(dict.fromkeys(data["setting"]))
    figure, (axes,) = style.panels(1, height=5.6)
    places = {name: -index for index, name in enumerate(settings)}
    for name, rows in _by_series(data):
        look = RULES[name]
        wald = name == "Wald's bound"
        axes.plot(
            rows["samples"],
            rows["setting"].map(places),
            linestyle="none",
            marker=look["marker"],
            color=look["color"],
            markersize=11 if wald else 5,
            markeredgewidth=1.6 if wald else 1,
            label=name,
            zorder=4 if name == "calibrated" else 3,
        )
    axes.set(
        xscale="log",
        xlabel="mean samples per image",
        yticks=list(places.values()),
        yticklabels=settings,
    )
    axes.tick_params(axis="y", labelsize=9)
    figure.legend(loc="outside upper center", ncols=6, handletextpad=0.1, columnspacing=1.2)
    return figure


def lattices(data: pd.DataFrame) -> Figure:
    """Odds for α = 0.001 against 0.01, a mark for each log in a row for each group.

    Columns: log, source, series (the group), evidence (decimal logarithm of the odds), off_001,
    off_01.
    """
    figure, (axes,) = style.panels(1, height=3.2)
    groups = list(dict.fromkeys(data["series"]))
    sources = list(dict.fromkeys(data["source"]))
    for place, (_, rows) in enumerate(_by_series(data)):
        index = sources.index(rows["source"].iloc[0])
        axes.plot(
            rows["evidence"],
            [-place] * len(rows),
            linestyle="none",
            marker=style.MARKERS[index],
            color=style.COLOURS[index],
            alpha=0.65,
            markersize=6,
        )
    axes.axvline(0, color=style.BLACK, linewidth=0.8)
    for side, text in ((-1, "fits α = 0.01"), (1, "fits α = 0.001")):
        axes.text(4 * side, 0.62, text, ha="left" if side > 0 else "right", va="center")
    axes.set(
        xlabel="decimal logarithm of the odds",
        yticks=[-place for place in range(len(groups))],
        yticklabels=groups,
        ylim=(0.5 - len(groups), 1.0),
    )
    return figure


def samples_used(data: pd.DataFrame) -> Figure:
    """Samples that images needed against their radius, a panel for each question.

    Columns: panel, series ("images", "exact mean" or "radii asked for"), radius, samples.
    """
    names = list(dict.fromkeys(data["panel"]))
    figure, all_axes = style.panels(len(names), height=3.4, share_y=True)
    for axes, panel in zip(all_axes, names, strict=True):
        for name, rows in _by_series(data[data["panel"] == panel]):
            if name == "images":
                axes.plot(rows["radius"], rows["samples"], "o", color=style.BLUE, alpha=0.55)
            elif name == "exact mean":
                axes.plot(rows["radius"], rows["samples"], color=style.VERMILION, label=name)
            else:
                for radius in rows["radius"]:
                    axes.axvline(radius, color=style.BLACK, linewidth=0.8, linestyle=":")
        axes.set(yscale="log", xlabel="estimated radius", title=panel)
    all_axes[0].set_ylabel("samples used")
    all_axes[0].legend(loc="lower right")
    return figure
