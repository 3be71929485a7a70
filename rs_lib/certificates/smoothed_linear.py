"""What label noise does to a rule that is linear in the labels: next to nothing.

Let a test point be answered by 1{w^T y >= 1/2}, and each label flip with probability q on its
own. The score's mean is linear in y, (1 - 2q) w^T y + q sum_i w_i, and its variance
q (1 - q) |w|^2 does not depend on y at all. By the Berry-Esseen theorem its law is within
e = 0.56 (q^2 + (1-q)^2) / sqrt(q (1-q)) sum_i |w_i|^3 / |w|^3 of the normal law, so the majority is
on the side of the mean as soon as the mean is farther from 1/2 than h = sqrt(q (1-q)) |w| z, where
z is the normal quantile of 1/2 + e. So the smoothed rule is the linear rule of the mean, but for a
sliver of half width h, and how many flips it withstands lies between two sorts.
Source: ours. Constant: Shevtsova (2010), "An improvement of convergence rate estimates in the
Lyapunov theorem".
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray, shown
from rs_lib.certificates.linear_votes import checked_flip, checked_votes
from rs_lib.certificates.regions import Exact

BERRY_ESSEEN = 0.56
"""Constant for sums of independent terms that need not be alike."""

_LEAST_FLIP = 1e-300
_SLACK = 2.0**-51
"""Allowed to sums of weights for each summand, relative to their sizes: four times its rounding."""


def _flip(flip: Exact) -> float:
    q = float(checked_flip(flip, 2)[0])
    if q < _LEAST_FLIP:
        raise ValueError(f"flip is {shown(flip)}: give at least {_LEAST_FLIP}, or no noise at all")
    return q


def _scaled(weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rows times powers of two that bring their largest weight near 1, and 1/2 times the same.

    Neither squares nor cubes of what matters underflow then, which would make the law look normal.
    """
    exponents = np.minimum(-np.frexp(np.abs(weights).max(axis=1))[1], 1000)
    return np.ldexp(weights, exponents[:, None]), np.ldexp(0.5, exponents)


def distance_from_normal(alpha: npt.ArrayLike, flip: Exact) -> FloatArray:
    """Bound on the distance of the noisy score's law from the normal law; float64 [tests].

    `alpha` [tests, n] are the weights. The bound is infinite for weights that are all 0. Raises
    ValueError as `flip_radius_bracket` does.

    Source: Shevtsova (2010).

    In the book: thm-lf-normal.
    """
    weights = arguments.numbers("alpha", alpha)
    known = np.zeros(weights.shape[-1:], dtype=np.int64)
    scaled, _ = _scaled(checked_votes(weights, known, 2)[0])
    q = _flip(flip)
    size = np.abs(scaled)
    square, cube = (size**2).sum(axis=1), (size**3).sum(axis=1)
    ratio = np.divide(cube, square**1.5, out=np.full(len(size), np.inf), where=square > 0)
    factor = BERRY_ESSEEN * (1 + 1e-9) * (q**2 + (1 - q) ** 2) / float(np.sqrt(q * (1 - q)))
    bound: FloatArray = factor * ratio
    return bound


def flip_radius_bracket(
    alpha: npt.ArrayLike, labels: npt.ArrayLike, flip: Exact
) -> tuple[IntArray, IntArray, IntArray]:
    """Bounds on how many flips the smoothed version of 1{alpha^T y >= 1/2} withstands.

    `alpha` [tests, n], `labels` [n] in {0, 1}, each flipped with probability `flip` on its own.
    Returns the class on whose side the mean score is, and r_low <= r_high, int64 [tests]: no
    r_low flips turn the majority, and some r_high + 1 do. r_low is -1 where the mean is too near
    1/2 to tell the majority, and then r_high is n; it is n too where the bound finds no flips
    that turn it. Both hold without a confidence level. Raises ValueError for shapes that do not
    fit, infinite weights, other labels, or flip outside (0, 1/2) or given as a float.

    Source: ours.

    In the book: thm-lf-sliver.
    """
    weights, ones = checked_votes(alpha, labels, 2)
    weights, half_vote = _scaled(weights)
    q = _flip(flip)
    mean = weights @ np.where(ones == 1, 1 - q, q) - half_vote
    answers = (mean >= 0).astype(np.int64)
    error = distance_from_normal(weights, flip)
    quantile = special.ndtri(0.5 + np.minimum(error, 0.5))  # infinite at 1
    size = np.sqrt((weights**2).sum(axis=1))
    half = np.sqrt(q * (1 - q)) * np.where(size > 0, size, 1.0) * quantile
    slack = _SLACK * (ones.size + 16) * (half_vote + np.abs(weights).sum(axis=1))
    side = np.where(answers == 1, 1.0, -1.0)
    taken_by_flip = side[:, None] * np.where(ones == 1, weights, -weights) * (1 - 2 * q)
    low, high = np.full(len(weights), -1), np.full(len(weights), ones.size)
    for i, push in enumerate(taken_by_flip):
        taken = np.cumsum(np.sort(push[push > 0])[::-1])
        margin = abs(mean[i])
        if margin <= half[i] + slack[i]:
            continue  # the majority may be on the other side, where other flips turn it
        kept = int(np.searchsorted(taken, margin - half[i] - slack[i], side="left"))
        low[i] = kept if kept < len(taken) else ones.size
        turned = int(np.searchsorted(taken, margin + half[i] + slack[i], side="right"))
        high[i] = turned if turned < len(taken) else ones.size
    return answers, low.astype(np.int64), high.astype(np.int64)
