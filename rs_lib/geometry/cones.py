"""Cones under Gaussian noise: how far smoothing moves the tip of the majority's region.

A classifier answers 1 in the cone x_1 >= cot(theta) |x'| of half-angle theta. By scaling the
smoothed region begins on the axis at sigma m(theta, d), where m is the median of
cot(theta) |g'| - g_1 for a standard normal g in R^d. Shifts are rounded up, so that smoothing
never seems to take less than it does.
Source: derived in the book's chapter on shrinking regions, as the phenomenon of Mohapatra et al.
(2021), "Hidden Cost of Randomized Smoothing".
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib import arguments
from rs_lib.arguments import FloatArray

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(128)
_REACH = 9.5
"""A standard normal variable exceeds this with a probability below 1e-20."""
_HALVINGS = 56
_MOST_DIM = 10**9

_ERROR = 4e-14
"""Relative error allowed to the shift: against 30 digits 3e-14 for d = 2, else below 1e-14."""


def cone_shift(half_angle: npt.ArrayLike, dim: npt.ArrayLike) -> FloatArray:
    """Distance, in units of sigma, by which smoothing moves the cone's tip along its axis.

    half_angle : between axis and side, in radians, in (0, pi/2]; pi/2 is a half-space, shift 0.
    dim : dimension d of the input space; in d = 1 a cone is a half-line, shift 0.

    Arguments broadcast; rounded up, by less than 1e-13 of it. Raises ValueError for an angle
    outside the range or dim < 1.

    In the book: thm-sr-cone.
    """
    theta = _angles(half_angle)
    theta, d = np.broadcast_arrays(theta, arguments.integers("dim", dim, least=1, most=_MOST_DIM))
    shift = np.zeros(theta.shape)
    moved = (d > 1) & (theta < np.pi / 2)
    with np.errstate(over="ignore"):
        slope = 1 / np.tan(theta[moved])
    with np.errstate(over="ignore"):
        shift[moved] = slope * _in_units_of_slope(slope, d[moved] - 1.0) * (1 + _ERROR)
    return shift


def cone_shift_bounds(half_angle: npt.ArrayLike, dim: npt.ArrayLike) -> tuple[FloatArray, ...]:
    """Lower and upper bound of `cone_shift`: cot(theta) times the median and mean of chi_{d-1}.

    Arguments as there, but dim >= 2. The lower one is rounded down, the upper one up.

    In the book: thm-sr-cone.
    """
    theta = _angles(half_angle)
    degrees = arguments.integers("dim", dim, least=2, most=_MOST_DIM) - 1
    low, high = _bracket(degrees.astype(float))
    with np.errstate(over="ignore"):
        slope = 1 / np.tan(theta)
        below = np.minimum(low * slope * (1 - _ERROR), np.finfo(float).max)
        return np.asarray(below), np.asarray(high * slope * (1 + _ERROR))


def _angles(half_angle: npt.ArrayLike) -> FloatArray:
    theta = arguments.positive("half_angle", half_angle, rounding="down")
    if (theta > np.pi / 2).any():
        raise ValueError(
            f"half_angle is {theta.max():g}: give radians of at most pi/2 = {np.pi / 2:.6f}"
        )
    return theta


def _bracket(k: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Median and mean of chi with k degrees of freedom."""
    median = np.sqrt(2 * special.gammaincinv(k / 2, 0.5))
    return median, np.sqrt(2) * special.poch(k / 2, 0.5)


def _in_units_of_slope(slope: FloatArray, k: FloatArray) -> FloatArray:
    """The median u of chi_k - Z / slope, Z standard normal, by bisection."""
    low, high = _bracket(k)
    for _ in range(_HALVINGS):
        u = (low + high) / 2
        excess = np.where(slope > 1, _over_noise(u, slope, k), _over_distance(u, slope, k))
        low, high = np.where(excess < 0, u, low), np.where(excess < 0, high, u)
    return (low + high) / 2


def _over_noise(u: FloatArray, slope: FloatArray, k: FloatArray) -> FloatArray:
    """P(chi_k - Z / slope <= u) - 1/2 as the mean of chi's distribution function over Z."""
    low = np.maximum(-u * slope, -_REACH)[..., None]
    z = low + (_REACH - low) * (_NODES + 1) / 2
    reached = np.maximum(u[..., None] + z / slope[..., None], 0.0)
    mass = special.gammainc(k[..., None] / 2, reached**2 / 2) * np.exp(-(z**2) / 2)
    scale = ((_REACH - low) / 2 / np.sqrt(2 * np.pi))[..., 0]
    return np.asarray((mass @ _WEIGHTS) * scale - 0.5)


def _over_distance(u: FloatArray, slope: FloatArray, k: FloatArray) -> FloatArray:
    """P(chi_k - Z / slope <= u) - 1/2 as the mean of (Phi - 1/2)(slope (u - chi_k)) over chi."""
    middle = np.sqrt(k)[..., None]
    low = np.maximum(middle - _REACH, 0.0)
    t = low + (middle + _REACH - low) * (_NODES + 1) / 2
    step = t - middle
    logarithm = special.xlog1py(k[..., None] - 1, step / middle) - step * (t + middle) / 2
    density = np.exp(logarithm) * _WEIGHTS
    half = special.erf(slope[..., None] * (u[..., None] - t) / np.sqrt(2)) / 2
    return np.asarray((density * half).sum(-1) / density.sum(-1))
