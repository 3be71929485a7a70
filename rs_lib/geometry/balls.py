"""Balls under Gaussian noise: how large the majority's region is after smoothing.

A classifier answers 1 in a ball of radius R in R^d. Smoothed with N(0, sigma^2 I) it answers 1
within r of the centre, where P(||r e + sigma g|| <= R) = 1/2 for a standard normal g. Then
R^2 - r^2 = w sigma^2 with d - 1 < w < d, which is how r is computed. All results are rounded so
that smoothing never seems to leave more than it does: down.
Source: derived in the book's chapter on shrinking regions, as the phenomenon of Mohapatra et al.
(2021), "Hidden Cost of Randomized Smoothing".
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib import arguments
from rs_lib.arguments import FloatArray
from rs_lib.certificates import noncentral_chi

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
_REACH = 10.0
"""The law of a distance leaves less than 1e-22 further than this from its median."""
_HALVINGS = 48
_MOST_DIM = 10**9
_FAR = 1e16
"""Sizes from which on the rounding of a quotient exceeds the noise: nothing is claimed there."""

# Against 4000-bit arithmetic, d up to 5e6: SciPy's inverse incomplete gamma functions err by at
# most 4e-15 of themselves (a root halves that), the functions by 3e-12 in the farthest tail that
# float64 holds and less before, and the quadrature of `_mass` by 7e-14 for d up to 784, growing
# with d.
_INVERSE_ERROR = 2.0**-48
_TAIL_ERROR, _TAIL_ERROR_PER_EXPONENT = 1e-12, 2e-14
_MASS_ERROR, _MASS_ERROR_PER_DIM = 2e-14, 1e-16


def vanishing_sigma(
    radius: npt.ArrayLike, dim: npt.ArrayLike, classes: npt.ArrayLike = 2
) -> FloatArray:
    """Noise from which on no point has more than 1 / classes of its noisy mass in the ball.

    R / sqrt(q), q the 1 / classes quantile of chi-square with `dim` degrees of freedom. For two
    classes the ball vanishes from the smoothed classifier exactly there. Arguments broadcast;
    radius and result are in the units of the input. Raises ValueError unless radius > 0,
    dim >= 1 and classes >= 2.

    In the book: thm-sr-vanish.
    """
    size = arguments.positive("radius", radius, rounding="down")
    d = arguments.integers("dim", dim, least=1, most=_MOST_DIM)
    k = arguments.integers("classes", classes, least=2)
    with np.errstate(over="ignore"):
        sigma = size / np.sqrt(2 * special.gammaincinv(d / 2, 1 / k)) * (1 - _INVERSE_ERROR)
    return np.asarray(np.minimum(sigma, np.finfo(float).max))


def smoothed_ball_radius(
    radius: npt.ArrayLike, sigma: npt.ArrayLike, dim: npt.ArrayLike
) -> FloatArray:
    """Radius of the region in which the smoothed ball has the majority; 0 where it vanished.

    radius, sigma : of the ball and of the noise, in the units of the input.
    dim : dimension of the input space.

    Arguments broadcast. Rounded down: the mass there exceeds one half by less than
    1e-13 + 1e-15 (dim + radius / sigma). Raises ValueError unless radius > 0, sigma >= 0 and
    dim >= 1.

    In the book: thm-sr-ball.
    """
    big, noise, dims = np.broadcast_arrays(
        arguments.positive("radius", radius, rounding="down"),
        arguments.nonnegative("sigma", sigma, rounding="up"),
        arguments.integers("dim", dim, least=1, most=_MOST_DIM),
    )
    result = np.zeros(big.shape)
    for d in np.unique(dims):
        alive = (dims == d) & (noise < vanishing_sigma(big, d)) & (noise > 0)
        part = noise[alive] / big[alive]
        # With too little noise for a float to show it, any large ratio will do.
        ratio = np.minimum(1 / np.maximum(part, np.finfo(float).tiny), 1e8 * d)
        # What an error of the mass near one half moves w by: its slope in r^2 is about 1/(5 r) for
        # little noise and 1/(3.6 sqrt(d)) where the ball vanishes; that it is never less than one
        # over the sum is tested against Arb, d up to 3072, not proved.
        slack = (_MASS_ERROR + _MASS_ERROR_PER_DIM * d) * (5 * ratio + 3.6 * np.sqrt(d))
        lost = np.minimum(_lost(ratio, int(d)) + slack + d * 2.0**-50, d)
        share = np.minimum(lost * part**2 * (1 + 2.0**-50), 1)
        result[alive] = np.nextafter(big[alive] * np.sqrt(1 - share) * (1 - 2.0**-51), 0.0)
    return np.where(noise == 0, big, result)


def ball_mass(
    radius: npt.ArrayLike, distance: npt.ArrayLike, sigma: npt.ArrayLike, dim: int
) -> FloatArray:
    """Probability that noise around a point at `distance` from the centre lands in the ball.

    The distribution function of noncentral chi, also where SciPy's series fails. Rounded down, by
    less than 1e-13 + 1e-15 (dim + (radius + distance) / sigma). Arguments but `dim` broadcast.
    Raises ValueError unless radius > 0, distance >= 0, sigma > 0 and dim >= 1.
    """
    noise = arguments.positive("sigma", sigma)
    d = arguments.integer("dim", dim, least=1, most=_MOST_DIM)
    with np.errstate(over="ignore"):
        ratio, shift = np.broadcast_arrays(
            np.minimum(arguments.positive("radius", radius, rounding="down") / noise, _FAR),
            np.minimum(arguments.nonnegative("distance", distance, rounding="up") / noise, _FAR),
        )
    # Both quotients are rounded, which moves the edge of the ball.
    slack = _MASS_ERROR + _MASS_ERROR_PER_DIM * d + 2.0**-51 * (ratio + shift)
    return np.asarray(np.maximum(_mass(ratio, shift, d) - slack, 0.0))


def centre_certificate(radius: npt.ArrayLike, sigma: npt.ArrayLike, dim: int) -> FloatArray:
    """Certified ℓ2 radius at the centre of the ball from its exact mass; 0 where there is none.

    sigma Phi^{-1}(F(R^2 / sigma^2)), F the distribution function of chi-square with `dim`
    degrees of freedom, from the logarithm of the mass outside. Rounded down, by less than
    2e-12 sigma and a relative 1e-13. Raises ValueError as `ball_mass`.

    In the book: prop-sr-limit.
    """
    noise = arguments.positive("sigma", sigma, rounding="down")
    # The radius falls with sigma: as a divisor it goes up.
    wide = arguments.positive("sigma", sigma, rounding="up")
    d = arguments.integer("dim", dim, least=1, most=_MOST_DIM)
    size = arguments.positive("radius", radius, rounding="down")
    with np.errstate(over="ignore", under="ignore"):
        ratio = np.clip(np.nextafter(size / wide, 0.0), 1e-150, 1e150)
        # The hazard of the normal law exceeds max(z, 3/4) for z > 0: an error of the logarithm
        # moves the quantile by less than 4/3 of it.
        outside = _log_outside(ratio**2 / 2 * (1 - 2.0**-52), d)
        z = _quantile(outside + _TAIL_ERROR - _TAIL_ERROR_PER_EXPONENT * outside)
        inner = np.nextafter(noise * (z * (1 - 2.0**-44)), 0.0)
    return np.asarray(np.where(z > 0, inner, 0.0))


def _quantile(log_outside: FloatArray) -> FloatArray:
    """z with log P(Z > z) as given. SciPy's inverse errs by 6e-13 of it; a Newton step mends that.

    The derivative of log P(Z > z) is minus the hazard, density over tail.
    """
    z = -special.ndtri_exp(log_outside)
    tail = special.log_ndtr(-z)
    hazard = np.exp(-(z**2) / 2 - tail) / math.sqrt(2 * math.pi)
    # Far out the exponents cancel badly, but there the hazard is z.
    hazard = np.where(z > 20, z, hazard)
    return np.asarray(np.where(z > 0, z + (tail - log_outside) / hazard, z))


def _log_outside(x: FloatArray, d: int) -> FloatArray:
    """log P(chi-square with d degrees > 2 x) = log Q(d/2, x), at most 0."""
    tail = np.asarray(special.gammaincc(d / 2, x))
    deep = tail < 1e-280
    logarithm = np.asarray(np.log(np.where(deep, 1.0, tail)))
    if deep.any():
        logarithm[deep] = _log_far_outside(np.asarray(x)[deep], d / 2)
    return np.asarray(np.minimum(logarithm, -2 * _TAIL_ERROR))


def _log_far_outside(x: FloatArray, a: float) -> FloatArray:
    """log Q(a, x) where x lies far above a, by Legendre's continued fraction (DLMF 8.9.2).

    Gamma(a, x) = x^a e^-x / (x + 1 - a - 1 (1 - a) / (x + 3 - a - 2 (2 - a) / ...)), by Lentz's
    method; x^a e^-x / Gamma(a + 1) without a difference of large terms.
    """
    beyond = (x - a) / a
    stirling = (
        math.lgamma(a + 1) - (a * math.log(a) - a) if a < 1e6 else math.log(2 * math.pi * a) / 2
    )
    front = -a * (beyond - np.log1p(beyond)) - stirling + math.log(a)
    b = x + 1 - a
    d = 1 / b
    fraction, c = d.copy(), np.full_like(x, np.inf)
    for n in range(1, 10_000):
        factor = -n * (n - a)
        b = b + 2
        d = 1 / (factor * d + b)
        c = b + factor / c
        fraction *= c * d
        if (np.abs(c * d - 1) < 2.0**-52).all():
            break
    return np.asarray(front + np.log(fraction))


def _mass(ratio: FloatArray, shift: FloatArray, d: int) -> FloatArray:
    """P(||shift e + g|| <= ratio), by Gauss and Legendre's rule on the density."""
    middle = np.sqrt(shift**2 + d)
    low = np.maximum(middle - _REACH, 0.0)
    high = np.clip(ratio, low, middle + _REACH)
    r = low[..., None] + (high - low)[..., None] * (_NODES + 1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.exp(noncentral_chi.log_density(r, shift[..., None], d))
    area = (high - low) / 2 * (density @ _WEIGHTS)
    return np.asarray(np.where(high > low, area, 0.0))


def _lost(ratio: FloatArray, d: int) -> FloatArray:
    """w in (R^2 - r^2) / sigma^2 = w, for R / sigma = ratio, by bisection."""
    low = np.full(ratio.shape, d - 1.0)
    high = np.minimum(float(d), ratio**2)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        shift = np.sqrt(np.maximum((ratio - np.sqrt(middle)) * (ratio + np.sqrt(middle)), 0.0))
        short = _mass(ratio, shift, d) < 0.5
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return (low + high) / 2
