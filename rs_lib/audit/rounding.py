"""The counts that printed radii stand for, and how many were printed above the certified radius."""

from dataclasses import dataclass

import numpy as np

from rs_lib.arguments import FloatArray, IntArray
from rs_lib.audit import lattice
from rs_lib.audit.logs import BoolArray, Log, Printing


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

    `least` are so for every count that the row can stand for, and by more than `lattice.TIE`, the
    error of another library; `most` for at least one count, be it by the last digit. `expected`
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


def infer_counts(log: Log, sigma: float, style: Printing, trials: int, alpha: float) -> Counts:
    """Read the counts off the printed radii, under `trials` samples at level `alpha`."""
    values, where = np.unique(log.radius, return_inverse=True)
    low, high = lattice.count_ranges(values, sigma, style, trials, alpha)
    matched = log.certified & (high >= low)[where]
    largest = np.where(log.certified, high[where], -1)
    smallest = np.where(matched, low[where], largest)
    return Counts(trials, smallest, largest, matched)


def count_rounding(log: Log, counts: Counts, sigma: float, alpha: float, step: float) -> Rounding:
    """Count the radii that were printed above what their counts certify at level `alpha`.

    `step` is the distance of the tabulated radii. Off-lattice rows are left out.
    """
    rows = counts.matched
    low, high = counts.smallest[rows], counts.largest[rows]

    def share_below(z: FloatArray) -> FloatArray:
        """Return the share of each row's counts whose radius lies below z sigma."""
        reached = lattice.first_counts(z, counts.trials, alpha)
        below: FloatArray = np.clip(reached - low, 0, high - low + 1) / (high - low + 1)
        return below

    printed = log.radius[rows] / sigma
    share, possible = share_below(printed - lattice.TIE), share_below(printed) > 0
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
