"""Gaussian noise N(0, sigma^2 I): the l2 certificate.

Let P = N(x, sigma^2 I), Q = N(x + delta, sigma^2 I) and r = ||delta||_2. The ratio dQ/dP grows
with <delta, z>, so by the Neyman-Pearson lemma the classifier that loses most is a half-space
{<delta, z - x> <= c r}. It has P-mass p for c = sigma Phi^-1(p), hence Q-mass
Phi(Phi^-1(p) - r / sigma): the bound is attained.
Source: Cohen, Rosenfeld and Kolter (2019), Theorems 1 and 2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib import arguments
from rs_lib.arguments import FloatArray
from rs_lib.statistics import clopper_pearson_lower

# Relative error allowed to ndtri with the products around it: 3.6e-15. Against ball arithmetic
# ndtri errs by at most 6e-16 relative, near 1/2 and in both tails.
_ERROR = 2.0**-48

# The same for ndtr: 4.5e-13. It exceeds the exact value by at most 5e-14 down to 1e-300, below
# which we return 0.
_TAIL_ERROR = 2.0**-41
_TINY = 1e-300


def radius(
    p_lower: npt.ArrayLike, sigma: npt.ArrayLike, p_upper: npt.ArrayLike | None = None
) -> FloatArray:
    """l2 radius within which the smoothed class cannot change.

    `p_lower` bounds the probability of the top class from below and `p_upper`, if given, that of
    every other class from above. The radius is sigma Phi^-1(p_lower), or
    sigma/2 (Phi^-1(p_lower) - Phi^-1(p_upper)); it is 0 where nothing is certified. Since the
    other classes share what the top class leaves, a p_upper above 1 - p_lower says nothing new and
    is replaced by 1 - p_lower: a loose p_upper never spoils the one-sided radius.

    The arguments broadcast; returns float64 in the unit of `sigma`. Numbers that float64 does not
    hold go to the safe side, floats are taken as exact, and the result is rounded down: it never
    exceeds the exact radius. At p_lower = 1
    (and p_upper = 0 < p_lower) the radius is infinite. That is sound: a class of probability one
    fills the space up to a null set, wherever the noise is centred. A confidence bound from
    samples never reaches 1.

    Raises ValueError for probabilities outside [0, 1] and for sigma not positive and finite.

    Source: Cohen, Rosenfeld and Kolter (2019), Theorem 1 and section 3.2.2.

    In the book: thm-radius, prop-tight.
    """
    low = arguments.probabilities("p_lower", p_lower, rounding="down")
    scale = arguments.positive("sigma", sigma, rounding="down")
    z_low = special.ndtri(low)
    if p_upper is None:
        z_high = -z_low
    else:
        high = arguments.probabilities("p_upper", p_upper, rounding="up")
        z_high = np.minimum(special.ndtri(high), -z_low)
    with np.errstate(invalid="ignore", over="ignore"):  # infinite quantiles: settled below
        gap = (z_low - z_high) - _ERROR * (np.abs(z_low) + np.abs(z_high))
        rounded = np.nextafter(scale * (gap / 2) * (1 - _ERROR), 0.0)
    certain = (z_low > z_high) & (np.isinf(z_low) | np.isinf(z_high))
    return np.where(certain, np.inf, np.where(gap > 0, rounded, 0.0))[()]


def worst_case(p: npt.ArrayLike, shift: npt.ArrayLike, sigma: npt.ArrayLike) -> FloatArray:
    """Smallest probability that a class of probability p can have at distance `shift`.

    Computes Phi(Phi^-1(p) - shift / sigma), rounded down (to 0 below 1e-300). The arguments
    broadcast; `shift` is an l2 distance of at least 0 in the unit of `sigma`. A half-space
    orthogonal to the shift attains the bound. Raises ValueError for p outside [0, 1], a negative
    shift, or sigma not positive.

    Source: Cohen, Rosenfeld and Kolter (2019), Theorems 1 and 2.

    In the book: thm-half-space.
    """
    mass = arguments.probabilities("p", p, rounding="down")
    distance = arguments.nonnegative("shift", shift, rounding="up")
    scale = arguments.positive("sigma", sigma, rounding="down")
    z = special.ndtri(mass)
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.nextafter(distance / scale, np.inf)
        argument = (z - steps) - _ERROR * (np.abs(z) + steps)
    rounded = special.ndtr(argument) * (1 - _TAIL_ERROR)
    return np.where(mass == 1, 1.0, np.where(rounded > _TINY, rounded, 0.0))[()]


def sampling_ceiling(
    trials: npt.ArrayLike, alpha: npt.ArrayLike, sigma: npt.ArrayLike
) -> FloatArray:
    """Largest l2 radius that `trials` samples can certify at error probability `alpha`.

    It is reached when all samples agree: sigma Phi^-1(alpha^(1/trials)), rounded as the
    certification itself rounds it, and 0 where alpha^(1/trials) <= 1/2. The arguments broadcast.
    Raises ValueError for trials < 1, alpha outside (0, 1), or sigma not positive.

    Source: Cohen, Rosenfeld and Kolter (2019), section 3.2.2.

    In the book: eq-ceiling.
    """
    count = arguments.integers("trials", trials, least=1)
    return radius(clopper_pearson_lower(count, count, alpha), sigma)
