"""What a log certifies if the law of its images moves: a table beside that of an audit."""

import argparse
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from rs_lib import audit as audits
from rs_lib.arguments import FloatArray, numbers
from rs_lib.certificates import wasserstein
from rs_lib.commands import summary
from rs_lib.commands.logs.log import LogTable


def add_option(parser: argparse._ActionsContainer) -> None:
    """Add `--wasserstein`."""
    parser.add_argument(
        "--wasserstein",
        nargs="+",
        default=[],
        metavar="P",
        help="also say which accuracy is left if the law of the images moves by a Wasserstein "
        "distance of each of these orders, such as 1 2 inf",
    )


def orders(given: Sequence[str]) -> list[int | float]:
    """Return the orders as numbers, or raise ValueError for one that is none."""
    found = []
    for text in given:
        try:
            value: Any = float(text)
        except ValueError:
            value = text
        found.append(wasserstein.require_order(numbers("wasserstein", value)))
    return found


def of_printed(
    log: audits.Log, printing: audits.Printing, step: float, chosen: Sequence[int | float]
) -> str:
    """Return the table of somebody's log, from the least numbers that print as its radii."""
    least, _ = printing.cells(log.radius)
    radii = np.where(log.correct & log.certified, least, 0.0)
    head = (
        "Least accuracy if the law of the images moves by W_p, from the least number that prints\n"
        "as each radius (0 where the answer is wrong or withheld), if the printed radii are true:\n"
    )
    return head + _table(radii, step, chosen)


def of_counts(log: LogTable, step: float, chosen: Sequence[int | float]) -> str:
    """Return the table of a log of ours, whose radii follow from its counts."""
    settings, columns = log.header, log.columns
    radii = np.where(columns["correct"] == 1, columns["radius"], 0.0)
    head = (
        f"Least accuracy if the law of the images moves by W_p in {settings['noise']['norm']}, "
        "from the radii (0 where\nthe answer is wrong or withheld). Each errs with probability at "
        f"most {summary.plain(settings['alpha'])},\n{log.guarantee}:\n"
    )
    return head + _table(radii, step, chosen)


def _table(radii: FloatArray, step: float, chosen: Sequence[int | float]) -> str:
    """Return the table at multiples of `step`, one column for each order, rounded down.

    `radii` [images] are safe ones, 0 where the answer is wrong or withheld.
    """
    # As fractions: 0.652 shall not become 0.6519 by being rounded down twice.
    exact = _exactly(radii)
    at = _exactly(np.asarray(np.arange(int(radii.max() / step) + 1) * step, dtype=np.float64))
    columns = [wasserstein.curve(exact, at, order) for order in chosen]
    heads = [f"W_{'inf' if order == math.inf else f'{order:g}'}" for order in chosen]
    lines = ["  budget  " + "  ".join(f"{head:>8}" for head in heads)]
    for row, budget in enumerate(at):
        cells = (math.floor(10_000 * column[row]) / 10_000 for column in columns)
        lines.append(
            f"  {summary.plain(budget):>6}  " + "  ".join(f"{cell:8.4f}" for cell in cells)
        )
    return "\n".join(lines) + "\n"


def _exactly(values: FloatArray) -> npt.NDArray[np.object_]:
    return np.array([Fraction(value) for value in values.tolist()], dtype=object)
