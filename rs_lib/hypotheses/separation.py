"""How far apart opposite labels must lie for a Gaussian-smoothed classifier to fit both.

A smoothed classifier fits the label y of a point x with margin γ if g_y(x) - g_c(x) >= 2γ for
every other class c. With two classes this says g_y(x) >= 1/2 + γ. Distances and margins are rounded
down: none is larger than in exact arithmetic.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import erf, erfinv, ndtr, ndtri

from rs_lib.arguments import FloatArray, integers, nonnegative, positive

# Relative errors allowed to a few operations with erf, erfinv and ndtri, and to ndtr down to
# 1e-300; both are ten times what 50 digits show, or more.
_ERROR = 2.0**-48
_TAIL_ERROR = 2.0**-41
_TINY = 1e-300


def separation(sigma: npt.ArrayLike, margin: npt.ArrayLike) -> FloatArray:
    """Return 2σΦ⁻¹(1/2 + γ): the least distance of two points of different label fitted with γ.

    `sigma` and `margin` broadcast; the result has their common shape, in the unit of `sigma`.
    Half of it is the radius that a probability of 1/2 + γ certifies. Rounded down.
    Raises ValueError unless sigma is positive and finite and 0 <= margin < 1/2.
    """
    scale = positive("sigma", sigma, rounding="down")
    gamma = nonnegative("margin", margin, rounding="down")
    if (gamma >= 0.5).any():
        value = gamma[gamma >= 0.5].flat[0]
        raise ValueError(f"margin is {value}: give margins of at least 0 and below 1/2")
    # 1/2 - γ is exact from a quarter on, 2γ always: 1/2 + γ may be rounded up, and to 1.
    far = -ndtri(0.5 - np.maximum(gamma, 0.25))
    near = np.sqrt(2) * erfinv(2 * np.minimum(gamma, 0.25))
    # Numbers near the smallest float have no digits to rely on.
    quantile = np.where(gamma >= 0.25, far, np.where(gamma > _TINY, near, 0.0))
    with np.errstate(over="ignore", under="ignore"):
        apart = scale * (2 * quantile * (1 - _ERROR))
    return np.asarray(np.where(apart > _TINY, np.nextafter(apart, 0.0), 0.0))


def pair_margin(distance: npt.ArrayLike, sigma: npt.ArrayLike) -> FloatArray:
    """Return Φ(D / 2σ) - 1/2: the best margin with which two labels at distance D can be fitted.

    The arguments broadcast; rounded down. Raises ValueError for a distance that is negative or not
    finite, or a sigma that is not positive and finite.
    """
    apart = nonnegative("distance", distance, rounding="down")
    scale = positive("sigma", sigma, rounding="up")
    with np.errstate(over="ignore"):
        # Φ(x) - 1/2 = erf(x / √2) / 2, without a difference.
        margin = erf(apart / scale / np.sqrt(8)) / 2
    return np.asarray(np.nextafter(margin * (1 - _ERROR), 0.0))


def lattice_margin(sigma: npt.ArrayLike, spacing: npt.ArrayLike = 1.0) -> FloatArray:
    """Return the best margin for labels that alternate for ever along a line.

    The best hypothesis is a square wave. Its Fourier series gives, with s = σ / spacing,

        γ = (2/π) Σ_{m = 1, 3, 5, ...} (-1)^((m-1)/2) exp(-π²m²s²/2) / m,

    which is summed for s >= 1/2; below, the steps of the wave are summed instead. The arguments
    broadcast; rounded down. Raises ValueError unless both are positive and finite.
    """
    with np.errstate(over="ignore", under="ignore"):
        quotient = positive("sigma", sigma, rounding="up") / positive(
            "spacing", spacing, rounding="down"
        )
    # The margin falls with s: rounded up, within what floats hold. At 40 it is below 1e-300.
    s = np.clip(quotient * (1 + _ERROR), 1e-300, 40.0)
    odd = np.arange(1, 12, 2)
    signs = (-1.0) ** (odd // 2)
    waves = (2 / np.pi) * (np.exp(-((np.pi * odd * s[..., None]) ** 2) / 2) @ (signs / odd))
    # One point sees a step at every distance j - 1/2, and the values between them alternate.
    steps = (np.arange(1, 40) - 0.5) / s[..., None]
    direct = 0.5 - 2 * ndtr(-steps) @ (-1.0) ** np.arange(39)
    margin = np.where(s < 0.5, direct, waves) * (1 - _ERROR)
    return np.asarray(np.where(margin > _TINY, np.nextafter(margin, 0.0), 0.0))


def nearest_margin(
    distances: npt.ArrayLike, labels: npt.ArrayLike, sigma: npt.ArrayLike
) -> FloatArray:
    """Return what smoothing the nearest-point classifier leaves to each point, at least.

    The classifier answers with the label of the nearest of N points. Its noisy copy of point i
    comes nearer to point j with probability Φ(-D_ij / 2σ), so its absolute majority is at least

        g_y(x_i) - 1/2  >=  1/2 - sum over j with y_j != y_i of Φ(-D_ij / 2σ).

    `distances` has shape (N, N), `labels` (N,), `sigma` any shape; the result has the shape
    (N, *sigma.shape), is rounded down, and may be negative, which says nothing.
    Raises ValueError for shapes that do not fit, or values out of range.
    """
    apart = nonnegative("distances", distances, rounding="down")
    scale = positive("sigma", sigma, rounding="up")
    classes = integers("labels", labels)
    if classes.ndim != 1 or apart.shape != (len(classes), len(classes)):
        raise ValueError(
            f"distances has shape {apart.shape} and labels {classes.shape}: give (N, N) and (N,)"
        )
    rivals = classes[:, None] != classes
    lost = [_lost(apart, rivals, s) for s in scale.ravel().tolist()]
    kept = 0.5 - np.array(lost).reshape(scale.size, len(classes)).T
    return np.asarray(np.nextafter(kept, -np.inf).reshape(len(classes), *scale.shape))


def _lost(apart: FloatArray, rivals: npt.NDArray[np.bool_], sigma: float) -> FloatArray:
    """Sum over the rivals of Φ(-D / 2σ), rounded up; [N]."""
    with np.errstate(over="ignore"):
        steps = apart / sigma / 2 * (1 - _ERROR)
    # Below the smallest number that keeps its digits a tail counts as that number.
    tails = np.where(rivals, np.maximum(ndtr(-steps) * (1 + _TAIL_ERROR), _TINY), 0.0)
    return np.asarray(tails.sum(axis=1) * (1 + len(apart) * 2.0**-52))
