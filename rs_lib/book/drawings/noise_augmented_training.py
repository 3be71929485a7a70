"""The figures of the chapter on training with noise."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MultipleLocator, PercentFormatter

from rs_lib.book import style

GREY = "#8a8a8a"
PALE = "#e4e4e4"
SIDE = 100
"""Pixels of the square with balls."""
KINDS = ("kept", "lost", "added")
FILLS = (style.BLUE, "#bcd7ec", style.ORANGE)
LEVELS = ("region", "trained", "smoothed")


def _by_series(data: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), rows) for name, rows in data.groupby("series", sort=False)]


def _line_panel(axes: Axes, rows: pd.DataFrame, *, small: bool) -> None:
    """One frame of intervals on the line: what noise sees above, regions as bars below."""
    for name, colour, dash in (("training", style.GREEN, "--"), ("test", style.VERMILION, "-")):
        curve = rows[(rows["part"] == "seen") & (rows["name"] == name)]
        axes.plot(curve["x"], curve["y"], color=colour, linestyle=dash, label=f"{name} noise sees")
    axes.axhline(0.5, color=GREY, linewidth=0.9)
    for depth, (name, colour) in enumerate(
        zip(LEVELS, (style.BLACK, style.GREEN, style.VERMILION), strict=True)
    ):
        bars = rows[(rows["part"] == "bar") & (rows["name"] == name)]
        for left, right in zip(bars["x"], bars["y"], strict=True):
            corner = (left, -0.16 - 0.15 * depth)
            axes.add_patch(Rectangle(corner, right - left, 0.1, color=colour, linewidth=0))
        if not small:
            axes.text(-4.9, -0.11 - 0.15 * depth, name, ha="left", va="center", size=9)
    axes.set(xlim=(-5, 4.2), ylim=(-0.52, 1.05), yticks=[0, 0.5, 1])


def line(data: pd.DataFrame) -> Figure:
    """Two intervals on the line as the training noise grows: a panel for each noise, or one frame.

    Columns: frame, part ("seen": a point of a curve; "bar": an interval), name (of the noise, or
    of the region), x and y (of the point, or left and right end).
    """
    frames = list(dict.fromkeys(data["frame"]))
    if len(frames) == 1:
        figure, (axes,) = style.panels(1, height=3.6)
        _line_panel(axes, data, small=False)
        axes.set(xlabel="x", ylabel="share of the window", title=frames[0])
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        return figure
    depth = -(-len(frames) // 3)
    figure, grid = style.grid(depth, 3, height=1.75 * depth + 0.5)
    for index, axes in enumerate(axes for row in grid for axes in row):
        if index >= len(frames):
            axes.set_visible(False)
            continue
        _line_panel(axes, data[data["frame"] == frames[index]], small=True)
        axes.set_title(frames[index], fontsize=10)
        axes.tick_params(labelsize=8)
    figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def risk(data: pd.DataFrame) -> Figure:
    """Length of the errors on the line against the training noise, a panel for each noise.

    Columns: panel, series, x (scale of the training noise), y (length), best (1 at the least).
    """
    names = list(dict.fromkeys(data["panel"]))
    figure, all_axes = style.panels(len(names), height=3.7)
    for axes, panel in zip(all_axes, names, strict=True):
        for index, (name, rows) in enumerate(_by_series(data[data["panel"] == panel])):
            look = style.line(index)
            axes.plot(rows["x"], rows["y"], label=name, **look)
            least = rows[rows["best"] == 1]
            axes.plot(
                least["x"],
                least["y"],
                linestyle="none",
                marker=style.MARKERS[index],
                markersize=6.5,
                color=look["color"],
            )
        axes.set(xlabel="scale of the training noise", title=panel)
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=9)
    all_axes[0].set_ylabel("length of the errors, Δ")
    return figure


def where(data: pd.DataFrame) -> Figure:
    """The largest gain from training noise by test noise and gap, a panel for each noise.

    Columns: panel, x (test noise / length), y (gap / length), gain (length / length).
    """
    names = list(dict.fromkeys(data["panel"]))
    figure, all_axes = style.panels(len(names), height=3.5, share_y=True)
    top = float(data["gain"].max())
    for axes, panel in zip(all_axes, names, strict=True):
        table = data[data["panel"] == panel].pivot_table(index="y", columns="x", values="gain")
        seen = np.ma.masked_less_equal(table.to_numpy(), 1e-9)
        shown = axes.pcolormesh(
            table.columns, table.index, seen, cmap="viridis", vmin=0, vmax=top, rasterized=True
        )
        axes.set(xlabel="test noise / length, t / ℓ", title=panel)
        axes.axhline(1, color=style.BLACK, linewidth=1, linestyle="--")
        axes.grid(visible=False)
    all_axes[0].set_ylabel("gap / length, ζ / ℓ")
    figure.colorbar(shown, ax=all_axes, label="largest gain / ℓ")
    return figure


def _raster(axes: Axes, rows: pd.DataFrame) -> None:
    """Show runs of pixels (columns: row, left, right, kind) of a square."""
    picture = np.zeros((SIDE, SIDE), dtype=int)
    for row, left, right, kind in zip(
        rows["row"], rows["left"], rows["right"], rows["kind"], strict=True
    ):
        picture[row, left:right] = 1 + KINDS.index(kind)
    colours = ListedColormap(["white", *FILLS])
    axes.imshow(picture, cmap=colours, vmin=0, vmax=len(KINDS), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    for side in ("left", "bottom", "right", "top"):
        axes.spines[side].set_visible(True)
    wrong = (picture > 1).mean()
    axes.set_xlabel(f"wrong: {wrong:.1%}", fontsize=9)


def balls(data: pd.DataFrame) -> Figure:
    """Balls on a torus as the training noise grows: after training, and then smoothed.

    Columns: frame, step ("trained" or "smoothed"), row, left, right (a run of pixels), kind
    ("kept", "lost" or "added").
    """
    frames = list(dict.fromkeys(data["frame"]))
    single = len(frames) == 1
    columns = 2 if single else 6
    depth = 1 if single else -(-2 * len(frames) // columns)
    figure, grid = style.grid(depth, columns, height=4.3 if single else 1.62 * depth + 0.4)
    flat = [axes for row in grid for axes in row]
    steps = (("trained", "after training"), ("smoothed", "then smoothed"))
    panels = [(frame, step, text) for frame in frames for step, text in steps]
    for axes in flat[len(panels) :]:
        axes.set_visible(False)
    for axes, (frame, step, text) in zip(flat, panels, strict=False):
        rows = data[(data["frame"] == frame) & (data["step"] == step)]
        _raster(axes, rows)
        short = frame if step == "trained" else text
        axes.set_title(f"{text}, {frame}" if single and step == "trained" else short, fontsize=9.5)
    handles = [
        Patch(facecolor=fill, edgecolor=GREY, label=kind)
        for kind, fill in zip(KINDS, FILLS, strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _gains(data: pd.DataFrame, *, share_y: bool, step: float) -> Figure:
    names = list(dict.fromkeys(data["panel"]))
    figure, all_axes = style.panels(len(names), height=3.7, share_y=share_y)
    for axes, panel in zip(all_axes, names, strict=True):
        axes.axhline(0, color=GREY, linewidth=1)
        for index, (name, rows) in enumerate(_by_series(data[data["panel"] == panel])):
            look = style.line(index)
            ours = rows[rows["kind"] == "ours"]
            axes.plot(ours["x"], ours["y"], label=name, **look)
            axes.fill_between(
                ours["x"], ours["low"], ours["high"], color=look["color"], alpha=0.16, linewidth=0
            )
            other = rows[rows["kind"] == "published"]
            axes.plot(
                other["x"],
                other["y"],
                linestyle="none",
                marker=style.MARKERS[index],
                markerfacecolor="white",
                color=look["color"],
                markersize=4,
            )
        axes.set(xlabel="training noise s, pixels", title=panel)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1 if share_y else 0))
        axes.xaxis.set_major_locator(MultipleLocator(step))
    all_axes[0].set_ylabel("Δ(s, t) − Δ(0, t), share of pixels")
    figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def gains(data: pd.DataFrame) -> Figure:
    """Change of the risk against the training noise, a panel for each test noise.

    Columns: panel, series, kind ("ours" or "published"), x, y, low, high (empty if unknown).
    """
    return _gains(data, share_y=False, step=5)


def closeup(data: pd.DataFrame) -> Figure:
    """The same with one scale for all panels; columns as for `gains`."""
    return _gains(data, share_y=True, step=2)


def _noise_table(axes: Axes, rows: pd.DataFrame) -> None:
    """A heat map of wrong answers (columns: x, y, wrong, images, best) with the least marked."""
    table = rows.pivot_table(index="y", columns="x", values="wrong").sort_index()
    share = np.maximum(table.to_numpy(), 0.5) / rows["images"].iloc[0]
    axes.imshow(share, cmap="Blues", norm=LogNorm(0.004, 0.9), origin="lower", aspect="auto")
    tests, trains = list(table.columns), list(table.index)
    axes.set_xticks(range(len(tests)), [f"{x:g}" for x in tests])
    axes.set_yticks(range(len(trains)), [f"{y:g}" for y in trains])
    size = 9 if len(tests) < 8 else 6.3
    for j in range(len(tests)):
        for i in range(len(trains)):
            dark = share[i, j] > 0.16
            text = f"{100 * share[i, j]:.1f}"
            axes.text(
                j, i, text, ha="center", va="center", size=size, color="white" if dark else "black"
            )
    for _, row in rows[rows["best"] == 1].iterrows():
        corner = (tests.index(row["x"]) - 0.5, trains.index(row["y"]) - 0.5)
        axes.add_patch(
            Rectangle(corner, 1, 1, fill=False, edgecolor=style.VERMILION, linewidth=2.2)
        )
    axes.set(xlabel="σ of the smoothing", ylabel="σ of the training")
    axes.grid(visible=False)


def noise_map(data: pd.DataFrame) -> Figure:
    """Wrong answers by training noise and test noise, a panel for each data set.

    Columns: panel, x, y (σ of the smoothing and of the training), wrong, images (0 where there
    is no run yet), best (1 where fewest are wrong for this x).
    """
    names = list(dict.fromkeys(data["panel"]))
    figure, all_axes = style.panels(len(names), height=3.9)
    for axes, panel in zip(all_axes, names, strict=True):
        rows = data[data["panel"] == panel]
        axes.set_title(f"{panel}: wrong answers, %")
        if rows["images"].iloc[0]:
            _noise_table(axes, rows)
        else:
            axes.text(0.5, 0.5, "our run:\nnot recorded yet", ha="center", va="center", size=13)
            axes.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
    return figure


def best(data: pd.DataFrame) -> Figure:
    """The best training noise against the test noise, a panel for each data set.

    Columns: panel, series, x, y, low, high (the training noises that nothing beats; empty where
    unknown). A row without x says that the series is not recorded yet.
    """
    names = list(dict.fromkeys(data["panel"]))
    figure, all_axes = style.panels(len(names), height=3.8, share_y=True)
    labels: dict[str, int] = {}
    for series in data["series"]:
        labels.setdefault(str(series), len(labels))
    for axes, panel in zip(all_axes, names, strict=True):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="equal noise")
        own = data[data["panel"] == panel]
        if own["x"].isna().any():
            axes.text(0.0, 0.97, "our run:\nnot recorded yet", ha="left", va="top", size=9)
        for name, rows in _by_series(own.dropna(subset=["x"])):
            index = labels[name]
            shift = 0.014 * (index - 1)
            axes.errorbar(
                rows["x"] + shift,
                rows["y"],
                yerr=[(rows["y"] - rows["low"]).fillna(0), (rows["high"] - rows["y"]).fillna(0)],
                label=name,
                linestyle="none",
                marker=style.MARKERS[index],
                color=style.COLOURS[index],
                markerfacecolor="white" if index == 2 else style.COLOURS[index],
                markersize=6 if index == 2 else 5,
                capsize=2,
                elinewidth=1.1,
            )
        axes.set(xlabel="σ of the smoothing", title=panel, xlim=(-0.06, 1.06), ylim=(-0.04, 1.04))
    all_axes[0].set_ylabel("σ of the training")
    handles = {
        text: handle
        for axes in all_axes
        for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=2)
    return figure
