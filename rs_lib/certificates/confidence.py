"""Soft smoothing: what the mean of a score keeps when the noise is shifted.

A score f with values in [low, high] is seen under Gaussian noise N(x, sigma^2 I). What is known of
it are lower bounds S_i of P(f >= t_i). By the lemma of Neyman and Pearson, at distance R each level
set {f >= t} keeps at least psi(P(f >= t)), psi(p) = Phi(Phi^-1(p) - R / sigma), and
E f = low + int_low P(f >= t) dt, where P(f >= t) >= P(f >= t_i) for t <= t_i. With t_0 = low

    E f(x + delta + Z) >= low + sum_i (t_i - t_(i-1)) psi(S_i),    ||delta||_2 <= R.

The worst level sets are half-spaces orthogonal to one shift and lie in each other, so one score has
them all: the bound is attained by the scores of this law, sorted along a line. If the mean alone is
known, psi is convex with psi(0) = 0, psi(1) = 1, and Jensen's inequality over t makes
low + (high - low) psi of the mean's place in [low, high] the bound; scores in {low, high} attain
it. Sources: Kumar, Levine, Feizi and Goldstein (2020), as their code has them; psi is the
distortion of Wang (2000).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib import arguments
from rs_lib.arguments import FloatArray, common_shape, shown
from rs_lib.certificates.sorted_scores import (
    QUANTILE_ERROR,
    TAIL_ERROR,
    TAIL_ERROR_PER_SQUARE,
    TINY,
    UNIT,
    blocks,
    kept_beyond,
    laws_of,
    steps_to,
)

_MOST_THRESHOLDS = 2**20


def _checked(
    thresholds: npt.ArrayLike, survival: npt.ArrayLike, low: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, float]:
    """Return thresholds [m], survival [..., m] and low, rounded to the safe side."""
    cuts = arguments.numbers("thresholds", thresholds, rounding="down")
    masses = arguments.probabilities("survival", survival, rounding="down")
    least = arguments.single("low", arguments.numbers("low", low, rounding="down"))
    if cuts.ndim != 1 or not 0 < cuts.size <= _MOST_THRESHOLDS:
        raise ValueError(
            f"thresholds has shape {cuts.shape}: give a list of 1 to {_MOST_THRESHOLDS} numbers"
        )
    if not np.isfinite(cuts).all() or not (cuts[1:] > cuts[:-1]).all():
        raise ValueError(f"thresholds is {shown(cuts)}: give finite numbers in increasing order")
    if not np.isfinite(least) or cuts[0] < least:
        raise ValueError(
            f"low is {least} and the first threshold {cuts[0]}: give the least value of the score, "
            "and no threshold below it"
        )
    if not np.isfinite(float(cuts[-1]) - least):
        raise ValueError(f"thresholds reach from {least} to {cuts[-1]}: give a shorter range")
    if masses.ndim == 0 or masses.shape[-1] != cuts.size:
        raise ValueError(
            f"survival has shape {masses.shape} but thresholds {cuts.shape}: give one lower bound "
            "per threshold in the last axis"
        )
    rising = masses[..., 1:] > masses[..., :-1]
    if rising.any():
        raise ValueError(
            f"survival rises to {masses[..., 1:][rising][0]}: give lower bounds of "
            "P(score >= threshold) that do not increase"
        )
    return cuts, masses, least


def lower(
    thresholds: npt.ArrayLike,
    survival: npt.ArrayLike,
    sigma: npt.ArrayLike,
    radius: npt.ArrayLike,
    low: npt.ArrayLike = 0.0,
) -> FloatArray:
    """Lower bound of the mean score within `radius`, from the law of the score.

    `thresholds` [m] increase and start at `low`, the least value of the score, or above it;
    `survival` [..., m] holds lower bounds of P(score >= threshold) at the point itself. `sigma` and
    the l2 distance `radius`, in one unit, broadcast with each other and with [...]; returns float64
    of the common shape, low + sum_i (t_i - t_(i-1)) Phi(Phi^-1(S_i) - radius / sigma). Floats are
    taken as exact, finer numbers go to the safe side, and the result is rounded down.

    Raises ValueError for thresholds that do not increase, are infinite or below low, survival
    outside [0, 1], increasing or of another length, a negative radius, or sigma not positive.

    Source: Kumar et al. (2020), as coded. In the book: thm-cc-law, prop-cc-steps.
    """
    cuts, masses, least = _checked(thresholds, survival, low)
    scale = arguments.positive("sigma", sigma, rounding="down")
    distance = arguments.nonnegative("radius", radius, rounding="up")
    steps = _steps(distance, scale)
    shape = common_shape(survival=masses.shape[:-1], radius=distance.shape, sigma=scale.shape)
    steps = np.broadcast_to(steps, shape).ravel()
    bound = np.empty(steps.size)
    for part, rows in blocks(masses, shape):
        law = laws_of(cuts, rows, least)
        far, _ = kept_beyond(law.widths, law.quantiles(), steps[part])
        kept = np.where(steps[part] == 0, law.at_once(), far)
        rounded = np.maximum(np.nextafter(law.base + kept, -np.inf), law.base)
        bound[part] = np.where(kept > 0, rounded, law.base)
    return bound.reshape(shape)[()]


def _steps(distance: FloatArray, scale: FloatArray) -> FloatArray:
    """Return distance / scale, rounded up and capped where nothing is left; broadcast."""
    common_shape(radius=distance.shape, sigma=scale.shape)
    with np.errstate(over="ignore"):
        steps = np.nextafter(distance / scale, np.inf)
    return np.asarray(np.where(distance == 0, 0.0, np.minimum(steps, 1e6)))


def radius(
    thresholds: npt.ArrayLike,
    survival: npt.ArrayLike,
    sigma: npt.ArrayLike,
    level: npt.ArrayLike,
    low: npt.ArrayLike = 0.0,
) -> FloatArray:
    """l2 radius within which the mean score stays at `level` or above, from the law of the score.

    The root of `lower` = level, rounded down; 0 where the level is not certified at the point
    itself, and infinite where the level is at most `low`, or at most a threshold that the score
    reaches with probability 1 (then it does so wherever the noise is centred). `sigma` and `level`
    broadcast with each other and with the batch [...]; other arguments and errors: as for `lower`.

    Source: Kumar et al. (2020), as coded. In the book: thm-cc-law, prop-cc-closed.
    """
    cuts, masses, least = _checked(thresholds, survival, low)
    scale = arguments.positive("sigma", sigma, rounding="down")
    aim = arguments.numbers("level", level, rounding="up")
    shape = common_shape(survival=masses.shape[:-1], level=aim.shape)
    common_shape(survival=masses.shape[:-1], level=aim.shape, sigma=scale.shape)
    aims = np.broadcast_to(aim, shape).ravel()
    steps = np.empty(aims.size)
    for part, rows in blocks(masses, shape):
        law = laws_of(cuts, rows, least)
        missing = np.nextafter(aims[part] - law.base, np.inf)
        found = np.where(aims[part] <= law.base, np.inf, 0.0)
        open_ = (found == 0) & (law.at_once() >= missing)
        found[open_] = steps_to(law.widths, law.chosen(open_).quantiles(), missing[open_])
        steps[part] = found
    steps = steps.reshape(shape)
    with np.errstate(over="ignore"):
        rounded = np.maximum(np.nextafter(steps * scale, 0.0), 0.0)
    return np.where(np.isinf(steps), np.inf, np.minimum(rounded, np.finfo(float).max))[()]


def mean_lower(
    mean: npt.ArrayLike,
    sigma: npt.ArrayLike,
    radius: npt.ArrayLike,
    low: npt.ArrayLike = 0.0,
    high: npt.ArrayLike = 1.0,
) -> FloatArray:
    """Lower bound of the mean score within `radius`, from the mean at the point and the range.

    Computes low + (high - low) Phi(Phi^-1((mean - low) / (high - low)) - radius / sigma), rounded
    down; `mean` may be a lower bound, and is itself the answer at radius 0. The score lies in
    [low, high]. The arguments broadcast. Raises ValueError for a mean outside the range, a range
    that is empty or infinite, a negative radius, or sigma not positive.

    Source: Kumar et al. (2020), as coded. In the book: thm-cc-mean.
    """
    centre = arguments.numbers("mean", mean, rounding="down")
    bottom = arguments.numbers("low", low, rounding="down")
    top = arguments.numbers("high", high, rounding="up")
    scale = arguments.positive("sigma", sigma, rounding="down")
    steps = _steps(arguments.nonnegative("radius", radius, rounding="up"), scale)
    common_shape(mean=centre.shape, low=bottom.shape, high=top.shape, radius=steps.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        span = top - bottom
    if not ((span > 0) & np.isfinite(span)).all():
        raise ValueError(
            f"low is {shown(bottom)} and high {shown(top)}: give a finite range, low below high"
        )
    outside = (centre < bottom) | (arguments.numbers("mean", mean, rounding="up") > top)
    if outside.any():
        worst = np.broadcast_to(arguments.reals("mean", mean), outside.shape)[outside][0]
        raise ValueError(
            f"mean is {shown(worst)}: give a mean in the range of the score, {shown(bottom)} to "
            f"{shown(top)}"
        )
    # The nearer end of the range, so that a mean next to `high` keeps its digits.
    share = np.nextafter((centre - bottom) / span * (1 - 8 * UNIT), 0.0)
    rest = np.nextafter((top - centre) / span * (1 + 8 * UNIT), 1.0)
    z = np.where(share < 0.5, special.ndtri(share), -special.ndtri(np.minimum(rest, 1.0)))
    with np.errstate(invalid="ignore"):  # infinite quantiles: settled below
        place = (z - steps) - QUANTILE_ERROR * (np.abs(z) + steps)
        tail = special.ndtr(place)
        error = TAIL_ERROR + TAIL_ERROR_PER_SQUARE * np.clip(place, -100.0, 0.0) ** 2
        kept = span * (tail * (1 - error) - TINY) * (1 - 4 * UNIT)
        bound = np.clip(np.nextafter(bottom + kept, -np.inf), bottom, centre)
    bound = np.where((centre == top) | (steps == 0), centre, bound)
    return np.where(centre == bottom, bottom, bound)[()]


def pairs_radius(
    laws: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]], sigma: npt.ArrayLike
) -> FloatArray:
    """l2 radius within which the top class of the mean scores cannot change, from pairs of classes.

    `laws` has one pair (thresholds, survival) for each rival j of the top class A: lower bounds of
    P(F_A - F_j >= threshold), where the differences of scores lie in [-1, 1]. The class stays as
    long as every mean difference is positive: the least of the radii of the pairs. Bounds for all
    of them must hold together. It is tight given the joint law of the scores, and never below the
    radius of the margin F_A - max_j F_j, which is at most each difference. Returns float64 of the
    batch's shape; shapes and errors as for `radius`, and for no laws or a threshold beyond 1.

    Source: ours; the margin: Kumar et al. (2020), as coded. In the book: thm-cc-pairs,
    prop-cc-votes.
    """
    try:
        pairs = [(thresholds, survival) for thresholds, survival in laws]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"laws is {shown(laws)}: give one pair (thresholds, survival) for each rival"
        ) from error
    if not pairs:
        raise ValueError("laws is empty: give one pair (thresholds, survival) for each rival")
    found = [strict_radius(thresholds, survival, sigma, 0.0) for thresholds, survival in pairs]
    try:
        return np.asarray(functools.reduce(np.minimum, found))[()]
    except ValueError:
        raise ValueError(
            f"laws holds batches of shapes {[np.shape(own) for own in found]}: give shapes that "
            "broadcast"
        ) from None


def strict_radius(
    thresholds: npt.ArrayLike, survival: npt.ArrayLike, sigma: npt.ArrayLike, level: npt.ArrayLike
) -> FloatArray:
    """l2 radius within which the mean of a score in [-1, 1] stays above `level`, strictly.

    As `radius` with low = -1, but 0 where the mean that the law ensures is not above the level: a
    tie decides nothing. Raises ValueError as `radius` does, and for a threshold beyond 1.
    """
    cuts, masses, _ = _checked(thresholds, survival, -1.0)
    if cuts[-1] > 1:
        raise ValueError(f"thresholds holds {cuts[-1]}: give levels of a score in [-1, 1]")
    aim = arguments.numbers("level", level, rounding="up")
    # The last level that is reached at all: above the sure part, any mass lifts the mean.
    reached = (masses > 0).sum(axis=-1)
    top = np.concatenate([[-1.0], cuts])[reached]
    found = radius(cuts, masses, sigma, aim, -1.0)
    return np.where(top > aim, found, 0.0)[()]
