"""Balls under Gaussian noise: how large the majority's region is after smoothing.

A classifier answers 1 in a ball of radius R in R^d. Smoothed with N(0, sigma^2 I) it answers 1
within r of the centre, where P(||r e + sigma g|| <= R) = 1/2 for a standard normal g. Then
R^2 - r^2 = w sigma^2 with d - 1 < w < d, which is how r is computed.
Source: derived in the book's chapter on shrinking regions, as the phenomenon of Mohapatra et al.
(2021), "Hidden Cost of Randomized Smoothing".
"""

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


def vanishing_sigma(
    radius: npt.ArrayLike, dim: npt.ArrayLike, classes: npt.ArrayLike = 2
) -> FloatArray:
    """Noise from which on no point has more than 1 / classes of its noisy mass in the ball.

    R / sqrt(q), q the 1 / classes quantile of chi-square with `dim` degrees of freedom. For two
    classes the ball vanishes from the smoothed classifier exactly there. Arguments broadcast;
    radius and result are in the units of the input. Raises ValueError unless radius > 0,
    dim >= 1 and classes >= 2.
    """
    size = arguments.positive("radius", radius)
    d = arguments.integers("dim", dim, least=1)
    k = arguments.integers("classes", classes, least=2)
    return np.asarray(size / np.sqrt(2 * special.gammaincinv(d / 2, 1 / k)))


def smoothed_ball_radius(
    radius: npt.ArrayLike, sigma: npt.ArrayLike, dim: npt.ArrayLike
) -> FloatArray:
    """Radius of the region in which the smoothed ball has the majority; 0 where it vanished.

    radius, sigma : of the ball and of the noise, in the units of the input.
    dim : dimension of the input space.

    Arguments broadcast. The relative error is about 1e-13, and near the vanishing noise that of
    a relative change of `sigma` by 1e-13. Raises ValueError unless radius > 0, sigma >= 0 and
    dim >= 1.
    """
    big, noise, dims = np.broadcast_arrays(
        arguments.positive("radius", radius),
        arguments.nonnegative("sigma", sigma),
        arguments.integers("dim", dim, least=1),
    )
    result = np.zeros(big.shape)
    for d in np.unique(dims):
        alive = (dims == d) & (noise < vanishing_sigma(big, d))
        # With no noise, and with too little for a float to show it, any finite ratio will do.
        ratio = np.minimum(big[alive] / np.maximum(noise[alive], np.finfo(float).tiny), 1e8 * d)
        share = _lost(ratio, int(d)) * (noise[alive] / big[alive]) ** 2
        result[alive] = big[alive] * np.sqrt(np.maximum(1 - share, 0))
    return result


def ball_mass(
    radius: npt.ArrayLike, distance: npt.ArrayLike, sigma: npt.ArrayLike, dim: int
) -> FloatArray:
    """Probability that noise around a point at `distance` from the centre lands in the ball.

    The distribution function of noncentral chi, to about 1e-13 in absolute terms, where SciPy's
    series may fail. Arguments but `dim` broadcast. Raises ValueError unless radius > 0,
    distance >= 0, sigma > 0 and dim >= 1.
    """
    noise = arguments.positive("sigma", sigma)
    d = int(arguments.integers("dim", dim, least=1))
    ratio, shift = np.broadcast_arrays(
        arguments.positive("radius", radius) / noise,
        arguments.nonnegative("distance", distance) / noise,
    )
    return _mass(ratio, shift, d)


def centre_certificate(radius: npt.ArrayLike, sigma: npt.ArrayLike, dim: int) -> FloatArray:
    """Certified ℓ2 radius at the centre of the ball from its exact mass; 0 where there is none.

    sigma Phi^{-1}(F(R^2 / sigma^2)), F the distribution function of chi-square with `dim`
    degrees of freedom, from the logarithm of the mass outside. Raises ValueError as `ball_mass`.
    """
    noise = arguments.positive("sigma", sigma)
    d = int(arguments.integers("dim", dim, least=1))
    ratio = np.asarray(arguments.positive("radius", radius) / noise)[..., None]
    width = 2 * _REACH
    r = ratio + width * (_NODES + 1) / 2
    outside = noncentral_chi.log_density(r, np.zeros(1), d) + np.log(width * _WEIGHTS / 2)
    logarithm = np.minimum(special.logsumexp(outside, axis=-1), 0.0)
    inner = -special.ndtri_exp(logarithm)
    return np.asarray(noise * np.maximum(inner, 0.0))


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
