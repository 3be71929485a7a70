"""Caps of a ball: what a hyperplane cuts off a body on which mass is spread evenly.

The ball of R^n has the share 1/2 I_{1 - t^2}((n + 1) / 2, 1/2) of its volume beyond a hyperplane at
distance t >= 0 from the centre, in units of the radius (I is the regularised incomplete beta
function). The sphere of R^d, d >= 3, has the same share of its surface there as the ball of
R^(d - 2) of its volume. To nearest: no certificate is made of these values. Against mpmath they
err by less than 1e-12 of themselves down to 1e-300.
Source: derived in the book's chapter on high dimension; DLMF 8.17 for the function.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray

MOST_DIM = 10**9


def share(dim: npt.ArrayLike, height: npt.ArrayLike) -> FloatArray:
    """Share of the volume of the unit ball of R^dim that lies beyond a height: P(x_1 > height).

    dim : dimension of the ball, at least 1.
    height : distance of the cutting hyperplane from the centre, in radii; negative on the other
        side of it. Beyond 1 the share is 0, below -1 it is 1.

    Arguments broadcast. Raises ValueError unless 1 <= dim <= 10^9 and height is a number.

    In the book: thm-hd-cap.
    """
    n = arguments.integers("dim", dim, least=1, most=MOST_DIM)
    t = arguments.numbers("height", height)
    arguments.common_shape(dim=n.shape, height=t.shape)
    low = np.minimum(np.abs(t), 1.0)
    beyond = upper_share(n, low * low, (1 - low) * (1 + low))
    return np.asarray(np.where(t < 0, 1 - beyond, beyond))


def upper_share(dim: IntArray, square: FloatArray, rest: FloatArray) -> FloatArray:
    """Share beyond the height whose square is `square`, where `rest` is 1 - square, unrounded.

    `dim` may be 0: for the sphere of R^2. Of the two numbers the smaller one is used, which
    carries the value to its last digits.
    """
    half = (dim + 1) / 2
    near = special.betaincc(0.5, half, np.minimum(square, 0.5))
    far = special.betainc(half, 0.5, np.minimum(rest, 0.5))
    return np.asarray(np.where(square <= 0.5, near, far) / 2)


def upper_height(dim: IntArray, share_beyond: FloatArray) -> FloatArray:
    """Height above the centre with this share beyond it; `share_beyond` lies in [0, 1/2]."""
    half = (dim + 1) / 2
    # Next to one half the difference is exact, and the height as small as it.
    middle = special.betaincinv(0.5, half, np.maximum(1 - 2 * share_beyond, 0.0))
    tail = special.betainccinv(0.5, half, 2 * share_beyond)
    return np.asarray(np.sqrt(np.where(share_beyond > 0.25, middle, tail)))
