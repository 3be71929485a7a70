"""Independent Laplace noise with density exp(-|z| / scale) / (2 scale): the l1 certificate.

Write F for the distribution function of Laplace(1) and s for the shift over the scale. Along one
axis the ratio dQ/dP = exp(|z| - |z - s|) never falls in z, so the half-line {z <= F^-1(p)} loses
most and keeps W(p, s) = F(F^-1(p) - s):

    p <= 1/2                          W = p e^-s
    p > 1/2,  (1 - p) e^s >= 1/2      W = e^-s / (4 (1 - p))
    p > 1/2,  (1 - p) e^s <= 1/2      W = 1 - (1 - p) e^s

In d dimensions shift one coordinate after the other. Each step keeps at least W of what the
last one left, and W(W(p, s), t) = W(p, s + t), so W(p, ||delta||_1 / scale) bounds every shift and
a shift along one axis attains it. W > 1/2 as long as s < -log(2 (1 - p)).
Source: Teng, Lee and Yuan (2020), "l1 Adversarial Robustness Certificates"; Yang et al. (2020).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray

# Relative error allowed to logarithms, exponentials and products: 64 units in the last place.
_ERROR = 2.0**-46
_TINY = 1e-300  # exponentials below it are rounded down to 0: relative errors mean little there


def radius_l1(p_lower: npt.ArrayLike, scale: npt.ArrayLike) -> FloatArray:
    """l1 radius -scale log(2 (1 - p_lower)), rounded down; 0 where p_lower <= 1/2.

    The arguments broadcast; the radius has the unit of `scale` and does not depend on the
    dimension. At p_lower = 1 it is infinite, which is sound, for then the class fills the space
    up to a null set. Raises ValueError for p_lower outside [0, 1] or scale not positive and finite.

    Source: Teng, Lee and Yuan (2020); Yang et al. (2020).
    """
    mass = arguments.probabilities("p_lower", p_lower, rounding="down")
    unit = arguments.positive("scale", scale, rounding="down")
    twice = np.clip(mass, 0.5, 1.0) * 2 - 1  # exact, and so is its use below: 2 (1 - p) = 1 - twice
    with np.errstate(divide="ignore", over="ignore"):
        rounded = np.nextafter(-np.log1p(-twice) * unit * (1 - _ERROR), 0.0)
    return np.where(mass == 1, np.inf, np.where(twice > 0, rounded, 0.0))[()]


def worst_case(p: npt.ArrayLike, shift: npt.ArrayLike, scale: npt.ArrayLike) -> FloatArray:
    """Smallest probability that a class of probability p can have at l1 distance `shift`.

    Computes W(p, shift / scale) of the module's head, rounded down. The arguments broadcast;
    `shift` is at least 0, in the unit of `scale`. Raises ValueError for p outside [0, 1], a
    negative shift, or scale not positive and finite.

    In the book: prop-log-concave.
    """
    mass = arguments.probabilities("p", p, rounding="down")
    distance = arguments.nonnegative("shift", shift, rounding="up")
    unit = arguments.positive("scale", scale, rounding="down")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # p = 1: settled below
        steps = np.nextafter(distance / unit, np.inf)
        decay = np.exp(-steps) * (1 - _ERROR)
        decay = np.where(decay > _TINY, decay, 0.0)
        lost = (1 - mass) / decay * (1 + _ERROR)
        # 1 - lost <= 1 / (4 lost) always, and lost is rounded up: at the seam both are safe.
        above = np.where(lost <= 0.5, 1 - lost, decay / (4 * (1 - mass)) * (1 - _ERROR))
    rounded = np.nextafter(np.where(mass <= 0.5, mass * decay, above), 0.0)
    return np.where(mass == 1, 1.0, rounded)[()]
