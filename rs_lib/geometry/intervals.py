"""Finite unions of closed intervals under noise: which points see at least half of them.

A region is a tuple of pairs (left, right). With uniform noise on [-radius, radius] and rational
ends everything is exact, in Fractions. With Gaussian noise the boundary is enclosed by bisection,
where bounds on the derivatives prove that no boundary point is missed.
"""

import itertools
import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import TypeVar

import numpy as np
from scipy import optimize, special

from rs_lib.arguments import nonnegative, numbers, shown, single

Number = TypeVar("Number", Fraction, float)
Exact = tuple[tuple[Fraction, Fraction], ...]
Real = tuple[tuple[float, float], ...]

# |(f * N)'| <= 1/sqrt(2 pi) and |(f * N)''| <= 2 phi(1) for unit noise and values of f in [0, 1].
_SLOPE = 1 / math.sqrt(2 * math.pi)
_BEND = 2 * math.exp(-0.5) / math.sqrt(2 * math.pi)
_REACH = 9.0
_FAR = 40.0
"""In σ: a half-line that begins `_REACH` away has a mass below 1e-18, and at `_FAR`, where ends are
moved to that lie further away, below 1e-300."""

_FINEST = 1e-9
"""Cells shorter than this many σ are not split: the mass only touches one half there."""


def union(pieces: Iterable[tuple[Number, Number]]) -> tuple[tuple[Number, Number], ...]:
    """Return the union of closed intervals as disjoint ones in order, without single points.

    Raises ValueError for an interval whose left end exceeds its right end.
    """
    merged: list[tuple[Number, Number]] = []
    for left, right in sorted(pieces):
        if not left <= right:
            raise ValueError(f"interval is ({left}, {right}): give the left end first")
        if merged and left <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], right))
        else:
            merged.append((left, right))
    return tuple(piece for piece in merged if piece[0] < piece[1])


def length(region: Iterable[tuple[Number, Number]]) -> Number:
    """Return the total length of a region of disjoint intervals; 0 if there is none."""
    pieces = list(region)
    if not pieces:
        return 0  # type: ignore[return-value]
    return sum((right - left for left, right in pieces[1:]), pieces[0][1] - pieces[0][0])


def overlap(
    first: Iterable[tuple[Number, Number]], second: Iterable[tuple[Number, Number]]
) -> tuple[tuple[Number, Number], ...]:
    """Return the intersection of two regions."""
    other = list(second)
    meets = ((max(a, c), min(b, d)) for a, b in first for c, d in other)
    return union((left, right) for left, right in meets if left < right)


def disagreement(
    first: tuple[tuple[Number, Number], ...], second: tuple[tuple[Number, Number], ...]
) -> Number:
    """Return the length of the points that lie in just one of two regions.

    In the book: thm-nt-outcomes.
    """
    return length(first) + length(second) - 2 * length(overlap(first, second))


def smoothed_uniform(region: Exact, radius: Fraction | int) -> Exact:
    """Return the points that see at least half under uniform noise on [-radius, radius]; exact.

    Single points, which are null sets, are left out; `radius` 0 changes nothing. Raises
    ValueError for a float, or for a radius below 0.
    """
    wide = _exact(radius, "radius")
    if wide < 0:
        raise ValueError(f"radius is {radius}: give a rational number that is not negative")
    pieces = union((_exact(a, "region"), _exact(b, "region")) for a, b in region)
    if not wide:
        return pieces
    knots = sorted({end + side for piece in pieces for end in piece for side in (-wide, wide)})

    def surplus(x: Fraction) -> Fraction:
        """How much more than half of the window around x lies in the region."""
        seen = (min(b, x + wide) - max(a, x - wide) for a, b in pieces)
        return sum((part for part in seen if part > 0), Fraction(0)) - wide

    kept: list[tuple[Fraction, Fraction]] = []
    for left, right in itertools.pairwise(knots):
        low, high = surplus(left), surplus(right)
        if low >= 0 and high >= 0:
            kept.append((left, right))
        elif max(low, high) >= 0:  # linear in between
            root = left + (right - left) * low / (low - high)
            kept.append((left, root) if low >= 0 else (root, right))
    return union(kept)


def smoothed_gaussian(region: Real | Exact, sigma: float) -> Real:
    """Return the points that see at least half under Gaussian noise, with ends to about 1e-15.

    `sigma` 0 changes nothing. Ends are rounded to nearest: an enclosure is not meant. Raises
    ValueError for infinite ends, or a sigma that is negative or not finite.
    """
    scale = single("sigma", nonnegative("sigma", sigma))
    pieces = union((_real(a), _real(b)) for a, b in region)
    if any(math.isinf(end) for piece in pieces for end in piece):
        raise ValueError("region holds an infinite end: give finite intervals")
    if not pieces or scale == 0:
        return pieces
    ends = [end for group in _groups(pieces, scale) for end in _ends_near(pieces, group, scale)]
    return union(zip(ends[::2], ends[1::2], strict=True))


def _groups(pieces: Real, sigma: float) -> list[list[float]]:
    """Return the ends of the intervals, cut where neighbours do not feel each other's noise.

    Between two ends that are 2 `_REACH` σ apart no mass comes near one half from elsewhere.
    """
    groups: list[list[float]] = []
    for end in (end for piece in pieces for end in piece):
        if groups and (end - groups[-1][-1]) / sigma <= 2 * _REACH:
            groups[-1].append(end)
        else:
            groups.append([end])
    return groups


def _ends_near(pieces: Real, group: list[float], sigma: float) -> list[float]:
    """Return where the mass crosses one half near a group of ends.

    Places are measured from the first end in σ, however far from 0 that lies.
    """
    origin = group[0]
    width = (group[-1] - origin) / sigma

    def unit(end: float) -> float:
        return min(max((end - origin) / sigma, -_FAR), width + _FAR)

    near = [(unit(a), unit(b)) for a, b in pieces]
    found = _crossings([(a, b) for a, b in near if a < b], -_REACH, width + _REACH)
    return [origin + place * sigma for place in found]


def gaussian_mass(region: Real, x: float) -> float:
    """Return the mass that unit Gaussian noise around `x` puts on the region.

    Raises ValueError for an interval whose ends are not in order.
    """
    for a, b in region:
        if not a <= b:
            raise ValueError(f"interval is ({a}, {b}): give the left end first")
    return math.fsum(_between(a - x, b - x) for a, b in region)


def risk(
    region: tuple[tuple[Number, Number], ...],
    smooth: Callable[
        [tuple[tuple[Number, Number], ...], Number], tuple[tuple[Number, Number], ...]
    ],
    train: Number,
    test: Number,
) -> Number:
    """Return the length on which training with noise and smoothing with noise err.

    `smooth` is one of the two functions above; `train` and `test` are their scales, where 0
    means no noise.
    """
    return disagreement(region, smooth(smooth(region, train), test))


def _real(end: Fraction | float) -> float:
    return single("region", numbers("region", np.asarray(end)))


def _exact(value: Fraction | int, name: str) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, Fraction | int):
        raise ValueError(f"{name} holds {shown(value)}: give Fractions or integers")
    return Fraction(value)


def _between(low: float, high: float) -> float:
    """Φ(high) - Φ(low) without cancellation in the tails."""
    if low > 0:
        return float(special.ndtr(-low) - special.ndtr(-high))
    return float(special.ndtr(high) - special.ndtr(low))


def _crossings(region: list[tuple[float, float]], low: float, high: float) -> list[float]:
    """Return where the mass of the region around x crosses one half, for unit noise."""
    pieces = tuple(region)

    def surplus(x: float) -> float:
        return gaussian_mass(pieces, x) - 0.5

    def slope(x: float) -> float:
        return math.fsum(
            _SLOPE * (math.exp(-0.5 * (a - x) ** 2) - math.exp(-0.5 * (b - x) ** 2))
            for a, b in pieces
        )

    found: list[float] = []
    cells = [(low, high)]
    while cells:
        left, right = cells.pop()
        middle, half = (left + right) / 2, (right - left) / 2
        if abs(surplus(middle)) > _SLOPE * half:
            continue  # no root in this cell
        if abs(slope(middle)) > _BEND * half:  # monotone: at most one
            # A root on the border of two cells belongs to one of them.
            if (surplus(left) >= 0) != (surplus(right) >= 0):
                found.append(optimize.brentq(surplus, left, right, xtol=1e-15, rtol=1e-15))
        elif half > _FINEST:
            cells += [(left, middle), (middle, right)]
    return sorted(found)
