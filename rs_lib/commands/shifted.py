"""What a log certifies if the law of its images moves: a table beside that of an audit."""

import argparse
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from rs_lib.arguments import FloatArray, numbers
from rs_lib.certificates import wasserstein

_HEAD = """\
Least accuracy if the law of the images moves by W_p, from the least number that prints
as each radius (0 where the answer is wrong or withheld):
"""


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


def table(radii: FloatArray, step: float, chosen: Sequence[int | float]) -> str:
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
        lines.append(f"  {float(budget):6g}  " + "  ".join(f"{cell:8.4f}" for cell in cells))
    return _HEAD + "\n".join(lines) + "\n"


def _exactly(values: FloatArray) -> npt.NDArray[np.object_]:
    return np.array([Fraction(value) for value in values.tolist()], dtype=object)
