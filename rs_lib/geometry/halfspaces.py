"""Noise of one length against a single wall: how often it crosses, and how long it must be.

A classifier answers otherwise beyond a hyperplane at distance r from the input. The perturbation is
uniform on the sphere of radius c r around the input, in R^d: c is the norm ratio, how many times
longer it is than the shortest change that crosses. To nearest, as in `rs_lib.geometry.caps`.
Source: derived in the book's chapter on high dimension, after the question of Sutton et al. (2023).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray
from rs_lib.geometry import caps


def flip_probability(ratio: npt.ArrayLike, dim: npt.ArrayLike) -> FloatArray:
    """Probability that noise of `ratio` times the distance of a half-space ends up in it.

    1/2 I_{1 - 1 / c^2}((d - 1) / 2, 1/2) for the ratio c >= 1 in R^d, and 0 below 1. It is always
    less than 1/2.

    ratio : length of the perturbation over the distance of the half-space, without unit.
    dim : dimension of the input, at least 2.

    Arguments broadcast. Errs by less than 1e-12 of itself. Raises ValueError unless ratio is finite
    and not negative, and 2 <= dim <= 10^9.

    In the book: thm-hd-half.
    """
    c = arguments.nonnegative("ratio", ratio)
    d = arguments.integers("dim", dim, least=2, most=caps.MOST_DIM)
    arguments.common_shape(ratio=c.shape, dim=d.shape)
    long = np.maximum(c, 1.0)
    height = 1 / long
    # Not 1 - height^2, of which little is left next to the ratio 1.
    return caps.upper_share(d - 2, height * height, (long - 1) / long * (1 + height))


def ratio(flip_probability: npt.ArrayLike, dim: npt.ArrayLike) -> FloatArray:
    """Norm ratio at which noise ends up in the half-space with this probability: the inverse.

    flip_probability : in [0, 1/2); at 0 the ratio is 1. One half is not reached by any length.
    dim : dimension of the input, at least 2.

    Arguments broadcast. Errs by less than 1e-12 of itself. Raises ValueError for a probability
    outside [0, 1/2), or unless 2 <= dim <= 10^9.

    In the book: thm-hd-half.
    """
    p = arguments.probabilities("flip_probability", flip_probability, rounding="nearest")
    if (p >= 0.5).any():
        raise ValueError(
            f"flip_probability is {p.max():g}: give one below 0.5, which no length reaches"
        )
    d = arguments.integers("dim", dim, least=2, most=caps.MOST_DIM)
    arguments.common_shape(flip_probability=p.shape, dim=d.shape)
    return np.asarray(1 / caps.upper_height(d - 2, p))
