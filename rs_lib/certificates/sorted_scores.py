"""Sums of normal tails: what scores that are sorted along a line keep as the line moves.

The numbers behind `confidence`: sum_i w_i Phi(Phi^-1(S_i) - r) from below, and its root in r.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib.arguments import FloatArray

# In units of 2^-53, relative. Against 200-bit balls ndtri errs by at most 8, and ndtr at a < 0 by
# 5 + 1.6 a^2 down to 1e-300, at a >= 0 by 2; we allow twice that or more. Sums along a contiguous
# axis are taken pairwise: fewer than 40 roundings each up to 2^20 terms, and two in each term.
UNIT = 2.0**-53
QUANTILE_ERROR = 16 * UNIT
TAIL_ERROR, TAIL_ERROR_PER_SQUARE = 24 * UNIT, 3 * UNIT
_SUM = 48 * UNIT
TINY = 1e-300

_NOWHERE = -100.0
"""Stands for Phi^-1(0): nothing is left of it in float64, and no infinity spoils a product."""

_BLOCK = 2**16
"""Numbers that are worked on at a time: they stay in the cache."""

_CLOSE = 2.0**-45
_ROUNDS = 80


class Law(NamedTuple):
    """Laws of n scores: `base` [n] is kept at any distance, and beyond it the parts `widths` [m]
    of the range while their tails last, of probabilities `masses` [n, m] (0 up to the base).
    """

    base: FloatArray
    widths: FloatArray
    masses: FloatArray

    def quantiles(self) -> FloatArray:
        """Return Phi^-1 of the masses, [n, m], lowered by what it and later differences err."""
        z = np.where(self.masses > 0, special.ndtri(self.masses), _NOWHERE)
        z -= QUANTILE_ERROR * np.abs(z)
        return z

    def at_once(self) -> FloatArray:
        """Lower bound of what is kept beyond the base at distance 0, [n]."""
        low = np.add.reduce(self.masses * self.widths, axis=1) * (1 - _SUM)
        return np.where(low > TINY, low, 0.0)

    def chosen(self, rows: npt.NDArray[np.bool_]) -> "Law":
        """Return the law of some of the scores."""
        return Law(self.base[rows], self.widths, self.masses[rows])


def laws_of(cuts: FloatArray, rows: FloatArray, low: float) -> Law:
    """Return the laws of `rows` [n, m] of survival."""
    base = np.concatenate([[low], cuts])[(rows == 1).sum(axis=1)]
    return Law(base, np.diff(cuts, prepend=low), np.where(rows < 1, rows, 0.0))


def kept_beyond(
    widths: FloatArray, quantiles: FloatArray, steps: FloatArray
) -> tuple[FloatArray, ...]:
    """Lower bounds of sum_i widths_i Phi(z_i - steps), [n], and minus its slope in `steps`."""
    place = quantiles - (steps * (1 + QUANTILE_ERROR))[:, None]
    tail = special.ndtr(place)
    tail *= widths
    square = np.multiply(place, place, out=place)
    total = np.add.reduce(tail, axis=1)
    slack = np.add.reduce(np.multiply(tail, square, out=tail), axis=1)
    density = np.exp(np.multiply(square, -0.5, out=square), out=square)
    density *= widths / np.sqrt(2 * np.pi)
    slope = np.add.reduce(density, axis=1)
    low = total * (1 - TAIL_ERROR - _SUM) - TAIL_ERROR_PER_SQUARE * slack - TINY * widths.sum()
    return np.where(low > TINY, low, 0.0), slope


def steps_to(widths: FloatArray, quantiles: FloatArray, missing: FloatArray) -> FloatArray:
    """Largest steps [n], rounded down, at which sum_i widths_i Phi(z_i - steps) >= missing.

    Newton's method on Phi^-1(sum / width), which is a straight line in the steps for a law of two
    values, within a bracket. Whatever it proposes, only steps at which `kept_beyond` has been seen
    to reach `missing` are returned.
    """
    whole = widths.sum()
    # What is kept is at most the whole range times Phi(largest quantile - steps).
    least = np.zeros(len(missing))
    most = quantiles.max(axis=1) - special.ndtri(np.minimum(missing / whole, 1.0)) + 1
    most = np.maximum(most, 0.0)
    guess = np.clip(_start(widths, quantiles, missing), least, most)
    active = np.arange(len(missing))
    for turn in range(_ROUNDS):
        if active.size == 0:
            break
        # Aimed so far above `missing` that rounding seldom falls short of it.
        above = 2.0 ** (turn // 2 - 50)
        line = special.ndtri(np.minimum(missing[active] * (1 + above) / whole, 1.0))
        steps = guess[active]
        kept, slope = kept_beyond(widths, quantiles[active], steps)
        enough = kept >= missing[active]
        least[active] = np.where(enough, steps, least[active])
        most[active] = np.where(enough, most[active], steps)
        with np.errstate(all="ignore"):
            z = special.ndtri(np.minimum(kept / whole, 1.0))
            rate = slope / whole * np.sqrt(2 * np.pi) * np.exp(z * z / 2)
            proposed = steps + (z - line) / rate
        inside = (proposed > least[active]) & (proposed < most[active])
        guess[active] = np.where(inside, proposed, (least[active] + most[active]) / 2)
        done = enough & (kept <= missing[active] * (1 + max(_CLOSE, 4 * above)))
        done |= most[active] <= least[active] * (1 + 2 * UNIT)
        active = active[~done]
    return least


def _start(widths: FloatArray, quantiles: FloatArray, missing: FloatArray) -> FloatArray:
    """First guess of `steps_to`: its answer for every sixteenth level, or that for the mean."""
    if widths.size > 64:
        first = np.arange(0, widths.size, 16)
        middle = np.minimum(first + 8, widths.size - 1)
        return steps_to(np.add.reduceat(widths, first), quantiles[:, middle], missing)
    whole = widths.sum()
    mean = np.add.reduce(special.ndtr(quantiles) * widths, axis=1) / whole
    with np.errstate(invalid="ignore"):  # of two infinite quantiles
        gap = special.ndtri(np.minimum(mean, 1.0)) - special.ndtri(np.minimum(missing / whole, 1.0))
    return np.where(np.isfinite(gap) & (gap > 0), gap, 0.1)


def blocks(masses: FloatArray, shape: tuple[int, ...]) -> Iterator[tuple[slice, FloatArray]]:
    """Parts of a flattened batch of that shape, and their rows of `masses` [..., m]."""
    columns = masses.shape[-1]
    flat = masses.reshape(-1, columns)
    rows = np.broadcast_to(np.arange(len(flat)).reshape(masses.shape[:-1]), shape).ravel()
    size = max(1, _BLOCK // columns)
    for start in range(0, rows.size, size):
        part = slice(start, start + size)
        yield part, np.ascontiguousarray(flat[rows[part]])  # for sums that are taken pairwise
