"""Randomized ablation: l0 certificates of classifiers that see a few random pixels.

The base classifier sees k of d pixels, drawn uniformly without replacement. If rho pixels change,
couple both draws by taking the same subset: the views differ only if it meets a changed pixel,
with probability Delta = 1 - C(d - rho, k) / C(d, k). No class probability moves by more, and the
class "some changed pixel was seen" moves by exactly that much. So a class of probability above
1/2 + Delta stays the majority.
Source: Levine & Feizi (2020), "Robustness Certificates for Sparse Adversarial Attacks by
Randomized Ablation", theorem 1.
"""

import functools
import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray

_BITS = 256
"""Binary digits behind the point in the recurrence; each step loses less than the last one."""


def delta(pixels: int, kept: int, changed: int) -> Fraction:
    """Probability that `kept` random ones of `pixels` meet `changed` given ones; exact.

    Raises ValueError unless 1 <= kept <= pixels and 0 <= changed <= pixels.
    """
    _check_kept(pixels, kept)
    if not 0 <= int(arguments.integers("changed", changed)) <= pixels:
        raise ValueError(f"changed is {changed}: give at most the number of pixels, {pixels}")
    return 1 - Fraction(math.comb(pixels - changed, kept), math.comb(pixels, kept))


def radius(p_lower: npt.ArrayLike, pixels: int, kept: int) -> IntArray:
    """Largest rho with p_lower - Delta(rho) > 1/2, int64; -1 where there is none (p_lower <= 1/2).

    0 says that the smoothed classifier answers so at the image itself. Pixels are positions: all
    channels of one count as one. Never more than in exact arithmetic. Raises ValueError for
    p_lower outside [0, 1] or unless 1 <= kept <= pixels.
    """
    probability = arguments.probabilities("p_lower", p_lower)
    _check_kept(pixels, kept)
    return np.asarray(np.searchsorted(_least(pixels, kept), probability, side="right") - 1)[()]


def required_probability(changed: npt.ArrayLike, pixels: int, kept: int) -> FloatArray:
    """Smallest float p_lower whose `radius` reaches `changed`; 1 where no probability below 1 does.

    Raises ValueError unless 1 <= kept <= pixels and every `changed` is a whole number >= 0.
    """
    wanted = arguments.integers("changed", changed)
    _check_kept(pixels, kept)
    least = _least(pixels, kept)
    return np.asarray(np.append(least, 1.0)[np.minimum(wanted, len(least))])[()]


@functools.lru_cache(maxsize=64)
def _least(pixels: int, kept: int) -> FloatArray:
    """Smallest float p_lower that certifies rho = 0, 1, ..., while there is one up to 1.

    1 - Delta falls by the factor (d - rho - k) / (d - rho) from rho to rho + 1. In integers of
    256 binary digits, rounded down, it is below the exact value by less than d 2^-256.
    """
    one = 1 << _BITS
    kept_whole, floats = one, []
    for rho in range(pixels + 1):
        bound = 3 * one // 2 - kept_whole
        # The float next to the bound on its upper side: p_lower is to exceed it.
        nearest = float(Fraction(bound, one))
        above = nearest if Fraction(nearest) * one > bound else math.nextafter(nearest, 2)
        if above > 1:
            break
        floats.append(above)
        kept_whole = kept_whole * max(pixels - rho - kept, 0) // max(pixels - rho, 1)
    least = np.array(floats)
    least.flags.writeable = False
    return least


def _check_kept(pixels: int, kept: int) -> None:
    arguments.integers("pixels", pixels, least=1)
    if not 1 <= int(arguments.integers("kept", kept, least=1)) <= pixels:
        raise ValueError(f"kept is {kept}: give at most the number of pixels, {pixels}")
