"""Three points in noise: the rule that noisy training ends in, and what it is worth smoothed.

Class 1 is a point at 0, class 0 half a point at a and half at -a; both classes are equally
frequent. All is in units of sigma: spacing s = a / sigma, window T = t / sigma.
Source: derived in the book's chapter on noise-augmented training, in the spirit of Mohapatra et
al. (2021), "Hidden Cost of Randomized Smoothing", section 5.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib import arguments
from rs_lib.arguments import FloatArray


def trained_window(spacing: npt.ArrayLike) -> FloatArray:
    """Half-width T of the window in which the Bayes rule of the noisy data answers 1.

    cosh(T s) = exp(s^2 / 2) for the spacing s = a / sigma. Raises ValueError unless s > 0.
    """
    s = arguments.positive("spacing", spacing)
    half = s * s / 2
    # arcosh(exp(h)) without the exponential.
    return np.asarray((half + np.log1p(np.sqrt(-np.expm1(-2 * half)))) / s)


def window_mass(window: npt.ArrayLike, place: npt.ArrayLike) -> FloatArray:
    """P(|place + Z| < window) for a standard normal Z: the smoothed classifier's mass of class 1.

    Arguments in units of sigma; they broadcast. Raises ValueError unless window > 0.
    """
    half = arguments.positive("window", window)
    x = np.abs(arguments.numbers("place", place))
    return np.asarray(special.ndtr(half - x) - special.ndtr(-half - x))
