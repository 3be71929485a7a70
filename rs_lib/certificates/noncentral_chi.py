"""The noncentral chi law: how far a point lies from the origin after Gaussian noise.

Source: DLMF 10.41 for the Bessel function; the arrangement is ours.
"""

import functools
import math
from fractions import Fraction

import numpy as np
from scipy import special

from rs_lib.arguments import FloatArray

_ORDERS = 13
_LARGE = 24.0
"""Terms of the expansion of the Bessel function, and the size from which it is used: the first
term left out is below 3e-14 there."""


def log_density(r: FloatArray, m: FloatArray, dim: int) -> FloatArray:
    """Log density of ||m e + g|| at r > 0, g standard normal in R^dim; r and m broadcast.

    log f = log r + nu log(r / m) - (r^2 + m^2) / 2 + log I_nu(r m), nu = dim/2 - 1. For large
    R = sqrt(nu^2 + (r m)^2) the uniform expansion of the Bessel function (DLMF 10.41.3) leaves only
    differences of terms of the size of nu, whose rounding is about dim 2^-53, and needs no m > 0;
    for the rest SciPy has I_nu.
    """
    nu = dim / 2 - 1
    z = r * m
    size = np.hypot(nu, z)
    large = size >= _LARGE
    big = np.where(large, size, _LARGE)
    share = (nu / big) ** 2
    terms = np.zeros_like(big)
    for coefficients in reversed(_expansion()):
        terms = terms / big + np.polyval(coefficients, share)
    uniform = (
        np.log(r * terms / np.sqrt(2 * math.pi * big))
        - (r - m) ** 2 / 2
        + nu**2 / (big + z)
        - nu * np.log((nu + big) / r**2)
    )
    if large.all():
        return uniform
    # I_nu(z) / z^nu is constant to 1e-14 below 1e-7, where I_nu itself may underflow.
    small = np.clip(z, 1e-7, _LARGE)
    bessel = np.log(special.ive(nu, small)) + small - nu * np.log(small)
    return np.where(large, uniform, (2 * nu + 1) * np.log(r) - (r * r + m * m) / 2 + bessel)


@functools.lru_cache(maxsize=1)
def _expansion() -> tuple[FloatArray, ...]:
    """V_k, highest power first, where Debye's polynomial U_k(p) is p^k V_k(p^2) (DLMF 10.41.9)."""
    polynomials = [[Fraction(1)]]
    for k in range(_ORDERS - 1):
        following = [Fraction(0)] * (k + 2)
        for i, c in enumerate(polynomials[-1]):
            power = k + 2 * i  # p^power: half of p^2 (1 - p^2) U', an eighth of int (1 - 5 p^2) U
            following[i] += c * (Fraction(power, 2) + Fraction(1, 8 * (power + 1)))
            following[i + 1] -= c * (Fraction(power, 2) + Fraction(5, 8 * (power + 3)))
        polynomials.append(following)
    return tuple(np.array([float(c) for c in reversed(p)]) for p in polynomials)
