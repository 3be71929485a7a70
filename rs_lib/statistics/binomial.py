"""Exact binomial bounds and tests, rounded so that they stay valid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray

MAX_TRIALS = 10**7
"""Largest number of trials for which the outward rounding has been measured."""

LEAST_LEVEL = 1e-60
"""Smallest error probability for which it has; below 1e-119 SciPy's inverse gives NaN."""

# SciPy's inverse incomplete beta functions, compared with 160- and 320-bit ball arithmetic on
# 55 000 cases (1 <= n <= 1e7, every regime of k, 1e-60 <= alpha < 1), err in p by at most
# (7e-12 + 4.1e-17 n) min(p, 1 - p) beyond two units in the last place. The part that grows with n
# shows for few successes and alpha around 1/2. We step outwards by 6 times that, or more.
_ERROR = 6e-11
_ERROR_PER_TRIAL = 2.5e-16
_UNITS = 8

# Binomial tail sums carry far smaller errors; a factor this close to one covers them.
_TAIL_FACTOR = 1 + 2.0**-33

# Enough to halve an interval of length 1 down to neighbouring floats above 2^-11.
_HALVINGS = 64


def _counts(successes: npt.ArrayLike, trials: npt.ArrayLike) -> tuple[IntArray, IntArray]:
    """Return both as broadcast int64 arrays with 0 <= successes <= trials <= MAX_TRIALS."""
    k, n = np.broadcast_arrays(
        arguments.integers("successes", successes), arguments.integers("trials", trials, least=1)
    )
    if (n > MAX_TRIALS).any():
        raise ValueError(
            f"trials is {n.max()}: give at most {MAX_TRIALS}, as far as the rounding is checked"
        )
    if (k > n).any():
        raise ValueError(
            f"successes is {k[k > n].flat[0]} out of {n[k > n].flat[0]} trials: "
            "give at most as many successes as trials"
        )
    return k, n


def _level(alpha: npt.ArrayLike) -> FloatArray:
    level = arguments.level("alpha", alpha)
    if (level < LEAST_LEVEL).any():
        raise ValueError(
            f"alpha is {level.min()}: give at least {LEAST_LEVEL}, as far as the rounding is "
            "checked"
        )
    return level


def _margin(p: FloatArray, trials: IntArray) -> FloatArray:
    relative = _ERROR + _ERROR_PER_TRIAL * trials
    margin: FloatArray = relative * np.minimum(p, 1 - p) + _UNITS * np.spacing(p)
    return margin


def clopper_pearson_lower(
    successes: npt.ArrayLike, trials: npt.ArrayLike, alpha: npt.ArrayLike
) -> FloatArray:
    """Lower confidence bound for a binomial proportion, valid with probability 1 - alpha.

    The bound is the p at which P(Bin(n, p) >= k) = alpha, that is the alpha-quantile of
    Beta(k, n - k + 1); it is 0 for k = 0 and alpha^(1/n) for k = n. The result is rounded
    down: in exact arithmetic P(Bin(n, p) >= k) <= alpha at the returned float. That costs less
    than 1e-10 of p for up to 1e5 trials and less than 3e-9 of p for up to 1e7. The guarantee
    needs a number of trials fixed in advance.

    The arguments broadcast: `successes` k and `trials` n hold counts, `alpha` the error
    probability in (0, 1). Returns float64 of the common shape (a scalar for scalars).

    Raises ValueError for counts that are no whole numbers, for k > n, n < 1 or n > MAX_TRIALS,
    and for alpha outside [`LEAST_LEVEL`, 1).

    Source: Clopper and Pearson, Biometrika 26 (1934).

    In the book: thm-clopper-pearson.
    """
    k, n = _counts(successes, trials)
    level = _level(alpha)
    # A placeholder keeps the beta law proper where k = 0; that case is replaced below.
    inside = np.maximum(k, 1)
    bound = np.asarray(special.betaincinv(inside, n - inside + 1, level), dtype=np.float64)
    return np.where(k == 0, 0.0, np.maximum(bound - _margin(bound, n), 0.0))[()]


def clopper_pearson_upper(
    successes: npt.ArrayLike, trials: npt.ArrayLike, alpha: npt.ArrayLike
) -> FloatArray:
    """Upper confidence bound for a binomial proportion, valid with probability 1 - alpha.

    The bound is the p at which P(Bin(n, p) <= k) = alpha, that is the (1 - alpha)-quantile of
    Beta(k + 1, n - k); it is 1 for k = n and 1 - alpha^(1/n) for k = 0. The result is rounded
    up: in exact arithmetic P(Bin(n, p) <= k) <= alpha at the returned float. That costs less than
    1e-10 of 1 - p for up to 1e5 trials and less than 3e-9 of it for up to 1e7, beside nine units
    in the last place of p.

    Arguments, shapes and errors: as for `clopper_pearson_lower`.

    Source: Clopper and Pearson, Biometrika 26 (1934).
    """
    k, n = _counts(successes, trials)
    level = _level(alpha)
    inside = np.minimum(k, n - 1)
    # The complementary inverse takes alpha itself: 1 - alpha would already be rounded.
    bound = np.asarray(special.betainccinv(inside + 1, n - inside, level), dtype=np.float64)
    return np.where(k == n, 1.0, np.minimum(bound + _margin(bound, n), 1.0))[()]


def lead_bounds(
    successes: npt.ArrayLike, runner_up: npt.ArrayLike, trials: npt.ArrayLike, alpha: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Bounds of one class from below and of all others from above, valid at once.

    `successes` counts the class, chosen without these `trials`, and `runner_up` the most frequent
    of the other classes, whichever that is. Returns (p_lower, p_upper), float64 of the common
    shape: with probability 1 - alpha, p_lower is at most the probability of the class and p_upper
    at least that of every other class. Each bound takes alpha / 2, however many classes there
    are: p_upper errs only if it is too small for the most likely other class, whose count the
    runner-up's is not below. p_upper is at most 1 - p_lower, rounded up.

    Raises ValueError as `clopper_pearson_lower` does, and if the counts exceed `trials` together.

    In the book: prop-runner-up.
    """
    first, second = arguments.integers("successes", successes), _counts(runner_up, trials)[0]
    if (first > np.asarray(trials) - second).any():
        raise ValueError("runner_up and successes exceed trials together: count each sample once")
    half = np.asarray(_level(alpha)) / 2
    p_lower = clopper_pearson_lower(first, trials, half)
    rest = np.nextafter(1 - np.asarray(p_lower), 2.0)
    return p_lower, np.minimum(clopper_pearson_upper(second, trials, half), rest)


def randomized_clopper_pearson_lower(
    successes: npt.ArrayLike,
    trials: npt.ArrayLike,
    alpha: npt.ArrayLike,
    uniforms: npt.ArrayLike,
) -> FloatArray:
    """Lower bound for a binomial proportion with an extra uniform number W, capped at k = n.

    The bound is the p at which P(Bin(n, p) > k) + W P(Bin(n, p) = k) = alpha. At every p a share
    of exactly alpha of the pairs (k, W) lies in the set that it excludes: the coverage is exactly
    1 - alpha. At k = n the bound (alpha / W)^(1/n) would be 1, with an infinite radius, whenever
    W <= alpha; there the ordinary alpha^(1/n) takes its place. So the coverage is at least
    1 - alpha, and exactly that where P(Bin(n, p) = n) <= alpha. No smaller than
    `clopper_pearson_lower`, up to the rounding; rounded down.

    `uniforms` W in [0, 1] must be drawn anew for each bound, independently of the samples, and
    not chosen among several. Other arguments, shapes and errors: as for `clopper_pearson_lower`;
    raises ValueError also for uniforms outside [0, 1].

    Source: Voráček (2024), randomised Clopper-Pearson; the cap is ours.

    In the book: prop-randomised.
    """
    k, n = _counts(successes, trials)
    k, n, level, weight = np.broadcast_arrays(
        k, n, _level(alpha), arguments.probabilities("uniforms", uniforms, rounding="up")
    )
    weight = np.where(k == n, 1.0, weight)
    # The root lies between the ordinary bounds for k and for k + 1 successes.
    low = np.asarray(clopper_pearson_lower(k, n, level))
    high = np.asarray(clopper_pearson_lower(np.minimum(k + 1, n), n, level))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        # P(Bin >= k + 1) and P(Bin >= k), with proper beta laws at both ends.
        above = np.where(k == n, 0.0, special.betainc(k + 1.0, np.maximum(n - k, 1), middle))
        reached = np.where(k == 0, 1.0, special.betainc(np.maximum(k, 1), n - k + 1.0, middle))
        valid = (weight * reached + (1 - weight) * above) * _TAIL_FACTOR <= level
        low, high = np.where(valid, middle, low), np.where(valid, high, middle)
    return low[()]


def binomial_interval(
    successes: npt.ArrayLike, trials: npt.ArrayLike, confidence: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Two-sided Clopper-Pearson interval (low, high) with equal tails, as used for bands.

    It covers the true proportion with probability at least `confidence`. Arguments, shapes and
    errors: as for `clopper_pearson_lower`; `confidence` lies in (0, 1).
    """
    tail = (1 - arguments.level("confidence", confidence, rounding="up")) / 2
    return (
        clopper_pearson_lower(successes, trials, tail),
        clopper_pearson_upper(successes, trials, tail),
    )


def binomial_test_two_sided(successes: npt.ArrayLike, trials: npt.ArrayLike) -> FloatArray:
    """p-value of the two-sided test that the success probability is 1/2.

    By symmetry it is min(1, 2 P(Bin(n, 1/2) <= min(k, n - k))), rounded up by a relative 1.2e-10
    at most, so that a comparison with a level never rejects by rounding. The arguments broadcast.
    Raises ValueError as `clopper_pearson_lower` does.

    Source: Cohen, Rosenfeld and Kolter (2019), section 3.2.1 (PREDICT); Hung and Fithian (2019).
    """
    k, n = _counts(successes, trials)
    tail = stats.binom.cdf(np.minimum(k, n - k), n, 0.5)
    return np.minimum(1.0, np.nextafter(2 * tail * _TAIL_FACTOR, np.inf))[()]
