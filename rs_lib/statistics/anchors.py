"""What a mean divergence from a fixed distribution says about a majority of noisy votes.

Regularisers of training under noise are means of KL(q || F) over noisy scores F, with an anchor q:
the label (cross-entropy), the scores without noise (stability), the mean scores (consistency).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray

# Relative error allowed to a few products and logarithms: 64 units in the last place.
_ERROR = 2.0**-46
_HALVINGS = 70
_TINY = 1e-290  # below it divergences lose digits; there the quotient bounds the error


def _entropy_gap(x: FloatArray) -> FloatArray:
    """KL of a coin of probability (1 + x) / 2 from a fair one, for x in [0, 1].

    ((1 + x) log(1 + x) + (1 - x) log(1 - x)) / 2 = x artanh x + log(1 - x^2) / 2: for small x the
    two parts cancel by half at most.
    """
    small = np.minimum(x, 0.5)
    near = small * np.arctanh(small) + np.log1p(-small * small) / 2
    rest = np.where(x < 1, 1 - x, 1.0)
    far = ((1 + x) * np.log1p(x) + np.where(x < 1, rest * np.log(rest), 0.0)) / 2
    return np.where(x <= 0.5, near, far)


def barrier(q: npt.ArrayLike) -> FloatArray:
    """Least KL(q || F), in nats, of a distribution F whose largest class is not q's; rounded down.

    `q` [..., C] holds distributions over C >= 2 classes; returns float64 [...]. With the two
    largest entries a >= b it is a log(2a / (a + b)) + b log(2b / (a + b)): where F_j >= F_y, the
    divergence is least at F_y = F_j = (q_y + q_j) / 2 and F = q elsewhere, and it falls in q_j, so
    the runner-up counts. By Markov's inequality noisy scores F put another class first with
    probability at most E KL(q || F) / barrier(q). At a tie it is 0. Where rounding makes the sum s
    of a row another than 1, the barrier is below the divergence of q and of q / s.

    Raises ValueError for entries outside [0, 1], one class, or rows whose sum is off 1 by more than
    1e-6.

    Source: ours.

    In the book: thm-tc-anchor, eq-tc-barrier.
    """
    weights = arguments.probabilities("q", q, rounding="down")
    above = arguments.probabilities("q", q, rounding="up")
    if weights.ndim == 0 or weights.shape[-1] < 2:
        raise ValueError(
            f"q has shape {weights.shape}: give distributions over two or more classes"
        )
    excess, most = _excess(weights), _excess(above)
    if not (np.abs(excess) <= 1e-6).all():
        off = excess[np.abs(excess) > 1e-6].flat[0]
        raise ValueError(f"q has a row of sum {1 + off}: give 1")
    # It grows in the largest entry, and falls in the second.
    first, second = np.sort(weights, axis=-1)[..., -1], np.sort(above, axis=-1)[..., -2]
    both = first + second
    gap = both * _entropy_gap(np.maximum(first - second, 0.0) / both) * (1 - _ERROR)
    # KL(q || F) = s KL(q / s || F) + s log s, and s log s >= s - 1.
    least: FloatArray = gap / (1 + np.maximum(most, 0.0)) + np.minimum(excess, 0.0)
    return np.maximum(np.nextafter(least, 0.0), 0.0)[()]


def _excess(rows: FloatArray) -> FloatArray:
    """Return the sums along the last axis less 1, rounded once."""
    flat = rows.reshape(-1, rows.shape[-1])
    return np.array([math.fsum((*row, -1.0)) for row in flat]).reshape(rows.shape[:-1])


def _log_excess(a: FloatArray, whole: FloatArray) -> FloatArray:
    """a - log(1 + a) for a >= -1 and whole = 1 + a, without cancellation at 0 and at -1."""
    near = np.abs(a) < 0.25
    w = np.where(near, a / (2 + a), 0.0)  # log(1 + a) = 2 artanh w, and a - 2 w = a w
    series = np.zeros_like(w)
    for k in range(21, 1, -2):
        series = w * w * (series + 1 / k)
    return np.where(near, a * w - 2 * w * series, a - np.log(whole))


def _least_divergence(p: FloatArray, q: FloatArray) -> FloatArray:
    """Least E KL given that a share q of the noise has F_y = 1/2 and the mean is p > 1/2."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = q * (p - 0.5) / (1 - q)
        left = ((1 - p) - q / 2) / (1 - q)  # 1 - p - shift
        # KL of p from p + shift: the linear parts of the two logarithms cancel.
        moved = p * _log_excess(shift / p, (p + shift) / p)
        moved = moved + (1 - p) * _log_excess(-shift / (1 - p), left / (1 - p))
        value = q * _entropy_gap(2 * p - 1) + (1 - q) * moved
    return np.where(left > 0, value, np.inf)


def largest_error(p_bar: npt.ArrayLike, divergence: npt.ArrayLike) -> FloatArray:
    """Largest P(F_y <= 1/2) of noisy scores with mean p_bar and E KL(mean || F) <= divergence.

    For two classes, or one against the rest; KL in nats. With d the divergence of coins, it is the
    root q of q d(p, 1/2) + (1 - q) d(p, (p - q/2) / (1 - q)) = divergence below 2 (1 - p): by
    Jensen's inequality each side of 1/2 has one atom at best, and both move towards p until the
    lower one stands at 1/2. Those two atoms attain it. It is 1 for p_bar <= 1/2. The arguments
    broadcast; returns float64, rounded up.

    Raises ValueError for p_bar outside [0, 1] or a divergence that is negative or NaN.

    Source: ours.

    In the book: thm-tc-sharp, eq-tc-sharp.
    """
    mean = arguments.probabilities("p_bar", p_bar, rounding="down")
    budget = arguments.numbers("divergence", divergence, rounding="up")
    if (budget < 0).any():
        raise ValueError(f"divergence is {budget.min()}: give a number of at least 0")
    arguments.common_shape(p_bar=mean.shape, divergence=budget.shape)
    p, most = np.broadcast_arrays(mean, budget)
    inside = np.where((p > 0.5) & (p < 1), p, 0.75)  # others are settled below
    whole = _entropy_gap(2 * inside - 1) * (1 - _ERROR)
    with np.errstate(over="ignore"):
        quotient = np.nextafter(most / whole, np.inf)
        high = np.minimum(2 * (1 - inside), np.nextafter(quotient * (1 + _ERROR), np.inf))
    low = np.zeros_like(high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = _least_divergence(inside, middle) * (1 - _ERROR) >= np.maximum(most, _TINY)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    error = np.where(most == 0, 0.0, high)
    return np.where(p <= 0.5, 1.0, np.where(p == 1, 0.0, error))[()]
