"""Noise on a finite alphabet: exact, tight l0 certificates of Lee et al.

Each coordinate keeps its value with probability a (`keep`) and takes each of its K other values
(`alternatives`) with probability b = (1 - a) / K. Let x and x' differ in r coordinates. Where they
agree, the noise on both is the same and cancels in the ratio of the two laws. Of the r others let
i agree with x, j with x', the rest with neither: the ratio is (a/b)^(i-j), so the outcomes fall
into 2r + 1 regions by e = i - j (r + 1 for K = 1), whatever the dimension. Their masses under x
are the coefficients of (b/s + (K - 1) b + a s)^r, those under x' the same backwards.

rho_r never rises with r: a classifier that ignores one changed coordinate has the same
probabilities as one that lives on the other r - 1, so more changes leave it all its choices. One
threshold per radius is therefore enough.
Source: Lee, Yuan, Chang and Jaakkola (2019), "Tight Certificates of Adversarial Robustness for
Randomly Smoothed Classifiers", section 4; Bojchevski, Klicpera and Günnemann (2020) for regions
without the dimension.
"""

from __future__ import annotations

import bisect
import functools
import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray
from rs_lib.certificates.regions import (
    Exact,
    Regions,
    exact_probability,
    float_above,
    power,
    require_affordable,
)


def regions(radius: int, keep: Exact, alternatives: int = 1) -> Regions:
    """Return the regions of two points that differ in `radius` coordinates, exact.

    Several kinds of coordinates, such as pixels and labels, combine by
    `regions(...).joint(regions(...))`. Raises ValueError for a radius below 0, alternatives below
    1, `keep` outside [0, 1] or given as a float, or more digits than a few seconds allow.
    """
    return _regions(*_checked(radius, keep, alternatives))


def worst_case(p: Exact, radius: int, keep: Exact, alternatives: int = 1) -> Fraction:
    """Smallest probability rho_r(p) of a class at distance `radius` that has p at x; exact.

    Attained by the classifier that says so on whole regions in order. The largest probability, for
    a rival, is `regions(...).best_case(p)` = 1 - rho_r(1 - p). Raises ValueError as `regions` does
    and for p outside [0, 1] or given as a float.

    In the book: thm-dn-dimension.
    """
    return regions(radius, keep, alternatives).worst_case(p)


def threshold(radius: int, keep: Exact, alternatives: int = 1) -> Fraction:
    """Largest p with rho_r(p) <= 1/2: the radius is certified if and only if p exceeds it; exact.

    It is 1 where no p suffices. Raises ValueError as `regions` does.

    In the book: thm-dn-certificate.
    """
    return _threshold(*_checked(radius, keep, alternatives))


def radius(
    p_lower: npt.ArrayLike,
    keep: Exact,
    alternatives: int = 1,
    max_radius: int = 500,
    p_upper: npt.ArrayLike | None = None,
) -> IntArray:
    """Largest number of changed coordinates that cannot change the answer, int64; -1 for none.

    Without `p_upper` the class must keep rho_r(p_lower) > 1/2, and -1 stands where
    p_lower <= 1/2. With it, a bound from above on every other class, rho_r(p_lower) must exceed
    the largest probability 1 - rho_r(1 - p_upper) of a rival; -1 stands where p_lower <= p_upper.
    A p_upper above 1 - p_lower says nothing new and is replaced by it. 0 says that the
    smoothed classifier answers so at the input itself. Values stop at `max_radius`, which then
    means "at least"; the number of coordinates is always enough. Floats and Fractions count as
    exact numbers and are compared exactly: the result is the radius itself, rounded nowhere.

    The probabilities broadcast. Raises ValueError for probabilities outside [0, 1], max_radius
    below 0, and as `regions` does.

    Source: Lee et al. (2019), section 4; Wang, Cao, Jia and Gong (2020) for `p_upper`.

    In the book: thm-dn-certificate, thm-dn-rival.
    """
    low = arguments.exact_probabilities("p_lower", p_lower)
    law = _checked(max_radius, keep, alternatives, "max_radius")
    if p_upper is None:
        found = [_one_sided(p, *law) for p in low.ravel().tolist()]
        return np.array(found, dtype=np.int64).reshape(low.shape)[()]
    low, high = np.broadcast_arrays(low, arguments.exact_probabilities("p_upper", p_upper))
    found = [
        _two_sided(p, q, *law)
        for p, q in zip(low.ravel().tolist(), high.ravel().tolist(), strict=True)
    ]
    return np.array(found, dtype=np.int64).reshape(low.shape)[()]


def required_probability(changed: npt.ArrayLike, keep: Exact, alternatives: int = 1) -> FloatArray:
    """Smallest float p_lower whose `radius` reaches `changed`; 1 where no probability below does.

    `changed` are whole numbers of at least 0. Raises ValueError as `regions` does.
    """
    wanted = arguments.integers("changed", changed)
    _, kept, others = _checked(int(wanted.max(initial=0)), keep, alternatives, "changed")
    least = [min(_least(r, kept, others), 1.0) for r in wanted.ravel().tolist()]
    return np.array(least, dtype=np.float64).reshape(wanted.shape)[()]


def _checked(
    radius: int, keep: Exact, alternatives: int, name: str = "radius"
) -> tuple[int, Fraction, int]:
    changes = arguments.integer(name, radius)
    kept = exact_probability("keep", keep)
    others = arguments.integer("alternatives", alternatives, least=1)
    require_affordable(name, changes, kept, Fraction(1, others))
    return changes, kept, others


@functools.lru_cache(maxsize=256)
def _regions(radius: int, keep: Fraction, alternatives: int) -> Regions:
    stay, move = alternatives * keep.numerator, keep.denominator - keep.numerator
    common = math.gcd(stay, move)
    stay, move = stay // common, move // common
    middle = (alternatives - 1) * move
    step = (move, stay) if alternatives == 1 else (move, middle, stay)
    rising = tuple(power(step, radius))
    falling = rising[::-1]
    # The best bargain is to agree with x, unless a kept value is rarer than each other one.
    base, shifted = (falling, rising) if stay >= move else (rising, falling)
    return Regions(base, shifted, (stay + middle + move) ** radius)


@functools.lru_cache(maxsize=2**14)
def _threshold(radius: int, keep: Fraction, alternatives: int) -> Fraction:
    return _regions(radius, keep, alternatives).threshold()


@functools.lru_cache(maxsize=2**14)
def _least(radius: int, keep: Fraction, alternatives: int) -> float:
    """Smallest float that certifies the radius, which is quicker to compare with."""
    return float_above(_threshold(radius, keep, alternatives))


@functools.lru_cache(maxsize=2**14)
def _one_sided(low: float | Fraction, last: int, keep: Fraction, alternatives: int) -> int:
    def lost(r: int) -> bool:
        if isinstance(low, float):
            return low < _least(r, keep, alternatives)
        return low <= _threshold(r, keep, alternatives)

    # Thresholds never fall with r.
    return bisect.bisect_left(range(last + 1), True, key=lost) - 1


@functools.lru_cache(maxsize=2**14)
def _two_sided(
    low: float | Fraction,
    high: float | Fraction,
    last: int,
    keep: Fraction,
    alternatives: int,
) -> int:
    p = Fraction(low)
    rest = 1 - min(Fraction(high), 1 - p)

    def lost(r: int) -> bool:
        laws = _regions(r, keep, alternatives)
        return laws.worst_case(p) + laws.worst_case(rest) <= 1

    # rho never rises with r, so that the radii that are lost form an end of the range.
    return bisect.bisect_left(range(last + 1), True, key=lost) - 1
