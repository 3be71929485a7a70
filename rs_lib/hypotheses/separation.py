"""How far apart opposite labels must lie for a Gaussian-smoothed classifier to fit both.

A smoothed classifier fits the label y of a point x with margin γ if g_y(x) - g_c(x) >= 2γ for
every other class c. With two classes this says g_y(x) >= 1/2 + γ.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from rs_lib.arguments import FloatArray, nonnegative, numbers, positive


def separation(sigma: npt.ArrayLike, margin: npt.ArrayLike) -> FloatArray:
    """Return 2σΦ⁻¹(1/2 + γ): the least distance of two points of different label fitted with γ.

    `sigma` and `margin` broadcast; the result has their common shape, in the unit of `sigma`.
    Half of it is the radius that a probability of 1/2 + γ certifies.
    Raises ValueError unless sigma is positive and finite and 0 <= margin < 1/2.
    """
    scale, gamma = positive("sigma", sigma), numbers("margin", margin)
    bad = (gamma < 0) | (gamma >= 0.5)
    if bad.any():
        value = gamma[bad].flat[0]
        raise ValueError(f"margin is {value}: give margins of at least 0 and below 1/2")
    return np.asarray(2 * scale * ndtri(0.5 + gamma))


def pair_margin(distance: npt.ArrayLike, sigma: npt.ArrayLike) -> FloatArray:
    """Return Φ(D / 2σ) - 1/2: the best margin with which two labels at distance D can be fitted.

    The arguments broadcast. Raises ValueError for a distance that is negative or not finite, or a
    sigma that is not positive and finite.
    """
    return np.asarray(
        ndtr(nonnegative("distance", distance) / (2 * positive("sigma", sigma))) - 0.5
    )


def lattice_margin(sigma: npt.ArrayLike, spacing: npt.ArrayLike = 1.0) -> FloatArray:
    """Return the best margin for labels that alternate for ever along a line.

    The best hypothesis is a square wave. Its Fourier series gives, with s = σ / spacing,

        γ = (2/π) Σ_{m = 1, 3, 5, ...} (-1)^((m-1)/2) exp(-π²m²s²/2) / m,

    which is summed for s >= 1/2; below, the steps of the wave are summed instead. The arguments
    broadcast. Raises ValueError unless both are positive and finite.
    """
    s = positive("sigma", sigma) / positive("spacing", spacing)
    odd = np.arange(1, 12, 2)
    signs = (-1.0) ** (odd // 2)
    waves = (2 / np.pi) * (np.exp(-((np.pi * odd * s[..., None]) ** 2) / 2) @ (signs / odd))
    # One point sees a step at every distance j - 1/2, and the values between them alternate.
    steps = (np.arange(1, 40) - 0.5) / s[..., None]
    direct = 0.5 - 2 * ndtr(-steps) @ (-1.0) ** np.arange(39)
    return np.where(s < 0.5, direct, waves)


def nearest_margin(
    distances: npt.ArrayLike, labels: npt.ArrayLike, sigma: npt.ArrayLike
) -> FloatArray:
    """Return what smoothing the nearest-point classifier leaves to each point, at least.

    The classifier answers with the label of the nearest of N points. Its noisy copy of point i
    comes nearer to point j with probability Φ(-D_ij / 2σ), so its absolute majority is at least

        g_y(x_i) - 1/2  >=  1/2 - sum over j with y_j != y_i of Φ(-D_ij / 2σ).

    `distances` has shape (N, N), `labels` (N,), `sigma` any shape; the result has the shape
    (N, *sigma.shape) and may be negative, which says nothing.
    Raises ValueError for shapes that do not fit, or values out of range.
    """
    apart, scale = nonnegative("distances", distances), positive("sigma", sigma)
    classes = np.asarray(labels)
    if apart.shape != (len(classes), len(classes)) or classes.ndim != 1:
        raise ValueError(
            f"distances has shape {apart.shape} and labels {classes.shape}: give (N, N) and (N,)"
        )
    rivals = classes[:, None] != classes
    lost = [np.where(rivals, ndtr(-apart / (2 * s)), 0).sum(axis=1) for s in scale.ravel()]
    return np.asarray(0.5 - np.stack(lost, axis=1).reshape(len(classes), *scale.shape))
