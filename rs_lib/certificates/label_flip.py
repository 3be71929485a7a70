"""Label flips: certificates of a smoothed training rule against an attacker on the labels.

Each training label is kept with probability 1 - q and otherwise (`flip` q) becomes one of the
other C - 1 `classes`, all alike. A certificate takes the log of a bound on the failure
probability 1 - p, not p: with q = 0.0125 and ten classes, 200 flips ask for 1 - p below e^-1298 at
best, which no float near 1 can say.

Two radii. The information bound: to turn a majority p > 1/2, the law of the noisy labels must move
by at least KL(Bern(1/2) || Bern(p)) = -log(4 p (1 - p)) / 2, and each flip moves it by
k = (1 - q - q/(C-1)) log((1-q)(C-1)/q). And the exact worst case over all rules, that of
`discrete` with `keep` = 1 - q and C - 1 alternatives. By Stein's lemma its failure probability
falls like e^(-r k), against e^(-2 r k) for the bound, which thus gives away half the radius.

Rules that are linear in the labels have failure probabilities without sampling and an exact radius
without noise: `linear_votes`, whose names appear here too.
Source: Rosenfeld, Winston, Ravikumar and Kolter (2020), "Certified Robustness to Label-Flipping
Attacks via Randomized Smoothing", sections 3 and 4.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray
from rs_lib.certificates.linear_votes import (
    checked_flip,
    chernoff_log_failure,
    chernoff_log_failure_classes,
    ridge_flip_radius,
    ridge_flip_radius_classes,
)
from rs_lib.certificates.regions import Exact, log_of

__all__ = [
    "chernoff_log_failure",
    "chernoff_log_failure_classes",
    "radius_kl",
    "radius_tight",
    "ridge_flip_radius",
    "ridge_flip_radius_classes",
]

_LOG_HALF = math.log(0.5)  # the float above log(1/2): what lies below it, lies below log(1/2)
_ERROR = 2.0**-48
"""Relative error allowed to logarithms and the few operations on them: 32 units of 2^-53."""

MOST_FLIPS = 20_000
"""Largest `max_radius` of `radius_tight`, whose work grows with its power 3/2."""

_NEGLIGIBLE = 1e-30
"""Masses dropped from a row; all of them together stay far below the slack of `_log_tail`."""


def radius_kl(
    log_failure: npt.ArrayLike, flip: Exact, classes: int = 2, max_radius: int = 10_000
) -> IntArray:
    """Largest r with r k < -log(4 p (1 - p)) / 2, int64; -1 where p <= 1/2, rounded down.

    `log_failure` bounds log(1 - p) from above, where the rule answers so with probability p under
    the noise: minus infinity is allowed. Values stop at `max_radius`, which then means "at least";
    the number of training labels is always enough. The inequality is strict, for equality does not
    exclude a tie. Raises ValueError for log_failure above 0, flip outside (0, 1 - 1/classes) or
    given as a float, classes below 2, or max_radius below 0.

    Source: Rosenfeld et al. (2020), section 4, from Dvijotham et al. (2020).

    In the book: cor-lf-kl.
    """
    log_fail = _checked_log(log_failure)
    q, others, last = _checked_noise(flip, classes, max_radius)
    divergence = float((1 - q) - q / others) * -_log_ratio(q, others) * (1 + _ERROR)
    with np.errstate(divide="ignore"):
        log_product = math.log(4) + np.log1p(-np.exp(log_fail)) + log_fail
    bound = -log_product / 2 - _ERROR * (1 + np.abs(np.maximum(log_fail, -1e300)))
    flips = np.ceil(np.clip(bound / divergence * (1 - _ERROR), 1.0, last + 1.0)) - 1
    return np.where(log_fail < _LOG_HALF, flips, -1).astype(np.int64)[()]


def radius_tight(
    log_failure: npt.ArrayLike, flip: Exact, classes: int = 2, max_radius: int = 10_000
) -> IntArray:
    """Largest number of flips that no rule with this failure probability can lose to; int64.

    `discrete.radius` for p = 1 - exp(log_failure), keep = 1 - flip and classes - 1 alternatives,
    in the log domain: -1 where p <= 1/2. Rounded down: where log_failure lies within a relative
    1e-11 of what r flips ask for, the result may be r - 1. Arguments, errors and the meaning of
    `max_radius` are as for `radius_kl`, but at most `MOST_FLIPS`. Takes about a second for 10 000
    flips, once.

    Source: Lee et al. (2019), with the noise of Rosenfeld et al. (2020).

    In the book: thm-lf-tight.
    """
    log_fail = _checked_log(log_failure)
    q, others, last = _checked_noise(flip, classes, max_radius)
    if last > MOST_FLIPS:
        raise ValueError(f"max_radius is {last}: give at most {MOST_FLIPS}, a few seconds of work")
    tails = _log_tails(q, others, last)
    flips = np.searchsorted(-tails, -log_fail, side="left") - 1
    return np.where(log_fail < _LOG_HALF, np.maximum(flips, 0), -1)[()]


@functools.lru_cache(maxsize=16)
def _log_tails(flip: Fraction, others: int, last: int) -> FloatArray:
    """log(1 - rho_r^-1(1/2)) for r = 0 ... last, rounded down, never rising.

    A row holds the masses under the flipped labels of e = (coordinates that agree with them) -
    (those that agree with the true ones), a sum of r steps of +1, 0, -1.
    """
    stay, move = float(1 - flip), float(flip / others)
    middle = float((others - 1) * (flip / others))
    log_ratio = _log_ratio(flip, others)
    row, lowest = np.ones(1), 0
    tails = [_log_tail(row, lowest, log_ratio, 0)]
    for r in range(1, last + 1):
        wider = np.zeros(len(row) + 2)
        wider[:-2] += move * row
        wider[1:-1] += middle * row
        wider[2:] += stay * row
        seen = np.flatnonzero(wider > _NEGLIGIBLE)
        row, lowest = wider[seen[0] : seen[-1] + 1], lowest - 1 + int(seen[0])
        tails.append(_log_tail(row, lowest, log_ratio, r))
    return np.minimum.accumulate(tails)


def _log_tail(row: FloatArray, lowest: int, log_ratio: float, radius: int) -> float:
    """Log of the failure probability that turns the majority, for one row, rounded down.

    The failure fills the regions of largest e under the flipped labels up to mass 1/2, m being
    the last. With t = move/stay its mass under the true labels is t^m (1/2 - sum_{e > m} Q(e)
    (1 - t^(e-m))). Every m gives a bound from below (weak duality of the linear programme), so
    rounding may pick another. Each step of the recurrence errs by 5 units of 2^-53 relative, the
    powers by 2, sums by 1 each: below (r + 8) 2^-48 with what was dropped.
    """
    above = np.cumsum(row[::-1])
    place = len(row) - 1 - int(np.searchsorted(above, 0.5))
    steps = np.arange(1, len(row) - place)
    missing = float(row[place + 1 :] @ -np.expm1(steps * log_ratio))
    bracket = 0.5 - missing - (radius + 8) * _ERROR
    if bracket <= 0:
        return -math.inf
    middle = (lowest + place) * log_ratio
    return middle + math.log(bracket) - _ERROR * (abs(middle) + abs(math.log(bracket)))


def _log_ratio(flip: Fraction, others: int) -> float:
    """log(q / ((1 - q) (C - 1))), accurate also near 0."""
    ratio = flip / ((1 - flip) * others)
    return math.log1p(float(ratio - 1)) if 2 * ratio > 1 else log_of(ratio)


def _checked_log(log_failure: npt.ArrayLike) -> FloatArray:
    values = arguments.numbers("log_failure", log_failure, rounding="up")
    if (values > 0).any():
        raise ValueError(
            f"log_failure is {values[values > 0].flat[0]}: give logs of probabilities, at most 0"
        )
    return values


def _checked_noise(flip: Exact, classes: int, max_radius: int) -> tuple[Fraction, int, int]:
    return (
        *checked_flip(flip, classes),
        arguments.integer("max_radius", max_radius),
    )
