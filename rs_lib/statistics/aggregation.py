"""How far faulty workers can move an average that is meant to resist them: exact constants.

Of n workers, f send anything. A rule answers with one vector; let m and V be the mean of the other
n - f vectors and their mean squared distance from m. The constant kappa of a rule is the least with
|answer - m|^2 <= kappa V for all vectors, whichever f of them are faulty: the (f, kappa)-robustness
of Allouah, Farhadkhani, Guerraoui, Gupta, Pinot and Stephan (2023). The values are derived in the
chapter on faulty workers.
"""

import math
from fractions import Fraction

from rs_lib import arguments

RULES = ("trimmed mean", "median", "lower median", "geometric median")
"""The rules whose constant is known exactly."""


def constant(rule: str, workers: int, faulty: int) -> Fraction:
    """Return kappa of `rule` for `faulty` among `workers`, which holds in every dimension.

    "trimmed mean": without the f largest and f smallest values of each coordinate; no rule has a
    smaller constant. "median": of each coordinate, midway between the two in the middle; "lower
    median": the smaller of these two. "geometric median": the point with the least sum of
    distances. Each is attained, or approached as closely as one likes: the last, for an even number
    of workers, from two dimensions on. The value is a Fraction.

    Raises ValueError for another rule, or unless 2 faulty < workers.

    In the book: prop-fw-least, thm-fw-trimmed, prop-fw-medians, thm-fw-geometric.
    """
    arguments.one_of("rule", rule, RULES)
    n, f = _checked(workers, faulty)
    if rule == "trimmed mean":
        return Fraction(f, n - 2 * f)
    if rule == "geometric median":
        return Fraction(n // 2, (n + 1) // 2 - f)
    if n % 2:
        return Fraction(n - 1, n + 1 - 2 * f)
    if rule == "lower median":
        return Fraction(n, n - 2 * f)
    return Fraction(n - 2, n + 2 - 2 * f)


def krum_limit(workers: int, faulty: int) -> float:
    """Return how far Krum follows colluders among Gaussian workers of many dimensions.

    The others are independent N(g, sigma^2 I_d), the `faulty` ones all send one point at the
    distance lambda from the others' mean. As d grows Krum answers with it up to
    lambda = sigma sqrt(d) sqrt((n - 3)/(n - 2f - 1) + 1/(n - f)), and the value returned is
    lambda/(sigma sqrt(d)), to nearest. Raises ValueError unless faulty >= 1 and
    workers >= 2 faulty + 3, which Krum needs.

    In the book: prop-fw-far.
    """
    f = arguments.integer("faulty", faulty, least=1)
    n = arguments.integer("workers", workers, least=1)
    if n < 2 * f + 3:
        raise ValueError(f"workers is {n} with faulty = {f}: give at least {2 * f + 3}, for Krum")
    return math.sqrt(Fraction(n - 3, n - 2 * f - 1) + Fraction(1, n - f))


def _checked(workers: int, faulty: int) -> tuple[int, int]:
    n = arguments.integer("workers", workers, least=1)
    f = arguments.integer("faulty", faulty)
    if 2 * f >= n:
        raise ValueError(f"faulty is {f} of {n} workers: give fewer than half of them")
    return n, f
