"""A boundary lowered until its exact error reaches a level, and no further."""

from collections.abc import Callable
from math import log
from typing import NamedTuple

import numpy as np

from rs_lib.arguments import FloatArray, IntArray
from rs_lib.statistics import boundaries
from rs_lib.statistics.crossing import Walk

_CLOSE = 0.97
"""Share of the level at which the search for a threshold ends and the filling begins."""

_FULL = 0.999
"""Share of the level at which the filling ends."""

_ROUNDS = 8


class Trial(NamedTuple):
    """A boundary, its exact error, and the mass that passes just below it at each look."""

    boundary: IntArray
    error: float
    edge: FloatArray


def _threshold(trial: Callable[[float], Trial], level: float, safe: float, start: float) -> Trial:
    """Search for the threshold whose error is the level; return a trial whose error is below it.

    The error is a falling step function of the threshold, whose logarithm falls about as fast as
    the threshold grows. At `safe` it is at most the level; `start` is a guess.
    """
    low, high, low_gap, high_gap = 0.0, safe, np.inf, -np.inf
    best, guess = None, min(start, safe)
    while high - low > 1e-3:
        current = trial(guess)
        gap = log(current.error / level) if current.error > 0 else -np.inf
        if gap <= 0:
            best, high, high_gap = current, guess, gap
            if current.error >= _CLOSE * level:
                break
        else:
            low, low_gap = guess, gap
        width = high - low
        if np.isfinite(low_gap) and np.isfinite(high_gap):
            guess = low + width * (low_gap + 0.015) / (low_gap - high_gap)
        else:
            guess = guess + gap + 0.015 if np.isfinite(gap) else (low + high) / 2
        guess = min(max(guess, low + width / 16), high - width / 16)
    return trial(safe) if best is None else best


def _fill(
    trial: Callable[[IntArray], Trial],
    current: Trial,
    significance: Callable[[IntArray], FloatArray],
    level: float,
    looks: IntArray,
    opposite: IntArray,
) -> Trial:
    """Lower single entries by one, the most significant counts first, while the level allows it.

    The error grows by less than the mass that went on at the new counts, since every further
    false claim passes one of them. So a sum of such masses within the slack is safe, and the
    exact error of the new boundary gives the slack of the next round. Over the looks, the counts
    and the failures that they leave stay nondecreasing; the counts stay above `opposite`.
    """
    for _ in range(_ROUNDS):
        slack = level - current.error
        entries = np.concatenate([[0], current.boundary, [current.boundary[-1]]])
        steps = np.concatenate([[0], np.diff(looks, prepend=0), [1]])
        spent = 0.0
        for i in np.argsort(-significance(current.boundary - 1), kind="stable").tolist():
            lowered, added = entries[i + 1] - 1, float(current.edge[i])
            ordered = entries[i] <= lowered and entries[i + 2] - lowered <= steps[i + 2]
            if ordered and lowered > opposite[i] and 0.0 < added <= slack - spent:
                entries[i + 1], spent = lowered, spent + added
        if spent == 0.0:
            break
        lowered_further = trial(entries[1:-1])
        # The slack may have been lost in the rounding of a level far larger than it.
        if lowered_further.error > level:
            break
        current = lowered_further
        if current.error >= _FULL * level:
            break
    return current


def _lowered(
    trial: Callable[[IntArray], Trial],
    looks: IntArray,
    p: float,
    level: float,
    opposite: IntArray,
    start: float,
) -> Trial:
    """Boundary against `p` whose error, as `trial` computes it, comes up to `level`."""

    def at(threshold: float) -> Trial:
        return trial(boundaries.above_mean(boundaries.likelihood_ratio, threshold)(looks, p))

    # Chernoff's bound at each look and a union over them: this threshold is safe, with room for
    # rounding where that is exact (one look, successes only).
    safe = log(looks.size / level) + 1e-6
    found = _threshold(at, level, safe, start)
    return _fill(
        trial,
        found,
        lambda counts: boundaries.likelihood_ratio(counts, looks, p),
        level,
        looks,
        opposite,
    )


def calibrated(looks: IntArray, p0: float, alpha: float, beta: float) -> tuple[IntArray, IntArray]:
    """Boundaries (accept, reject) whose exact errors under `p0` come up to `alpha` and `beta`.

    Both rest on the generalised likelihood ratio with one threshold for all looks. Giving up is
    calibrated first, against an accepting boundary that is high enough; then accepting, against
    the boundary at which the test really gives up, so that its error is the test's own. Lowering
    it only takes walks away from giving up, whose error stays below its level.

    Source: Lai (1988) for the likelihood ratio with a nearly constant threshold; the exact
    calibration is ours.
    """
    walk = Walk(looks, p0, min(alpha, beta))
    ratio = boundaries.likelihood_ratio
    accept = boundaries.above_mean(ratio, log(looks.size / alpha))(looks, p0)

    def gives_up(failures: IntArray) -> Trial:
        crossing = walk.cross(accept, looks - failures)
        return Trial(failures, crossing.error_of(crossing.given_up), crossing.bottom)

    up = _lowered(gives_up, looks, 1 - p0, beta, looks - accept, log(1 / beta) + 1)
    reject = looks - up.boundary

    def certifies(counts: IntArray) -> Trial:
        crossing = walk.cross(counts, reject)
        return Trial(counts, crossing.error_of(crossing.accepted), crossing.top)

    return _lowered(certifies, looks, p0, alpha, reject, log(1 / alpha) + 1).boundary, reject
