"""Certificates under noise whose law is not quite the stated one, and what is lost without them.

Noise of the law P is certified for, noise of the law Q is drawn, independently for each sample.
Source: our own; the question is that of Dahiya, Shumailov and Anderson (2024).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from rs_lib import arguments
from rs_lib.arguments import FloatArray
from rs_lib.certificates import gaussian

MOST_DIMENSIONS = 10**8

_LEAST_SIGMA = 1e-300
_SLIP, _LEAST_ALPHA = 1e-9, 1e-30
"""By more than SciPy's noncentral chi-square law errs, relative, and the least alpha to which it
was compared with 60 digits; from 1e-50 on it saturates."""


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


def shift_upper(
    length: npt.ArrayLike,
    n: npt.ArrayLike,
    dim: npt.ArrayLike,
    sigma: npt.ArrayLike,
    alpha: npt.ArrayLike,
) -> FloatArray:
    """Upper bound of the mean |m| of Gaussian noise, from the mean of some of it; a `shift`.

    `length` is the l2 norm of the mean of `n` independent noise vectors N(m, sigma^2 I) of `dim`
    coordinates. n length^2 / sigma^2 has the noncentral chi-square law whose parameter is
    n |m|^2 / sigma^2, so the bound is too small with probability at most `alpha`. Nothing is
    assumed of the direction of m; sigma has to be known. 0 where even noise of mean 0 is so short
    with a probability of `alpha` at most. The arguments broadcast; float64, in the
    unit of `sigma`, rounded up.

    Raises ValueError for a length that is negative or infinite, n or dim below 1, a sigma that is
    not finite or below 1e-300, an alpha outside [1e-30, 1), or a length of so many sigma that no
    bound can be computed.

    In the book: prop-br-shift, and an exercise there.
    """
    mean = arguments.nonnegative("length", length, rounding="up")
    count = arguments.integers("n", n, least=1)
    dimensions = arguments.integers("dim", dim, least=1, most=MOST_DIMENSIONS)
    scale = arguments.positive("sigma", sigma)
    if (scale < _LEAST_SIGMA).any():
        worst = arguments.shown(float(scale.min()))
        raise ValueError(f"sigma is {worst}: give at least {_LEAST_SIGMA}, in a smaller unit")
    size = arguments.level("alpha", alpha)
    if (size < _LEAST_ALPHA).any():
        worst = arguments.shown(float(size.min()))
        raise ValueError(f"alpha is {worst}: give at least {_LEAST_ALPHA:g}")
    seen = count * (mean / scale) ** 2 * (1 + _SLIP)
    honest = special.chdtr(dimensions, seen) <= size * (1 - _SLIP)
    parameter = special.chndtrinc(seen, dimensions, size) * (1 + _SLIP)
    found = scale * np.sqrt(parameter / count) * (1 + _SLIP)
    if not (np.isfinite(found) | honest).all():
        worst = arguments.shown(float(np.max(mean / scale)))
        raise ValueError(
            f"length is {worst} times sigma: give both in one unit, or fewer samples n"
        )
    # Among denormals a step is more than the slip.
    return np.asarray(np.where(honest, 0.0, np.nextafter(found, np.inf)))[()]


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
    # Rounded down, though to nearest s / (2 (s + 1)) may lie above: the result falls in it.
    negative = math.nextafter(s / (2 * (s + 1)), 0.0)
    half = d // 2
    if d % 2:
        found = stats.binom.cdf(half, d, negative)
    else:
        found = stats.binom.cdf(half - 1, d, negative) + stats.binom.pmf(half, d, negative) / 2
    # SciPy's binomial sums err by less than 1e-13 relative here; compared with 50 digits.
    return min(math.nextafter(float(found) * (1 + 2.0**-43), math.inf), 1.0)
