"""Uniform noise on the cube [-half_width, half_width]^d: l1 and l-infinity certificates.

Let lambda be the half width. The cubes around x and x + delta overlap in the fraction
V(delta) = prod_i (1 - |delta_i| / (2 lambda))_+ of their volume, and there both densities agree. A
class of probability p loses most if it first fills the part of the cube that the shift abandons,
of mass 1 - V; it keeps max(0, p - (1 - V)). Any classifier of mass p that covers the abandoned
part (or lies in it, if p is smaller) and avoids what the shift adds attains this. It stays above
1/2 while V > 3/2 - p. By Weierstrass's inequality V >= 1 - ||delta||_1 / (2 lambda), with equality
for a shift of at most 2 lambda along one axis; and V >= (1 - ||delta||_inf / (2 lambda))^d, with
equality along a diagonal.
Source: Yang et al. (2020), "Randomized Smoothing of All Shapes and Sizes"; Lee et al. (2019).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray

# Relative error allowed to logarithms, exponentials, sums and products: 64 units in the last place.
_ERROR = 2.0**-46


def radius_l1(p_lower: npt.ArrayLike, half_width: npt.ArrayLike) -> FloatArray:
    """l1 radius 2 half_width (p_lower - 1/2), rounded down; 0 where p_lower <= 1/2.

    The arguments broadcast; the radius has the unit of `half_width` and does not depend on the
    dimension. Raises ValueError for p_lower outside [0, 1] or half_width not positive and finite.

    Source: Yang et al. (2020); Lee et al. (2019).
    """
    mass = arguments.probabilities("p_lower", p_lower, rounding="down")
    excess = mass - 0.5  # exact where it is positive
    width = arguments.positive("half_width", half_width, rounding="down")
    with np.errstate(over="ignore"):
        rounded = np.nextafter(width * (2 * np.maximum(excess, 0.0)), 0.0)
    return np.where(excess > 0, rounded, 0.0)[()]


def radius_linf(
    p_lower: npt.ArrayLike, half_width: npt.ArrayLike, dim: npt.ArrayLike
) -> FloatArray:
    """l-infinity radius 2 half_width (1 - (3/2 - p_lower)^(1/dim)), rounded down; else 0.

    The arguments broadcast; `dim` is the number of coordinates, the radius has the unit of
    `half_width` and falls like 1/dim. It is 0 where p_lower <= 1/2. Raises ValueError for p_lower
    outside [0, 1], half_width not positive and finite, or dim < 1.

    Source: Yang et al. (2020).

    In the book: prop-uniform.
    """
    mass = arguments.probabilities("p_lower", p_lower, rounding="down")
    excess = np.maximum(mass - 0.5, 0.0)
    width = arguments.positive("half_width", half_width, rounding="down")
    count = arguments.integers("dim", dim, least=1)
    with np.errstate(over="ignore"):
        # expm1 and log1p: for large dim the root is too close to 1 to be subtracted from it.
        exact = 2 * -np.expm1(np.log1p(-excess) / count) * width
        rounded = np.nextafter(exact * (1 - _ERROR), 0.0)
    return np.where(excess > 0, rounded, 0.0)[()]


def overlap(shift: npt.ArrayLike, half_width: npt.ArrayLike) -> FloatArray:
    """Fraction of the cube's volume shared with the shifted cube, rounded down.

    `shift` has shape (..., d), in the unit of `half_width`, which broadcasts with shape (...).
    Returns prod_i (1 - |shift_i| / (2 half_width))_+ of shape (...). Raises ValueError for a shift
    without axes or with entries that are not finite, or half_width not positive.

    In the book: eq-uniform.
    """
    delta = arguments.magnitudes("shift", shift)
    width = arguments.positive("half_width", half_width, rounding="down")
    if delta.ndim == 0:
        raise ValueError(f"shift is {delta.item()}: give a vector with one entry per coordinate")
    if not np.isfinite(delta).all():
        raise ValueError("shift holds an infinite number: give finite numbers")
    # Contiguous, so that the sums below are taken pairwise and their error stays small.
    share = np.ascontiguousarray(delta / width[..., None] / 2)
    apart = (share >= 1).any(axis=-1)
    share = np.where(share >= 1, 0.0, share)
    log_volume = np.log1p(-share).sum(axis=-1)
    slack = _ERROR * ((share / (1 - share)).sum(axis=-1) - log_volume)
    volume = np.nextafter(np.exp(log_volume - slack) * (1 - _ERROR), 0.0)
    return np.where(apart, 0.0, volume)[()]


def worst_case(p: npt.ArrayLike, shared: npt.ArrayLike) -> FloatArray:
    """Smallest probability that a class of probability p keeps where cubes share `shared`.

    Computes max(0, p - (1 - shared)), rounded down; `shared` is the fraction that `overlap`
    returns. The arguments broadcast. Raises ValueError for arguments outside [0, 1].
    """
    mass = arguments.probabilities("p", p, rounding="down")
    common = arguments.probabilities("shared", shared, rounding="down")
    # Each of the two roundings is at most 2^-54; the larger term goes first, exactly minus 1.
    kept = (np.maximum(mass, common) - 1) + np.minimum(mass, common) - 2.0**-52
    return np.maximum(kept, 0.0)[()]
