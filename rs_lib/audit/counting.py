"""A column of counts in a log: is it what the radii beside it were computed from?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rs_lib.arguments import FloatArray, IntArray
from rs_lib.audit import lattice
from rs_lib.audit.logs import BoolArray, Log
from rs_lib.audit.manners import COARSE, Manner
from rs_lib.audit.origins import roundest
from rs_lib.statistics import MAX_TRIALS

# Rows that must agree, so that it is no chance: as many, and this share of those with a count.
_LEAST_ROWS = 5
_LEAST_SHARE = 0.9


@dataclass(frozen=True, eq=False)
class CountColumn:
    """What a column of counts says: the `pair` (trials, alpha) with which it gives the radii, None
    if no pair does for nine rows in ten; `agrees`, bool [N], says where it does. `rows` of the
    certified rows hold a count. `manners` are those in which they agree."""

    rows: int
    pair: tuple[int, float] | None
    agrees: BoolArray
    manners: tuple[Manner, ...]


def count_column(
    log: Log,
    sigma: float,
    manners: Sequence[Manner],
    stated: tuple[int, float],
    levels: Sequence[float],
) -> CountColumn | None:
    """Check a log's column of counts against its radii; None if it has none.

    The stated pair comes first; else each of `levels` is tried with the roundest number of samples
    that gives most radii from their counts, and the pair that agrees in most rows is taken.
    """
    if log.counts is None:
        return None
    used = log.certified & (log.counts >= 1)
    rows = int(used.sum())
    none = CountColumn(rows, None, np.zeros(used.shape, dtype=np.bool_), ())
    if rows < _LEAST_ROWS:
        return none
    fine = tuple(manner for manner in manners if manner.arithmetic.relative < COARSE)
    cells = [manner.cells(log.radius[used], sigma) for manner in fine]
    low = np.min([ends[0] for ends in cells], axis=0)
    high = np.max([ends[1] for ends in cells], axis=0)
    counts = log.counts[used]
    best, fits = none, 0
    for trials, alpha in [stated, *_pairs(counts, low, high, levels)]:
        radii = np.where(counts <= trials, lattice.radii(counts, trials, alpha), np.inf)
        agree = (low <= radii) & (radii <= high)
        if agree.sum() > max(fits, _LEAST_SHARE * rows - 1):
            everywhere = np.zeros(used.shape, dtype=np.bool_)
            everywhere[used] = agree
            best, fits = CountColumn(rows, (trials, alpha), everywhere, fine), int(agree.sum())
    return best


def _pairs(
    counts: IntArray, low: FloatArray, high: FloatArray, levels: Sequence[float]
) -> list[tuple[int, float]]:
    """Return, for each level, the sample size that gives most radii from their counts."""
    found = []
    for alpha in levels:
        # The radius of a count falls with the number of samples.
        first = _first_below(counts, high, alpha)
        last = _first_below(counts, np.nextafter(low, -np.inf), alpha) - 1
        ends = np.concatenate([first, last + 1])
        steps = np.concatenate([np.ones_like(first), -np.ones_like(last)])
        order = np.lexsort((steps, ends))
        held = np.cumsum(steps[order])
        place = int(np.argmax(held))
        if place + 1 < ends.size and ends[order][place + 1] > ends[order][place]:
            start, stop = int(ends[order][place]), int(ends[order][place + 1]) - 1
            found += [(n, alpha) for n in roundest(start, min(stop, MAX_TRIALS), 1)]
    return found


def _first_below(counts: IntArray, limit: FloatArray, alpha: float) -> IntArray:
    """Return the smallest n >= k at which the radius of k of n is at most `limit`."""
    low, high = counts - 1, np.full_like(counts, 2 * MAX_TRIALS)
    while (high - low > 1).any():
        middle = (low + high) // 2
        below = lattice.radii_of(counts, np.maximum(middle, counts), alpha) <= limit
        low, high = np.where(below, low, middle), np.where(below, middle, high)
    return high
