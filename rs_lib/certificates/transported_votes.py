"""What noisy votes keep while the law of the images moves: the numbers behind `random_vote`.

For one image with a = Phi^-1(p) and a price lambda, in units of sigma, the least of
h(u) = Phi(a - u) + lambda u^p over u >= 0 is wanted. With t = log u its derivative is negative
exactly where psi(t) = (e^t - a)^2 / 2 + (p - 1) t is below kappa = -log(lambda p sqrt(2 pi)). psi
rises, except between the roots of u^2 - a u + (p - 1) where they are real and positive. So h has at
most two minima, one on each rising branch, and bisection finds both.
"""

import math

import numpy as np
from scipy import special

from rs_lib.arguments import FloatArray
from rs_lib.certificates.sorted_scores import (
    QUANTILE_ERROR,
    TAIL_ERROR,
    TAIL_ERROR_PER_SQUARE,
    TINY,
)

_LOG_ROOT = 0.5 * math.log(2 * math.pi)
_LEAST_LOG = -800.0
"""The logarithm of a distance at which nothing has been lost yet."""

_REACH = 750.0
"""How far the logarithm of the price may be from where the budget costs 1, and 10 an order more."""

_ROUNDS = 64
_ULP = 2.0**-52


def kept_votes(shares: FloatArray, steps: float, order: float) -> float:
    """Lower bound of the least mean vote for probabilities [images], `steps` the budget / sigma."""
    levels, counts = np.unique(shares, return_counts=True)
    sure, images = float(counts[levels == 1].sum()), float(shares.size)
    if sure == images:
        return 1.0
    between = (levels > 0) & (levels < 1)
    mass, a = counts[between].astype(float), special.ndtri(levels[between])
    a -= QUANTILE_ERROR * np.abs(a)
    kept = sure
    if steps == 0:
        kept = math.fsum(levels * counts)
    elif order == math.inf and math.isfinite(steps):
        kept += math.fsum(mass * _tail(a - steps - 4 * _ULP * (np.abs(a) + steps)))
    elif a.size and math.isfinite(steps):
        kept += _best(a, mass, order, steps, images)
    return max(math.nextafter(kept * (1 - 4 * _ULP) / images, 0.0), 0.0)


def _best(a: FloatArray, mass: FloatArray, order: float, steps: float, images: float) -> float:
    """Lower bound of what is kept less what the budget pays for, at the best price found.

    The dual function is concave in the price, and its slope is what the cheapest moves cost less
    the budget: bisection on its sign. Every price tried gives a lower bound.
    """
    middle, reach, found = -order * math.log(steps), _REACH + 10 * order, 0.0
    low, high, budget = middle - reach, middle + reach, math.log(images) - middle
    for _ in range(_ROUNDS):
        price = (low + high) / 2
        t, kept = _cheapest(a, price, order)
        error = float(_relative(price, order, math.log(steps)))
        paid = math.exp(min(price + budget, 700.0)) * (1 + error + 8 * _ULP)
        found = max(found, math.fsum(mass * kept) * (1 - _ULP) - paid)
        if special.logsumexp(order * t, b=mass) > budget:
            low = price
        else:
            high = price
    return found


def _relative(price: float, order: float, t: FloatArray | float) -> FloatArray:
    """Relative error of exp(price + order t), generously."""
    return np.asarray(4 * _ULP * (abs(price) + order * np.abs(t) + 4))


def _tail(place: FloatArray) -> FloatArray:
    """Phi, rounded down."""
    low = special.ndtr(place) * (1 - TAIL_ERROR - TAIL_ERROR_PER_SQUARE * place**2)
    return np.where(low > TINY, low, 0.0)


def _cheapest(a: FloatArray, price: float, order: float) -> tuple[FloatArray, FloatArray]:
    """Return log u of the least h(u) for each a, and a lower bound of that least value."""
    kappa = -(price + math.log(order) + _LOG_ROOT)
    end = np.log(np.maximum(1.0, np.maximum(a, 0.0) + math.sqrt(2 * max(kappa, 0.0))) + 1.0)
    root = np.sqrt(np.maximum(a**2 - 4 * (order - 1), 0.0))
    two = (a > 0) & (root > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(two, np.log(np.maximum((a - root) / 2, 0.0)), end)
        second = np.where(two, np.log((a + root) / 2), end)
    first = np.clip(first, _LEAST_LOG, end)
    near = _crossing(a, kappa, order, np.full_like(a, _LEAST_LOG), first)
    far = _crossing(a, kappa, order, np.minimum(second, end), end)
    values = [_value(a, price, order, t) for t in (near, far)]
    better = values[1] < values[0]
    return np.where(better, far, near), np.minimum(*values)


def _crossing(
    a: FloatArray, kappa: float, order: float, low: FloatArray, high: FloatArray
) -> FloatArray:
    """Return where psi, which rises from `low` to `high`, crosses kappa; the nearer end if not."""
    for _ in range(_ROUNDS):
        t = (low + high) / 2
        below = (np.exp(t) - a) ** 2 / 2 + (order - 1) * t < kappa
        low, high = np.where(below, t, low), np.where(below, high, t)
    return low


def _value(a: FloatArray, price: float, order: float, t: FloatArray) -> FloatArray:
    """Lower bound of h near its least value at log u = t.

    h is flat there: an error of a few units in the last place of u changes it by less than the
    slack. Not to move at all is a choice, too.
    """
    place = a - np.exp(t)
    fee = np.exp(np.minimum(price + order * t, 700.0)) * (1 - _relative(price, order, t))
    moved = _tail(place - 4 * _ULP * (np.abs(a) + np.exp(t))) + np.maximum(fee, 0.0)
    return np.minimum(moved * (1 - 8 * _ULP), _tail(a))
