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
it. Sources: Kumar, Levine, Feizi and Goldstein (2020), Theorems 1 and 2; psi is the distortion of
Wang (2000).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib import arguments
from rs_lib.arguments import FloatArray, shown

# In units of 2^-53, relative. Against 200-bit balls ndtri errs by at most 8, and ndtr at a < 0 by
# 5 + 1.6 a^2 down to 1e-300, at a >= 0 by 2; we allow twice that or more. Sums along a contiguous
# axis are taken pairwise: fewer than 40 roundings each up to 2^20 terms, and two in each term.
_UNIT = 2.0**-53
_QUANTILE = 16 * _UNIT
_TAIL, _TAIL_PER_SQUARE = 24 * _UNIT, 3 * _UNIT
_SUM = 48 * _UNIT
_TINY = 1e-300
_MOST_THRESHOLDS = 2**20

_NOWHERE = -100.0
"""Stands for Phi^-1(0): nothing is left of it in float64, and no infinity spoils a product."""

_BLOCK = 2**16
"""Numbers that are worked on at a time: they stay in the cache."""

_CLOSE = 2.0**-45
_ROUNDS = 80


class _Law(NamedTuple):
    """Laws of n scores: `base` [n] is kept at any distance, and beyond it the parts `widths` [m]
    of the range while their tails last, of probabilities `masses` [n, m] (0 up to the base).
    """

    base: FloatArray
    widths: FloatArray
    masses: FloatArray

    def quantiles(self) -> FloatArray:
        """Return Phi^-1 of the masses, [n, m], lowered by what it and later differences err."""
        z = np.where(self.masses > 0, special.ndtri(self.masses), _NOWHERE)
        z -= _QUANTILE * np.abs(z)
        return z

    def at_once(self) -> FloatArray:
        """Lower bound of what is kept beyond the base at distance 0, [n]."""
        return np.asarray(np.add.reduce(self.masses * self.widths, axis=1) * (1 - _SUM))

    def chosen(self, rows: npt.NDArray[np.bool_]) -> "_Law":
        """Return the law of some of the scores."""
        return _Law(self.base[rows], self.widths, self.masses[rows])


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


def _law(cuts: FloatArray, rows: FloatArray, low: float) -> _Law:
    """Return the laws of `rows` [n, m] of survival."""
    base = np.concatenate([[low], cuts])[(rows == 1).sum(axis=1)]
    return _Law(base, np.diff(cuts, prepend=low), np.where(rows < 1, rows, 0.0))


def _kept(widths: FloatArray, quantiles: FloatArray, steps: FloatArray) -> tuple[FloatArray, ...]:
    """Lower bounds of sum_i widths_i Phi(z_i - steps), [n], and minus its slope in `steps`."""
    place = quantiles - (steps * (1 + _QUANTILE))[:, None]
    tail = special.ndtr(place)
    tail *= widths
    square = np.multiply(place, place, out=place)
    total = np.add.reduce(tail, axis=1)
    slack = np.add.reduce(np.multiply(tail, square, out=tail), axis=1)
    density = np.exp(np.multiply(square, -0.5, out=square), out=square)
    density *= widths / np.sqrt(2 * np.pi)
    slope = np.add.reduce(density, axis=1)
    low = total * (1 - _TAIL - _SUM) - _TAIL_PER_SQUARE * slack - _TINY * widths.sum()
    return np.maximum(low, 0.0), slope


def _blocks(masses: FloatArray, shape: tuple[int, ...]) -> Iterator[tuple[slice, FloatArray]]:
    """Parts of a flattened batch of that shape, and their rows of `masses` [..., m]."""
    columns = masses.shape[-1]
    flat = masses.reshape(-1, columns)
    rows = np.broadcast_to(np.arange(len(flat)).reshape(masses.shape[:-1]), shape).ravel()
    size = max(1, _BLOCK // columns)
    for start in range(0, rows.size, size):
        part = slice(start, start + size)
        yield part, flat[rows[part]]


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

    Source: Kumar et al. (2020), Theorem 2.
    """
    cuts, masses, least = _checked(thresholds, survival, low)
    scale = arguments.positive("sigma", sigma, rounding="down")
    distance = arguments.nonnegative("radius", radius, rounding="up")
    steps = _steps(distance, scale)
    shape = _common(masses.shape[:-1], steps.shape)
    steps = np.broadcast_to(steps, shape).ravel()
    bound = np.empty(steps.size)
    for part, rows in _blocks(masses, shape):
        law = _law(cuts, rows, least)
        far, _ = _kept(law.widths, law.quantiles(), steps[part])
        kept = np.where(steps[part] == 0, law.at_once(), far)
        rounded = np.maximum(np.nextafter(law.base + kept, -np.inf), law.base)
        bound[part] = np.where(kept > 0, rounded, law.base)
    return bound.reshape(shape)[()]


def _steps(distance: FloatArray, scale: FloatArray) -> FloatArray:
    """Return distance / scale, rounded up and capped where nothing is left; broadcast."""
    with np.errstate(over="ignore"):
        steps = np.nextafter(distance / scale, np.inf)
    return np.asarray(np.where(distance == 0, 0.0, np.minimum(steps, 1e6)))


def _common(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(first, second)
    except ValueError:
        raise ValueError(
            f"survival is given for a batch of shape {first}, the other arguments have shape "
            f"{second}: give shapes that broadcast"
        ) from None


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

    Source: Kumar et al. (2020), Theorem 2.
    """
    cuts, masses, least = _checked(thresholds, survival, low)
    scale = arguments.positive("sigma", sigma, rounding="down")
    aim = arguments.numbers("level", level, rounding="up")
    shape = _common(masses.shape[:-1], aim.shape)
    _common(shape, scale.shape)
    aims = np.broadcast_to(aim, shape).ravel()
    steps = np.empty(aims.size)
    for part, rows in _blocks(masses, shape):
        law = _law(cuts, rows, least)
        missing = np.nextafter(aims[part] - law.base, np.inf)
        found = np.where(aims[part] <= law.base, np.inf, 0.0)
        open_ = (found == 0) & (law.at_once() >= missing)
        found[open_] = _steps_to(law.widths, law.chosen(open_).quantiles(), missing[open_])
        steps[part] = found
    steps = steps.reshape(shape)
    with np.errstate(over="ignore"):
        rounded = np.maximum(np.nextafter(steps * scale, 0.0), 0.0)
    return np.where(np.isinf(steps), np.inf, np.minimum(rounded, np.finfo(float).max))[()]


def _steps_to(widths: FloatArray, quantiles: FloatArray, missing: FloatArray) -> FloatArray:
    """Largest steps [n], rounded down, at which sum_i widths_i Phi(z_i - steps) >= missing.

    Newton's method on the logarithm's stand-in Phi^-1(sum / width), which is a straight line for a
    law of two values, within a bracket. Whatever it proposes, only steps at which `_kept` has been
    seen to reach `missing` are returned.
    """
    whole = widths.sum()
    # What is kept is at most the whole range times Phi(largest quantile - steps).
    least = np.zeros(len(missing))
    most = quantiles.max(axis=1) - special.ndtri(np.minimum(missing / whole, 1.0)) + 1
    most = np.maximum(most, 0.0)
    guess = np.clip(_start(widths, quantiles, missing), least, most)
    active = np.arange(len(missing))
    for turn in range(_ROUNDS):
        if active.size == 0:
            break
        # Aimed so far above `missing` that rounding seldom falls short of it.
        above = 2.0 ** (turn // 2 - 50)
        line = special.ndtri(np.minimum(missing[active] * (1 + above) / whole, 1.0))
        steps = guess[active]
        kept, slope = _kept(widths, quantiles[active], steps)
        enough = kept >= missing[active]
        least[active] = np.where(enough, steps, least[active])
        most[active] = np.where(enough, most[active], steps)
        with np.errstate(all="ignore"):
            z = special.ndtri(np.minimum(kept / whole, 1.0))
            rate = slope / whole * np.sqrt(2 * np.pi) * np.exp(z * z / 2)
            proposed = steps + (z - line) / rate
        middle = np.where(np.isinf(most[active]), 2 * steps + 1, (least[active] + most[active]) / 2)
        inside = (proposed > least[active]) & (proposed < most[active])
        guess[active] = np.where(inside, proposed, middle)
        done = enough & (kept <= missing[active] * (1 + max(_CLOSE, 4 * above)))
        done |= most[active] <= least[active] * (1 + 2 * _UNIT)
        active = active[~done]
    return least


def _start(widths: FloatArray, quantiles: FloatArray, missing: FloatArray) -> FloatArray:
    """First guess of `_steps_to`: its answer for every sixteenth level, or that for the mean."""
    if widths.size > 64:
        first = np.arange(0, widths.size, 16)
        middle = np.minimum(first + 8, widths.size - 1)
        return _steps_to(np.add.reduceat(widths, first), quantiles[:, middle], missing)
    whole = widths.sum()
    mean = np.add.reduce(special.ndtr(quantiles) * widths, axis=1) / whole
    gap = special.ndtri(np.minimum(mean, 1.0)) - special.ndtri(np.minimum(missing / whole, 1.0))
    return np.where(np.isfinite(gap) & (gap > 0), gap, 0.1)


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

    Source: Kumar et al. (2020), Theorem 1.
    """
    centre = arguments.numbers("mean", mean, rounding="down")
    bottom = arguments.numbers("low", low, rounding="down")
    top = arguments.numbers("high", high, rounding="up")
    scale = arguments.positive("sigma", sigma, rounding="down")
    steps = _steps(arguments.nonnegative("radius", radius, rounding="up"), scale)
    with np.errstate(over="ignore", invalid="ignore"):
        span = top - bottom
    if not ((span > 0) & np.isfinite(span)).all():
        raise ValueError(
            f"low is {shown(bottom)} and high {shown(top)}: give a finite range, low below high"
        )
    outside = (centre < bottom) | (centre > top)
    if outside.any():
        worst = np.broadcast_to(centre, outside.shape)[outside][0]
        raise ValueError(
            f"mean is {worst}: give a mean in the range of the score, {shown(bottom)} to "
            f"{shown(top)}"
        )
    # The nearer end of the range, so that a mean next to `high` keeps its digits.
    share, rest = (centre - bottom) / span, (top - centre) / span
    rest = np.minimum(rest * (1 + 8 * _UNIT), 1.0)
    z = np.where(share < 0.5, special.ndtri(share * (1 - 8 * _UNIT)), -special.ndtri(rest))
    with np.errstate(invalid="ignore"):  # infinite quantiles: settled below
        place = (z - steps) - _QUANTILE * (np.abs(z) + steps)
        tail = special.ndtr(place)
        error = _TAIL + _TAIL_PER_SQUARE * np.clip(place, -100.0, 0.0) ** 2
        kept = span * (tail * (1 - error) - _TINY) * (1 - 4 * _UNIT)
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

    Source: ours; the margin: Kumar et al. (2020), section 4.
    """
    if not isinstance(laws, Sequence) or len(laws) == 0:
        raise ValueError(
            f"laws is {shown(laws)}: give one pair (thresholds, survival) for each rival"
        )
    found: FloatArray | None = None
    for law in laws:
        if not isinstance(law, Sequence) or isinstance(law, str) or len(law) != 2:
            raise ValueError(f"laws holds {shown(law)}: give pairs (thresholds, survival)")
        own = strict_radius(*law, sigma, 0.0)
        found = own if found is None else np.minimum(found, own)
    return np.asarray(found)[()]


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
