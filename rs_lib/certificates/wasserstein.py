"""Accuracy under distribution shift: what radii of single inputs say of every law nearby.

The test law P moves to any Q with W_p(P, Q) <= delta, where a unit of mass that goes from x to x'
costs ||x - x'||^p and its label goes with it. Let r be the distance from an input to the nearest
one that gets another answer than its label, 0 where the answer is wrong already. Mass that moves
and is wrong there has paid r^p at least, and the cheapest mass first is what harms most:

    least accuracy = 1 - max { E m : 0 <= m <= 1, E m r^p <= delta^p }
                   = sup over lambda >= 0 of E min(1, lambda r^p) - lambda delta^p,

a fractional knapsack, solved by sorting. With certified radii R <= r in place of r it is a lower
bound, and no larger one follows from R. For p = inf it is P(r > delta).

Source: ours; the question is that of Bai, He, Jiang and Obłój (2023).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray
from rs_lib.certificates.transported_votes import kept_votes

MOST_EXACT_ORDER = 16
"""Whole orders up to this one are computed in fractions."""

MOST_ORDER = 1_000
"""Largest order that is finite."""

_INFINITE = None
"""Stands for the cost of an input that cannot be made wrong."""

# NumPy's power errs by a few units of 2^-53; quotients below are exact, being by powers of two.
_POWER = 2.0**-48
_TINY = 1e-300
_LARGEST = float(np.finfo(np.float64).max)


class _Law(NamedTuple):
    """Radii, infinite ones as `_INFINITE`, with their weights, whose sum need not be 1."""

    radii: list[Fraction | None]
    weights: list[Fraction]


class _Costs(NamedTuple):
    """What is to be moved, cheapest first, in whole units.

    After j of the finite costs the mass `moved[j]` has been moved for `spent[j]`; `total` is the
    mass of all, and `unit` of it times a budget in units of costs is the money there is.
    """

    costs: list[int]
    moved: list[int]
    spent: list[int]
    total: int


def accuracy(
    radii: npt.ArrayLike,
    budget: Any,
    order: Any,
    weights: npt.ArrayLike | None = None,
) -> Fraction | float:
    """Least accuracy over all laws within W_p distance `budget` of the test law.

    `radii` [images] holds certified radii, 0 where the answer is wrong or withheld, infinite where
    nothing changes it; `budget` >= 0 is in their unit; `order` p is from 1 to `MOST_ORDER`, or inf.
    `weights` [images], equal ones if None, are divided by their sum. The ball is closed, and so is
    the set of inputs that get another answer: at p = inf the result is the weight of the radii
    above the budget. It is 0 exactly from the budget (E R^p)^(1/p) on, for p = 1 the average
    certified radius. Numbers of any kind count as exact. If all finite ones are fractions or
    whole, and p is whole, at most `MOST_EXACT_ORDER`, or inf, the result is the exact Fraction;
    else it is a float, rounded down.

    Raises ValueError for radii that are negative, NaN or of another shape, a budget that is
    negative, infinite or no single number, an order below 1, or weights that are negative,
    infinite, all zero, or not as many as the radii.

    Source: ours. In the book: thm-ds-knapsack, thm-ds-certificate, prop-ds-acr.
    """
    law = _law(radii, weights)
    given = [radii, budget] if weights is None else [radii, budget, weights]
    (least,) = _least(law, _budgets(budget, scalar=True).flat, order, exact=_rational(given))
    return least


def curve(
    radii: npt.ArrayLike, budgets: npt.ArrayLike, order: Any
) -> FloatArray | npt.NDArray[np.object_]:
    """Least accuracy at each of `budgets`, as `accuracy` gives it for one, sorting once.

    Returns the shape of `budgets`: float64, or Fractions where `accuracy` would return them.
    Arguments and errors: as for `accuracy`.

    Source: ours. In the book: thm-ds-knapsack.
    """
    law, asked = _law(radii, None), _budgets(budgets, scalar=False)
    exact = _rational([radii, budgets])
    made = _least(law, asked.flat, order, exact=exact)
    kind = object if any(isinstance(value, Fraction) for value in made) else np.float64
    result = np.empty(asked.shape, dtype=kind)
    result.reshape(-1)[:] = made
    return result


def population(
    radii: npt.ArrayLike, budget: Any, order: Any, alpha: Any, radius_alpha: Any = 0.0
) -> float:
    """Lower confidence bound of the least accuracy around the law that the test images are from.

    `radii` [images] are those of independent images; each may be wrong with probability
    `radius_alpha` < 1. The bound holds with probability 1 - `alpha`, alpha <= 1/2, for all budgets
    and orders together: the distribution function of the true distances is nowhere more than
    sqrt(log(1/alpha) / 2n) + radius_alpha above that of the radii, so that much of the mass with
    the largest radii counts as wrong. Rounded down. Other arguments and errors: as for `accuracy`.

    Source: ours, with the constant of Massart (1990). In the book: prop-ds-population.
    """
    law = _law(radii, None)
    level = arguments.single("alpha", arguments.level("alpha", alpha))
    if level > 0.5:
        raise ValueError(f"alpha is {arguments.shown(alpha)}: give a level of at most 0.5")
    each = arguments.probabilities("radius_alpha", radius_alpha, rounding="up")
    images = len(law.radii)
    width = math.sqrt(-math.log(level) / (2 * images)) * (1 + _POWER)
    lost = Fraction(width) + Fraction(arguments.single("radius_alpha", each))
    lowered = _largest_lost(law, min(lost, Fraction(1)))
    (least,) = _least(lowered, _budgets(budget, scalar=True).flat, order, exact=False)
    return float(least)


def random_vote(p: npt.ArrayLike, budget: Any, order: Any, sigma: Any) -> float:
    """Least accuracy within W_p distance `budget` if one noisy vote answers, not the majority.

    `p` [images] holds the probability that the base classifier gives the label under
    N(0, sigma^2 I), or lower bounds; `budget` is an l2 distance in the unit of sigma, `order` as
    for `accuracy`. An image that moves by u keeps Phi(Phi^-1(p) - u / sigma), so the result is

        sup over lambda >= 0 of E min over u of [Phi(Phi^-1(p) - u / sigma) + lambda u^p]
        - lambda budget^p,

    for p = inf E Phi(Phi^-1(p) - budget / sigma). A half-space whose mass may split attains it.
    Rounded down: every lambda gives a lower bound, and we take that of the best one found.

    Raises ValueError for p outside [0, 1] or no list, a budget that is negative or infinite, an
    order below 1 or above `MOST_ORDER` but finite, or sigma not positive.

    Source: ours. In the book: thm-ds-vote.
    """
    shares = arguments.probabilities("p", p, rounding="down")
    if shares.ndim != 1 or shares.size == 0:
        raise ValueError(f"p has shape {shares.shape}: give one probability per image")
    reach = arguments.single("budget", arguments.nonnegative("budget", budget, rounding="up"))
    scale = arguments.single("sigma", arguments.positive("sigma", sigma, rounding="down"))
    with np.errstate(over="ignore"):
        steps = math.nextafter(float(np.float64(reach) / scale), math.inf) if reach else 0.0
    return kept_votes(shares, steps, float(require_order(order)))


def _rational(given: list[Any]) -> bool:
    """Whether all finite numbers in these arguments are whole or Fractions."""
    entries = [
        entry for each in given for entry in arguments.reals("radii", each).astype(object).flat
    ]
    return all(isinstance(entry, int | Fraction) or entry == math.inf for entry in entries)


def _fractions(name: str, value: npt.ArrayLike) -> list[Fraction | None]:
    """Return numbers of at least 0 as they are, infinite ones as `_INFINITE`."""
    array = arguments.reals(name, value)
    bad = np.asarray(array < 0, dtype=np.bool_)
    if bad.any():
        raise ValueError(
            f"{name} is {arguments.shown(array[bad].flat[0])}: give numbers that are not negative"
        )
    if array.dtype == np.float64:
        return [Fraction(x) if math.isfinite(x) else _INFINITE for x in array.ravel().tolist()]
    return [
        _INFINITE if entry == math.inf else arguments.as_fraction(name, entry)
        for entry in array.astype(object).flat
    ]


def _law(radii: npt.ArrayLike, weights: npt.ArrayLike | None) -> _Law:
    shape = arguments.reals("radii", radii).shape
    if len(shape) != 1 or shape[0] == 0:
        raise ValueError(f"radii has shape {shape}: give one radius per image")
    known = _fractions("radii", radii)
    if weights is None:
        return _Law(known, [Fraction(1)] * len(known))
    if arguments.reals("weights", weights).shape != shape:
        given = arguments.reals("weights", weights).shape
        raise ValueError(f"weights has shape {given}, radii {shape}: give one weight per radius")
    masses = [mass for mass in _fractions("weights", weights) if mass is not None]
    if len(masses) < len(known):
        raise ValueError("weights holds an infinite number: give finite weights")
    if not any(masses):
        raise ValueError("weights is all zero: give a positive weight to some image")
    return _Law(known, masses)


def _budgets(value: npt.ArrayLike, *, scalar: bool) -> npt.NDArray[np.object_]:
    name = "budget" if scalar else "budgets"
    shape = arguments.reals(name, value).shape
    if scalar and shape:
        raise ValueError(f"budget is {arguments.shown(value)}: give one number")
    found = _fractions(name, value)
    if any(entry is _INFINITE for entry in found):
        raise ValueError(f"{name} holds an infinite number: give finite budgets")
    result = np.empty(shape, dtype=object)
    result.reshape(-1)[:] = found
    return result


def require_order(order: Any) -> int | float:
    """Return the order, an int where `accuracy` is exact, else a float; rounded down, to be safe.

    Raises ValueError for NaN, a list, an order below 1, or above `MOST_ORDER` but finite.
    """
    value = arguments.single("order", arguments.numbers("order", order, rounding="down"))
    if not (1 <= value <= MOST_ORDER or value == math.inf):
        raise ValueError(
            f"order is {arguments.shown(order)}: give a number from 1 to {MOST_ORDER}, or inf"
        )
    return int(value) if value.is_integer() and value <= MOST_EXACT_ORDER else value


def _largest_lost(law: _Law, share: Fraction) -> _Law:
    """Return the law with this share of the mass, that of the largest radii, at radius 0."""
    order = sorted(range(len(law.radii)), key=lambda i: _height(law.radii[i]), reverse=True)
    weights, left = list(law.weights), share * sum(law.weights)
    lost = left
    for i in order:
        taken = min(weights[i], left)
        weights[i] -= taken
        left -= taken
        if not left:
            break
    return _Law([*law.radii, Fraction(0)], [*weights, lost])


def _height(radius: Fraction | None) -> tuple[bool, Fraction]:
    return radius is _INFINITE, radius or Fraction(0)


def _least(law: _Law, budgets: Any, order: Any, *, exact: bool) -> list[Fraction | float]:
    """Return the least accuracy at each budget: Fractions if `exact` and the order allows it."""
    p, asked = require_order(order), list(budgets)
    whole = isinstance(p, int) or p == math.inf
    finish: Callable[[int, int], Fraction | float] = Fraction if exact and whole else _down
    # Without money only what is wrong already is lost, whatever the order.
    if p == math.inf or not any(asked):
        radii, funds = law.radii, asked
    elif isinstance(p, int):
        radii = [None if r is None else r**p for r in law.radii]
        funds = [budget**p for budget in asked]
    else:
        radii, funds = _powers(law.radii, asked, p)
    unit = math.lcm(*{number.denominator for number in [*radii, *funds] if number is not None})
    ready = _sorted(_Law(radii, law.weights), unit)
    found = []
    for budget, fund in zip(asked, funds, strict=True):
        part = _above if p == math.inf or not budget else _kept
        found.append(finish(*part(ready, fund, unit)))
    return found


def _above(ready: _Costs, fund: Fraction, unit: int) -> tuple[int, int]:
    """Return the weight of the costs above a fund, and that of all, as whole numbers."""
    lost = bisect_right(ready.costs, fund.numerator * (unit // fund.denominator))
    return ready.total - ready.moved[lost], ready.total


def _powers(
    radii: list[Fraction | None], budgets: list[Fraction], order: float
) -> tuple[list[Fraction | None], list[Fraction]]:
    """Return costs from below and budgets from above, in one unit: near the largest budget's.

    What is far from that budget goes to 0 or to the largest float, on the safe side.
    """
    known = np.array([r for r in radii if r is not None], dtype=object)
    finite = arguments.numbers("radii", known, rounding="down")
    reach = arguments.numbers("budget", np.array(budgets, dtype=object), rounding="up")
    shift = -math.frexp(float(reach.max()))[1]
    with np.errstate(over="ignore", under="ignore"):
        near, far = np.ldexp(finite, shift), np.ldexp(reach, shift)
        low = np.where(near < _TINY, 0.0, near) ** order * (1 - _POWER)
        high = np.maximum(far, _TINY) ** order * (1 + _POWER)
    low = np.minimum(np.nextafter(low, 0.0), _LARGEST)
    costs = iter(low.tolist())
    return (
        [None if r is None else Fraction(next(costs)) for r in radii],
        [Fraction(fund) for fund in np.nextafter(high, np.inf).tolist()],
    )


def _sorted(law: _Law, unit: int) -> _Costs:
    scale = math.lcm(*{mass.denominator for mass in law.weights})
    masses = [int(mass * scale) for mass in law.weights]
    pairs = sorted(
        (cost.numerator * (unit // cost.denominator), mass)
        for cost, mass in zip(law.radii, masses, strict=True)
        if cost is not None
    )
    return _Costs(
        [cost for cost, _ in pairs],
        list(accumulate((mass for _, mass in pairs), initial=0)),
        list(accumulate((cost * mass for cost, mass in pairs), initial=0)),
        sum(masses),
    )


def _kept(ready: _Costs, fund: Fraction, unit: int) -> tuple[int, int]:
    """Return the accuracy that this budget leaves, as numerator and denominator."""
    whole = len(ready.costs)
    money = fund.numerator * (unit // fund.denominator) * ready.total
    moved = bisect_right(ready.spent, money) - 1
    if moved == whole:
        return ready.total - ready.moved[whole], ready.total
    cost, left = ready.costs[moved], money - ready.spent[moved]
    return (ready.total - ready.moved[moved]) * cost - left, ready.total * cost


def _down(numerator: int, denominator: int) -> float:
    """Return the largest float that is not above a quotient in [0, 1]."""
    nearest = numerator / denominator
    above = Fraction(nearest) > Fraction(numerator, denominator)
    return math.nextafter(nearest, 0.0) if above else nearest
