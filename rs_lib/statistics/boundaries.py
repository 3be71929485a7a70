"""Integer boundaries of sequential tests on Bernoulli counts, by the statistic they rest on.

A boundary holds, for each look, the smallest count of successes that certifies p > p0; look + 1
where none does. The boundary that gives up is the same one for failures: see `mirrored`.
"""

from collections.abc import Callable
from math import ceil, log, log1p

import numpy as np
import numpy.typing as npt
from scipy import special

from rs_lib.arguments import FloatArray, IntArray

# Binomial tails of SciPy err far less than this, relative to themselves.
_MARGIN = 1e-9

Boundary = Callable[[IntArray, float], IntArray]
"""From the looks and a probability to the smallest counts that certify a larger one."""

Statistic = Callable[[IntArray, IntArray, float], FloatArray]
"""From successes, looks and a probability to a number that rises with the successes above np."""

_GROWTH = 1.1
_LAST_LOOKS = 32


def first_certifying(p0: float, alpha: float) -> int:
    """Smallest n such that n successes in a row are as rare as alpha under p0."""
    return ceil(log(alpha * (1 - _MARGIN)) / log(p0))


def default_looks(p0s: FloatArray, alpha: float, beta: float, max_samples: int) -> IntArray:
    """Cumulative sample sizes that grow by a tenth, from the first at which a count can decide.

    Where the largest p0 leaves little room between the first sample size that can certify it and
    `max_samples`, the looks between them are closer, so that alpha can be spent. Returns int64 of
    shape (looks,), ending with `max_samples`.

    Source: Voráček (2024) looks at powers of 1.1.
    """
    latest = min(first_certifying(float(p0s[-1]), alpha), max_samples)
    certify = first_certifying(float(p0s[0]), alpha)
    give_up = first_certifying(1 - float(p0s[-1]), beta)
    looks = [max(1, min(certify, give_up, latest))]
    while looks[-1] < latest:
        looks.append(min(latest, ceil(looks[-1] * _GROWTH)))
    growth = min(_GROWTH, (max_samples / latest) ** (1 / _LAST_LOOKS))
    while looks[-1] < max_samples:
        looks.append(min(max_samples, ceil(looks[-1] * growth)))
    return np.array(looks, dtype=np.int64)


def _smallest(
    holds: Callable[[IntArray], npt.NDArray[np.bool_]], low: IntArray, high: IntArray
) -> IntArray:
    """Smallest integers in [low, high] from which on `holds` is true; `high` where it never is."""
    low, high = low.copy(), high.copy()
    while (low < high).any():
        middle = (low + high) // 2
        true = holds(middle) & (middle < high)
        high = np.where(true, middle, high)
        low = np.where(true | (low >= high), low, middle + 1)
    return high


def wealth(successes: IntArray, looks: IntArray, p: float) -> FloatArray:
    """Logarithm of the Krichevsky-Trofimov bettor's wealth against the success probability p.

    The wealth is B(k + 1/2, n - k + 1/2) / (B(1/2, 1/2) p^k (1 - p)^(n - k)): the likelihood
    ratio of the mixture of all probabilities under Jeffreys' prior. It is a martingale of mean 1
    under p. As a function of k it falls until k + 1/2 >= np and rises from there.

    Source: Krichevsky and Trofimov (1981); Voráček (2024), section 4.

    In the book: thm-ville.
    """
    k, rest = successes.astype(np.float64), (looks - successes).astype(np.float64)
    value: FloatArray = (
        special.betaln(k + 0.5, rest + 0.5) - log(np.pi) - k * log(p) - rest * log1p(-p)
    )
    return value


def likelihood_ratio(successes: IntArray, looks: IntArray, p: float) -> FloatArray:
    """Logarithm of the generalised likelihood ratio against p: n KL(k/n || p), natural units.

    Above the mean it is the largest log likelihood ratio that any larger probability reaches, so
    a further success raises it and a further failure lowers it. By Chernoff's bound it reaches c
    on one side at one look with probability exp(-c) at most.

    In the book: thm-wald.
    """
    k, rest = successes.astype(np.float64), (looks - successes).astype(np.float64)
    return np.asarray(
        special.xlogy(k, k / (looks * p)) + special.xlogy(rest, rest / (looks * (1 - p))),
        dtype=np.float64,
    )


def above_mean(statistic: Statistic, threshold: float) -> Boundary:
    """Counts above the mean at which `statistic` reaches `threshold`."""

    def boundary(looks: IntArray, p: float) -> IntArray:
        least = np.minimum(np.floor(looks * p).astype(np.int64), looks) + 1
        return _smallest(
            lambda k: statistic(np.minimum(k, looks), looks, p) >= threshold, least, looks + 1
        )

    return boundary


def clopper_pearson(levels: FloatArray) -> Boundary:
    """Counts whose Clopper-Pearson lower bound at `levels` (one per look) reaches p.

    That is P(Bin(n, p) >= k) <= level, with a relative margin for the rounding of the tail.
    """

    def boundary(looks: IntArray, p: float) -> IntArray:
        return _smallest(
            lambda k: special.betainc(k, looks - k + 1.0, p) <= levels * (1 - _MARGIN),
            np.ones_like(looks),
            looks + 1,
        )

    return boundary


def mirrored(boundary: Boundary, looks: IntArray, p: float) -> IntArray:
    """Largest counts at which to give up: so few successes that so many failures certify 1 - p."""
    return looks - boundary(looks, 1 - p)
