"""The counts that printed radii stand for, and how many were printed above the certified radius."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rs_lib.arguments import FloatArray, IntArray
from rs_lib.audit import lattice
from rs_lib.audit.logs import BoolArray, Log
from rs_lib.audit.manners import DOUBLE, Arithmetic, Manner


@dataclass(frozen=True)
class Counts:
    """The counts that rows of a log can stand for: `smallest` to `largest`, int64 [N], of `trials`.

    A row whose radius matches no count gets the largest count whose radius lies below it, so
    that nothing is added to its claim; rows without a positive radius get -1. `matched`, bool
    [N], says where a count matches.
    """

    trials: int
    smallest: IntArray
    largest: IntArray
    matched: BoolArray


@dataclass(frozen=True)
class Rounding:
    """How many of `rows` matched radii were printed above the certified radius.

    `least` are so for every count that the row can stand for, and by more than the error that
    the arithmetic may leave; `most` for at least one count, be it by the last digit. `expected`
    takes the counts of a row as equally likely, and allows that error too. `tabulated_*` tell the
    same of the `tabulated` correct rows printed exactly at a tabulated radius, which thus lie
    below it.
    """

    rows: int
    least: int
    most: int
    expected: float
    tabulated: int
    tabulated_least: int
    tabulated_most: int
    tabulated_expected: float


def infer_counts(
    log: Log, sigma: float, manners: Sequence[Manner], trials: int, alpha: float
) -> Counts:
    """Read the counts off the printed radii, under `trials` samples at level `alpha`.

    A row can stand for all counts that one of `manners` leaves it.
    """
    values, where = np.unique(log.radius, return_inverse=True)
    ranges = [
        lattice.count_ranges(values, sigma, manner.style, trials, alpha, manner.arithmetic)
        for manner in manners
    ]
    matched = np.any([high >= low for low, high in ranges], axis=0)
    # A manner that leaves no count says nothing where another leaves some.
    low = np.min([np.where(high >= low, low, trials + 2) for low, high in ranges], axis=0)
    high = np.max([np.where((high >= low) | ~matched, high, -1) for low, high in ranges], axis=0)
    fits = log.certified & matched[where]
    largest = np.where(log.certified, high[where], -1)
    return Counts(trials, np.where(fits, low[where], largest), largest, fits)


def counted(log: Log, counts: Counts, rows: BoolArray) -> Counts:
    """Return `counts` with those that the log's own column holds in `rows`, bool [N]."""
    if log.counts is None:
        raise ValueError("log has no column of counts: read them off its radii")
    return Counts(
        counts.trials,
        np.where(rows, log.counts, counts.smallest),
        np.where(rows, log.counts, counts.largest),
        counts.matched | rows,
    )


def count_rounding(
    log: Log,
    counts: Counts,
    sigma: float,
    alpha: float,
    step: float,
    arithmetic: Arithmetic = DOUBLE,
) -> Rounding:
    """Count the radii that were printed above what their counts certify at level `alpha`.

    `step` is the distance of the tabulated radii; what `arithmetic` leaves as an error is no
    overstatement. Off-lattice rows are left out.
    """
    rows = counts.matched
    low, high = counts.smallest[rows], counts.largest[rows]

    def share_below(z: FloatArray) -> FloatArray:
        """Return the share of each row's counts whose radius lies below z sigma."""
        reached = lattice.first_counts(z, counts.trials, alpha)
        below: FloatArray = np.clip(reached - low, 0, high - low + 1) / (high - low + 1)
        return below

    printed = log.radius[rows] / sigma
    share = share_below(arithmetic.widened(printed, printed)[0])
    possible = share_below(printed) > 0
    at = log.correct[rows] & np.isin(log.radius[rows], thresholds(log, step)[1:])
    return Rounding(
        rows=int(rows.sum()),
        least=int((share == 1).sum()),
        most=int(possible.sum()),
        expected=float(share.sum()),
        tabulated=int(at.sum()),
        tabulated_least=int((share[at] == 1).sum()),
        tabulated_most=int(possible[at].sum()),
        tabulated_expected=float(share[at].sum()),
    )


def thresholds(log: Log, step: float) -> FloatArray:
    """Return the multiples of `step` up to the largest radius of the log."""
    multiples = step * np.arange(int(np.floor(log.radius.max() / step + 1e-9)) + 1)
    return np.round(multiples, 9)  # 3 times 0.1 must not lie above a printed 0.3
