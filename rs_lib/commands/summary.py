"""The summary of a log: proportions with exact intervals, as aligned text."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from rs_lib.commands.logs import histograms, log
from rs_lib.commands.logs.rows import rounded_down
from rs_lib.commands.selection import UNLABELLED
from rs_lib.smoothing import ABSTAIN
from rs_lib.statistics import average_certified_radius, binomial_interval, mean_interval

MOST_ROWS = 20


def grid(ceiling: float, least: float = 0.25) -> list[float]:
    """Return multiples of `least`, or of twice that, ... where it makes too many, to `ceiling`."""
    step = least
    while ceiling / step > MOST_ROWS:
        step *= 2
    return [number * step for number in range(int(ceiling / step) + 1)]


def of_certificates(table: log.LogTable, radii: Iterable[float], *, average: bool) -> str:
    """Return the summary of a log of `certify`: certified accuracy at each of `radii`, and more.

    With `average`, the average certified radius too, which means little where only given
    radii were asked for.
    """
    columns, settings = table.columns, table.header
    correct, told = _counted(columns)
    count = len(correct)
    # In the digits of the log, as its radii are: cutting digits keeps their order.
    texts = [rounded_down(radius) for radius in radii]
    places = max(0, *(-int(Decimal(text).normalize().as_tuple().exponent) for text in texts))
    rows = [
        (f"{float(text):.{places}f}", *share(correct & (columns["radius"] >= float(text))))
        for text in texts
    ]
    votes = f", votes: {settings['votes']}" if "votes" in settings else ""
    lines = [
        f"{count} images of {settings['data']['name']}, {settings['noise']['law']} noise, "
        f"{settings['noise']['norm']} radii{votes}",
        f"each certificate errs with probability at most {plain(settings['alpha'])}, "
        f"{table.guarantee}",
        "",
        *aligned(("radius", told, "95 % interval"), rows),
        "",
    ]
    facts = [("abstained", *share(columns["predict"] == ABSTAIN))]
    if average:
        facts.append(("average certified radius", *average_radius(columns["radius"], correct)))
    else:
        facts.append(("undecided", *share(columns["undecided"] == 1)))
    samples = f"{columns['samples'].mean():.0f}"
    facts.append((f"mean samples (and {settings['n0']} to select)", samples, ""))
    return "\n".join(lines + aligned(("all images", "", "95 % interval"), facts))


def of_scores(table: log.LogTable, level: float, distances: Sequence[float]) -> str:
    """Return the summary of a log of `certify --soft`, whose columns are for these numbers.

    For each of `distances` the share of images whose label is certified: its mean score above the
    level, and the largest of all; and the mean of the certified scores of the labels, 0 where
    another class was selected.
    """
    columns, settings = table.columns, table.header
    right, lead = columns["selected"] == columns["label"], columns["lead"]
    above = np.where(right & (columns["predict"] != ABSTAIN), columns["radius"], -np.inf)
    largest = np.where(right & (lead > 0), lead, -np.inf)
    rows = []
    for distance in distances:
        scores = columns[histograms.column(distance)]
        shares = (*share(above >= distance), *share(largest >= distance))
        rows.append((plain(distance), *shares, *average_radius(scores, right)))
    head = ("radius", f"above {plain(level)}", "95 % interval", "largest", "95 % interval")
    lines = [
        f"{len(right)} images of {settings['data']['name']}, {settings['noise']['law']} noise, "
        f"{settings['n']} samples each and {settings['n0']} to select",
        "the mean score of the label: above the level, the largest of all, and how large at least",
        "of an image, all scores err together with probability at most "
        f"{plain(settings['alpha'])}, and so does the lead,",
        table.guarantee,
        "",
        *aligned((*head, "certified score", "95 % interval"), rows),
        "",
    ]
    facts = [
        ("another class selected", *share(~right)),
        ("average radius above the level", *average_radius(columns["radius"], above >= 0)),
        ("average radius of the lead", *average_radius(lead, right)),
    ]
    return "\n".join(lines + aligned(("all images", "", "95 % interval"), facts))


def of_patches(table: log.LogTable) -> str:
    """Return the summary of a log of `certify --defence patch`: accuracy at each patch size."""
    columns, defence = table.columns, table.header["defence"]
    correct, patch = columns["correct"] == 1, columns["patch"]
    sizes = [int(size) for size in grid(float(patch.max()), least=1)]
    rows = [(f"{size}", *share(correct & (patch >= size))) for size in sizes]
    unit = "side" if defence["views"] == "blocks" else defence["views"]
    lines = [
        f"{len(correct)} images of {table.header['data']['name']}, seen through "
        f"{defence['views']} of {defence['band']}, theta = {defence['theta']:g}; no patch of that "
        "many changes the answer",
        "",
        *aligned((unit, "certified accuracy", "95 % interval"), rows),
    ]
    return "\n".join(lines)


def of_predictions(table: log.LogTable) -> str:
    """Return the summary of a log of `predict`."""
    columns, settings = table.columns, table.header
    correct, abstained = columns["correct"] == 1, columns["predict"] == ABSTAIN
    rows = [
        ("correct", *share(correct)),
        ("wrong", *share(~correct & ~abstained)),
        ("abstained", *share(abstained)),
    ]
    head = (
        f"{len(correct)} images of {settings['data']['name']}, {settings['noise']['law']} noise, "
        f"{settings['n']} samples each"
    )
    return "\n".join([head, "", *aligned(("answers", "share", "95 % interval"), rows)])


def _counted(columns: dict[str, npt.NDArray[Any]]) -> tuple[npt.NDArray[np.bool_], str]:
    """Return which images count and what their share is: without labels, all that have answers."""
    if (columns["label"] == UNLABELLED).all():
        return columns["predict"] != ABSTAIN, "certified"
    return columns["correct"] == 1, "certified accuracy"


def plain(value: float) -> str:
    """Return all digits of a number: a rounded radius would claim more, or less, than was asked."""
    return repr(float(value)).removesuffix(".0")


def share(flags: npt.NDArray[np.bool_]) -> tuple[str, str]:
    """Return the share of true flags and its 95 % Clopper-Pearson interval, rounded outwards."""
    low, high = binomial_interval(int(flags.sum()), len(flags))
    low, high = np.floor(1000 * low) / 1000, np.ceil(1000 * high) / 1000
    return f"{flags.mean():.3f}", f"{low:.3f} to {high:.3f}"


def average_radius(
    radii: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_]
) -> tuple[str, str]:
    """Return the average certified radius and its 95 % interval by Student's t."""
    text = f"{average_certified_radius(radii, correct):.3f}"
    counted = np.where(correct, radii, 0.0)
    if np.unique(counted).size < 2:  # equal numbers tell no spread
        return text, ""
    low, high = mean_interval(counted)
    return text, f"{max(low, 0):.3f} to {high:.3f} (Student's t)"


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines: the first column flush left if it holds words, the others flush right."""
    table = [head, *rows]
    widths = [max(len(row[number]) for row in table) for number in range(len(head))]
    words = not head[0] or not rows[0][0][0].isdigit()
    lines = []
    for first, *rest in table:
        start = first.ljust(widths[0]) if words else first.rjust(widths[0])
        others = [text.rjust(width) for text, width in zip(rest[:-1], widths[1:-1], strict=True)]
        lines.append("  ".join(["", start, *others, rest[-1]]).rstrip())
    return lines
