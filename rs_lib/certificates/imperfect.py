"""Certificates under noise whose law is not quite the stated one, and what is lost without them.

Noise of the law P is certified for, noise of the law Q is drawn, independently for each sample.
Source: our own; the question is that of Dahiya, Shumailov and Anderson (2024).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from rs_lib import arguments
from rs_lib.arguments import FloatArray
from rs_lib.certificates import gaussian

MOST_DIMENSIONS = 10**8


def radius(
    p_lower: npt.ArrayLike,
    sigma: npt.ArrayLike,
    variation: npt.ArrayLike = 0.0,
    shift: npt.ArrayLike = 0.0,
) -> FloatArray:
    """l2 radius of Gaussian smoothing, certified from samples of an imperfect generator.

    `p_lower` bounds the probability of the top class under the noise as drawn. Its law lies within
    `variation`, in total variation over the whole image, of N(m, sigma^2 I) with a mean of
    |m| <= `shift`. The radius is sigma Phi^-1(p_lower - variation) - shift where that is positive,
    else 0, in the unit of `sigma` and `shift`; no larger one holds for all classifiers and laws
    when one of the two numbers is 0. The arguments broadcast; the result is rounded down, and at
    0, 0 it is that of `gaussian.radius`. It never falls in p_lower nor rises in the other two.

    Raises ValueError for a p_lower or variation outside [0, 1], a sigma that is not positive and
    finite, or a shift that is negative or infinite.

    In the book: thm-br-price, prop-br-shift.
    """
    low = arguments.probabilities("p_lower", p_lower, rounding="down")
    apart = arguments.probabilities("variation", variation, rounding="up")
    mean = arguments.nonnegative("shift", shift, rounding="up")
    scale = arguments.positive("sigma", sigma, rounding="down")
    arguments.common_shape(p_lower=low.shape, variation=apart.shape, shift=mean.shape)
    left = np.where(apart > 0, np.nextafter(low - apart, -np.inf), low)
    found = gaussian.radius(np.maximum(left, 0.0), scale)
    exact = (mean == 0) | np.isinf(found)
    rest = np.where(exact, found, np.nextafter(found - mean, -np.inf))
    return np.maximum(rest, 0.0)[()]


def worst_sign_probability(dim: int, strength: int) -> float:
    """Largest probability that skewed signs give to a set of honest probability one half.

    `dim` signs are negative with probability s / (2 (s + 1)), s = `strength`, independently of each
    other and of the sizes: what the attack beta does, but for its counter. By the Neyman-Pearson
    lemma the set counts the negatives: fewer than dim / 2, and of just dim / 2 one half. The result
    is rounded up. Raises ValueError for numbers that are not whole, a dim below 1 or above
    `MOST_DIMENSIONS`, or a negative strength.

    In the book: thm-br-signs.
    """
    d = arguments.integer("dim", dim, least=1, most=MOST_DIMENSIONS)
    s = arguments.integer("strength", strength)
    negative = s / (2 * (s + 1))
    half = d // 2
    if d % 2:
        found = stats.binom.cdf(half, d, negative)
    else:
        found = stats.binom.cdf(half - 1, d, negative) + stats.binom.pmf(half, d, negative) / 2
    # SciPy's binomial sums err by less than 1e-13 relative here; compared with 50 digits.
    return min(math.nextafter(float(found) * (1 + 2.0**-43), math.inf), 1.0)
