"""Randomized ablation: l0 certificates of classifiers that see a few random pixels.

The base classifier sees k of d pixels, drawn uniformly without replacement. If rho pixels change,
couple both draws by taking the same subset: the views differ only if it meets a changed pixel,
with probability Delta = 1 - C(d - rho, k) / C(d, k). No class probability moves by more, and the
class "some changed pixel was seen" moves by exactly that much. So a class of probability above
1/2 + Delta stays the majority.
Source: Levine & Feizi (2020), "Robustness Certificates for Sparse Adversarial Attacks by
Randomized Ablation", theorem 1.
"""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray

_BITS = 256
"""Binary digits behind the point in the recurrence; each step loses less than the last one."""

MOST_PIXELS = 2**22
"""Largest image: its table is made in a few seconds at worst."""

_MOST_BITS = 2**17


def delta(pixels: int, kept: int, changed: int) -> Fraction:
    """Probability that `kept` random ones of `pixels` meet `changed` given ones; exact.

    Raises ValueError unless 1 <= kept <= pixels <= `MOST_PIXELS` and 0 <= changed <= pixels, and
    for a fraction of more than some forty thousand digits.

    In the book: thm-ra-coupling.
    """
    d, k = _checked(pixels, kept)
    rho = arguments.integer("changed", changed)
    if rho > d:
        raise ValueError(f"changed is {rho}: give at most the number of pixels, {d}")
    if min(k, rho) * d.bit_length() > _MOST_BITS:
        raise ValueError(
            f"changed is {rho}: for {k} of {d} pixels the exact fraction has too many digits; "
            f"give at most {_MOST_BITS // d.bit_length()} changed or kept pixels"
        )
    # The smaller of two products that are equal.
    few, many = sorted((k, rho))
    factors = range(few)
    return 1 - Fraction(math.prod(d - many - i for i in factors), math.prod(d - i for i in factors))


def radius(p_lower: npt.ArrayLike, pixels: int, kept: int) -> IntArray:
    """Largest rho with p_lower - Delta(rho) > 1/2, int64; -1 where there is none (p_lower <= 1/2).

    0 says that the smoothed classifier answers so at the image itself. Pixels are positions: all
    channels of one count as one. Never more than in exact arithmetic. Raises ValueError for
    p_lower outside [0, 1] or unless 1 <= kept <= pixels <= `MOST_PIXELS`.

    In the book: thm-ra-radius.
    """
    probability = arguments.exact_probabilities("p_lower", p_lower)
    d, k = _checked(pixels, kept)
    if probability.dtype == np.float64:
        return np.asarray(np.searchsorted(_least(d, k), probability, side="right") - 1)[()]
    bounds = [Fraction(bound, 1 << _BITS) for bound in _bounds(d, k)]
    reached = [bisect.bisect_left(bounds, p) - 1 for p in probability.ravel().tolist()]
    return np.array(reached, dtype=np.int64).reshape(probability.shape)[()]


def required_probability(changed: npt.ArrayLike, pixels: int, kept: int) -> FloatArray:
    """Smallest float p_lower whose `radius` reaches `changed`; 1 where no probability below 1 does.

    Raises ValueError unless 1 <= kept <= pixels and every `changed` is a whole number >= 0.
    """
    wanted = arguments.integers("changed", changed)
    least = _least(*_checked(pixels, kept))
    return np.asarray(np.append(least, 1.0)[np.minimum(wanted, len(least))])[()]


@functools.lru_cache(maxsize=64)
def _least(pixels: int, kept: int) -> FloatArray:
    """Smallest float p_lower that certifies rho = 0, 1, ..., while there is one up to 1."""
    one = 1 << _BITS
    floats = []
    for bound in _bounds(pixels, kept):
        # The float next to the bound on its upper side: p_lower is to exceed it. True division
        # of integers rounds once.
        nearest = bound / one
        above = nearest if int(math.ldexp(nearest, _BITS)) > bound else math.nextafter(nearest, 2)
        if above > 1:
            break
        floats.append(above)
    least = np.array(floats)
    least.flags.writeable = False
    return least


def _bounds(pixels: int, kept: int) -> Iterator[int]:
    """1/2 + Delta for rho = 0, 1, ..., in units of 2^-256, while it is below 1; rounded up.

    1 - Delta falls by the factor (d - rho - k) / (d - rho) from rho to rho + 1. In integers of
    256 binary digits, rounded down, it is below the exact value by less than d 2^-256.
    """
    one = 1 << _BITS
    kept_whole = one
    for rho in range(pixels + 1):
        bound = 3 * one // 2 - kept_whole
        if bound >= one:
            break
        yield bound
        kept_whole = kept_whole * max(pixels - rho - kept, 0) // max(pixels - rho, 1)


def _checked(pixels: int, kept: int) -> tuple[int, int]:
    d = arguments.integer("pixels", pixels, least=1, most=MOST_PIXELS)
    k = arguments.integer("kept", kept, least=1)
    if k > d:
        raise ValueError(f"kept is {k}: give at most the number of pixels, {d}")
    return d, k
