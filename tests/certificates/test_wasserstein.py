"""Accuracy under distribution shift against brute force, linear programmes, duals and 50 digits.

Random cases are seeded, and each claim holds in every one: nothing fails by chance.
"""

import itertools
import math
from decimal import Decimal
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special

from rs_lib.certificates import wasserstein
from rs_lib.statistics import average_certified_radius, certified_accuracy

F = Fraction
RADII = [0, 0, F(1, 4), F(1, 2), F(1, 2), F(3, 4), 1, 2]
KNOWN = [
    (F(1, 8), 1, F(7, 16)),
    (F(1, 2), 1, F(1, 16)),
    (F(1, 4), 2, F(13, 32)),
    (F(1, 2), 2, F(9, 64)),
    (F(9, 10), 2, 0),
    (F(1, 2), 3, F(27, 128)),
    (F(5, 8), 1, 0),
    (F(7, 8), 2, 0),
    (0, 5, F(3, 4)),
    (F(1, 2), math.inf, F(3, 8)),
]
radius = st.one_of(st.just(F(0)), st.fractions(0, 4, max_denominator=8), st.just(math.inf))
laws = st.lists(radius, min_size=1, max_size=7)
budget = st.fractions(0, 4, max_denominator=8)
orders = st.sampled_from([1, 2, 3, math.inf])


def _exactly(value):
    return mpmath.mpf(F(value).numerator) / F(value).denominator


@pytest.mark.parametrize(("delta", "order", "value"), KNOWN)
def test_known_values_come_out_as_fractions(delta, order, value):
    found = wasserstein.accuracy(RADII, delta, order)
    assert isinstance(found, Fraction)
    assert found == value
    # Dyadic floats are exact as well; other orders are beside them, and below.
    floats = wasserstein.accuracy([float(r) for r in RADII], float(F(delta)), order)
    assert isinstance(floats, float)
    assert F(floats) <= wasserstein.accuracy(RADII, F(float(F(delta))), order)
    assert floats == pytest.approx(float(value), abs=1e-15)


def _vertices(radii, weights, delta, order):
    """The least accuracy over all ways to move some inputs wholly and one in part."""
    costs = [r if r == math.inf else r**order for r in radii]
    total, least = sum(weights), F(1)
    for chosen in itertools.product((False, True), repeat=len(radii)):
        moved = [i for i, taken in enumerate(chosen) if taken]
        if any(costs[i] == math.inf for i in moved):
            continue
        left = delta**order * total - sum(weights[i] * costs[i] for i in moved)
        if left < 0:
            continue
        kept = sum(weights[i] for i in range(len(radii)) if i not in moved)
        parts = [
            min(left / costs[i], weights[i])
            for i in range(len(radii))
            if i not in moved and costs[i] != math.inf and costs[i] > 0
        ]
        least = min(least, (kept - max(parts, default=0)) / F(total))
    return least


@settings(max_examples=60, deadline=None)
@given(laws, budget, st.sampled_from([1, 2, 3]), st.integers(0, 2**16))
def test_it_is_the_best_of_all_vertices(radii, delta, order, seed):
    rng = np.random.default_rng(seed)
    weights = [F(int(w)) for w in rng.integers(1, 5, len(radii))]
    found = wasserstein.accuracy(radii, delta, order, weights)
    assert isinstance(found, Fraction)
    assert found == _vertices(radii, weights, delta, order)
    scaled = [w / 7 for w in weights]
    assert wasserstein.accuracy(radii, delta, order, scaled) == found


@settings(max_examples=60, deadline=None)
@given(laws, budget, st.sampled_from([1, 2, 3]))
def test_no_price_gives_more_and_one_gives_as_much(radii, delta, order):
    """The dual: it is piecewise linear in the price, with corners at 0 and 1 / r^p."""
    prices = [F(0)] + [1 / F(r) ** order for r in radii if 0 < r < math.inf]

    def dual(price):
        kept = sum(F(1) if r == math.inf else min(F(1), price * r**order) for r in radii)
        # An infinite radius costs more than any positive price leaves.
        kept -= sum(1 for r in radii if r == math.inf and price == 0)
        return kept / len(radii) - price * delta**order

    # At the price 0 infinite radii are kept in the limit of small prices.
    infinite = F(sum(r == math.inf for r in radii), len(radii))
    best = max([infinite] + [dual(price) for price in prices])
    assert wasserstein.accuracy(radii, delta, order) == best


def test_a_solver_of_linear_programmes_agrees():
    rng = np.random.default_rng(17)
    for _ in range(60):
        radii = rng.choice([0, 0.25, 0.5, 1, 1.5, 2, 3], rng.integers(1, 12))
        order, delta = rng.choice([1, 1.5, 2, 3, 4.25]), rng.uniform(0.05, 2)
        n = len(radii)
        solved = optimize.linprog(
            np.full(n, -1 / n),
            A_ub=(radii**order / n)[None],
            b_ub=[delta**order],
            bounds=(0, 1),
            method="highs",
        )
        # The solver's own tolerance is 1e-7 for each condition.
        found = wasserstein.accuracy(radii, delta, order)
        assert found == pytest.approx(1 + solved.fun, abs=1e-5)


@settings(max_examples=80, deadline=None)
@given(laws, budget, budget, orders, orders, st.integers(0, 6))
def test_it_is_monotone(radii, one, other, order, second, place):
    value = wasserstein.accuracy(radii, one, order)
    assert 0 <= value <= F(sum(r > 0 for r in radii), len(radii))
    if other >= one:
        assert wasserstein.accuracy(radii, other, order) <= value
    if second >= order:
        assert wasserstein.accuracy(radii, one, second) >= value
    longer = [r + F(1, 3) if i == place else r for i, r in enumerate(radii)]
    assert wasserstein.accuracy(longer, one, order) >= value
    (alone,) = wasserstein.curve(radii, [one], order)
    assert alone == value


def test_the_largest_order_is_certified_accuracy():
    rng = np.random.default_rng(3)
    radii = np.round(rng.exponential(1, 400), 2)
    right = rng.random(400) < 0.8
    counted = np.where(right, radii, 0)
    for delta in (0.0, 0.37, 1.0, 2.5):
        # The ball is closed: a radius that equals the budget is lost.
        share = certified_accuracy(radii, right, np.nextafter(delta, np.inf))
        found = wasserstein.accuracy(counted, delta, math.inf)
        assert share - 1e-15 < found <= share


@settings(max_examples=60, deadline=None)
@given(st.lists(st.fractions(0, 4, max_denominator=9), min_size=1, max_size=8))
def test_the_average_certified_radius_is_the_budget_of_death(radii):
    mean = sum(radii, F(0)) / len(radii)
    assert wasserstein.accuracy(radii, mean, 1) == 0
    if mean:
        assert wasserstein.accuracy(radii, mean * F(10**9 - 1, 10**9), 1) > 0
    floats = np.array([float(r) for r in radii])
    acr = average_certified_radius(floats, np.ones(len(radii)))
    assert wasserstein.accuracy(floats, acr * (1 + 1e-15) + 1e-300, 1) == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 1e3) | st.floats(1e-200, 1e-180) | st.floats(1e100, 1e150), max_size=6),
    st.floats(0, 1e3) | st.floats(1e-200, 1e-180) | st.floats(1e100, 1e150),
    st.floats(1, 40),
)
def test_floats_of_any_size_never_exceed_the_exact_value(radii, delta, order):
    radii = [*radii, 1.0, 3.0]
    found = wasserstein.accuracy(radii, delta, order)
    with mpmath.workdps(60):
        costs = sorted(mpmath.mpf(r) ** mpmath.mpf(order) for r in radii)
        left, kept = mpmath.mpf(delta) ** mpmath.mpf(order) * len(radii), mpmath.mpf(len(radii))
        for cost in costs:
            part = mpmath.mpf(1) if cost <= left else left / cost
            kept, left = kept - part, left - part * cost
        exact = kept / len(radii)
        assert _exactly(found) <= exact + mpmath.mpf(10) ** -50
        if min(r for r in [*radii, delta] if r) > 1e-4:
            assert found >= float(exact) - 1e-9
        if delta == 0:
            assert found >= float(exact) - 1e-15


def test_numbers_of_every_kind_count_as_exact():
    third = F(1, 3)
    decimal = wasserstein.accuracy([Decimal("0.1"), Decimal("0.3")], Decimal("0.05"), 1)
    assert decimal == 0.5
    assert isinstance(decimal, float)
    assert wasserstein.accuracy([third, 1], third / 2, 1) == F(1, 2)
    longs = np.array([1, 3], dtype=np.longdouble) / 10
    assert wasserstein.accuracy(longs, 0.05, 1) <= 0.5
    assert wasserstein.accuracy(np.array([1, 3]), 1, 1) == F(1, 3)
    assert wasserstein.accuracy(np.float32([0.5, 1]), 0.25, 1) == 0.5


def test_infinite_radii_stay():
    assert wasserstein.accuracy([math.inf, 1, F(0)], 100, 2) == F(1, 3)
    assert wasserstein.accuracy([math.inf, 1], 10**6, math.inf) == F(1, 2)
    assert wasserstein.accuracy([math.inf], 5.0, 1.5) == 1
    assert wasserstein.population([math.inf] * 100, 1.0, 1, 0.01) == pytest.approx(
        1 - math.sqrt(math.log(100) / 200), abs=1e-12
    )


def test_curves_have_the_shape_and_kind_of_their_budgets():
    grid = np.linspace(0, 2, 12).reshape(3, 4)
    floats = [float(r) for r in RADII]
    for order in (1, 2, 2.5, math.inf):
        made = wasserstein.curve(floats, grid, order)
        assert made.dtype == np.float64
        assert made.shape == grid.shape
        each = [wasserstein.accuracy(floats, d, order) for d in grid.flat]
        # Other orders share one unit of costs, so that the last digit may differ.
        assert made.ravel() == pytest.approx(each, abs=1e-13)
    exact = wasserstein.curve(RADII, [0, F(1, 2)], 1)
    assert exact.tolist() == [F(3, 4), F(1, 16)]
    assert all(isinstance(value, Fraction) for value in exact)


def test_the_population_bound_holds_for_the_lowered_law():
    radii = np.sort(np.random.default_rng(5).exponential(1, 500))
    eps = math.sqrt(math.log(1000) / 1000)
    for order in (1, 2, math.inf):
        for delta in (0.0, 0.1, 0.4):
            lost = math.ceil(500 * (eps + 0.001))
            cut = np.where(np.arange(500) >= 500 - lost, 0, radii)
            more = np.where(np.arange(500) >= 500 - lost + 1, 0, radii)
            found = wasserstein.population(radii, delta, order, 0.001, 0.001)
            low, high = (wasserstein.accuracy(each, delta, order) for each in (cut, more))
            assert low <= found <= high
    assert wasserstein.population([1.0, 2.0], 0.0, 1, 0.01) == 0


def test_the_population_bound_errs_as_rarely_as_it_says():
    """2,000 draws at level 0.2: more than 485 misses have probability below 1e-6."""
    rng, misses = np.random.default_rng(6), 0
    truth = [wasserstein.accuracy([0, 0.5, 1, 2], d, 1, [1, 2, 3, 2]) for d in (0.0, 0.3)]
    for _ in range(2_000):
        sample = rng.choice([0, 0.5, 1, 2], 60, p=np.array([1, 2, 3, 2]) / 8)
        found = [wasserstein.population(sample, d, 1, 0.2) for d in (0.0, 0.3)]
        misses += any(bound > value for bound, value in zip(found, truth, strict=True))
    assert misses <= 485


def _least_moves(z, price, order):
    """The least Phi(z - u) + price u^p and u^p: each dip on a fine grid, followed to 40 digits."""

    def slope(u):
        return price * order * u ** (order - 1) - mpmath.npdf(z - u)

    grid = np.linspace(1e-6, 12, 3_001)
    with np.errstate(over="ignore"):
        rough = special.ndtr(float(z) - grid) + float(price) * grid ** float(order)
    dips = np.flatnonzero((rough[1:-1] <= rough[:-2]) & (rough[1:-1] <= rough[2:])) + 1
    ends = [(mpmath.ncdf(z), mpmath.mpf(0))]
    for k in dips:
        u = mpmath.findroot(slope, (grid[k - 1], grid[k + 1]), solver="anderson", tol=1e-60)
        ends.append((mpmath.ncdf(z - u) + price * u**order, u**order))
    return min(ends)


def _dual_to_forty_digits(levels, order, steps):
    with mpmath.workdps(40):
        a = [mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1) for p in levels]
        order = mpmath.mpf(order)

        budget, values = mpmath.mpf(steps) ** order, []
        low, high = mpmath.mpf(-6), mpmath.mpf(3)
        for _ in range(64):
            price = mpmath.exp((low + high) / 2)
            kept, moved = zip(*(_least_moves(z, price, order) for z in a), strict=True)
            values.append(sum(kept) / len(a) - price * budget)
            # The dual is concave in the price, and this is the sign of its slope.
            more = sum(moved) / len(a) > budget
            low, high = ((low + high) / 2, high) if more else (low, (low + high) / 2)
        return max(values)


@pytest.mark.parametrize(
    ("levels", "order", "steps"),
    [([0.9], 1, 0.25), ([0.2, 0.7, 0.995], 1, 0.4), ([0.6, 0.999], 2, 0.5), ([0.99], 1.5, 0.3)],
)
def test_one_vote_against_forty_digits(levels, order, steps):
    found = wasserstein.random_vote(levels, steps, order, 1.0)
    exact = _dual_to_forty_digits(levels, order, steps)
    assert _exactly(found) <= exact + mpmath.mpf(10) ** -15
    assert found == pytest.approx(float(exact), rel=1e-12)


def test_one_vote_in_closed_form():
    assert wasserstein.random_vote([0.9], 0.25, 1, 1.0) == pytest.approx(0.816857453779797, 1e-13)
    assert wasserstein.random_vote([0.9], 0.125, 1, 0.5) == pytest.approx(0.816857453779797, 1e-13)
    known = (0.881308159304, 0.848858880014, 0.782760919573)
    known += (0.610856308355, 0.413539865694, 0.236240415894)
    a = special.ndtri(0.9)
    for delta, value in zip((0.1, 0.25, 0.5, 1.0, 1.5, 2.0), known, strict=True):
        for order in (2, math.inf):
            found = wasserstein.random_vote([0.9], delta, order, 1.0)
            assert found == pytest.approx(value, abs=1e-12)
            with mpmath.workdps(40):
                z = mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(0.9) - 1)
                assert _exactly(found) <= mpmath.ncdf(z - mpmath.mpf(delta))
    # Beyond a = 2 sqrt(p - 1) moving all alike is not the worst.
    for a, order, alike in ((1.99, 2, True), (2.5, 2, False), (2.8, 3, True), (0.1, 1, False)):
        delta = 1.0 if order > 1 else 0.05
        found = wasserstein.random_vote([special.ndtr(a)], delta, order, 1.0)
        assert (found > special.ndtr(a - delta) - 1e-12) == alike


def test_one_vote_is_bounded_by_what_every_classifier_keeps():
    """No image's probability falls by more than 2 Phi(u / 2 sigma) - 1, and that is concave."""
    rng = np.random.default_rng(8)
    for _ in range(20):
        p = rng.uniform(0, 1, rng.integers(1, 30))
        delta, sigma = rng.uniform(0.01, 1), rng.uniform(0.2, 1)
        universal = p.mean() - (2 * special.ndtr(delta / (2 * sigma)) - 1)
        orders = (1, 1.5, 2, 4, 40, 1_000, math.inf)
        values = [wasserstein.random_vote(p, delta, q, sigma) for q in orders]
        assert values[0] >= universal - 1e-12
        assert (np.diff(values) >= -1e-10).all()
        assert values[-1] <= p.mean()


def test_one_vote_at_the_ends():
    assert wasserstein.random_vote([1.0, 1.0], 3.0, 1, 0.5) == 1
    assert wasserstein.random_vote([0.0, 1.0], 3.0, 2, 0.5) == pytest.approx(0.5)
    assert wasserstein.random_vote([0.25, 0.5], 0, 2, 0.5) == pytest.approx(0.375)
    assert wasserstein.random_vote([0.25, 0.5], 1e200, 1, 0.5) == 0
    assert wasserstein.random_vote([0.9], 1e-200, 2, 0.5) == pytest.approx(0.9, abs=1e-12)
    assert wasserstein.random_vote([math.nextafter(1, 0)] * 3, 0, 2, 0.5) <= math.nextafter(1, 0)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: wasserstein.accuracy([1, math.nan], 1, 1), "radii holds NaN: give real numbers"),
        (lambda: wasserstein.accuracy([1, -0.5], 1, 1), r"radii is -0\.5: give numbers that are"),
        (lambda: wasserstein.accuracy([], 1, 1), r"radii has shape \(0,\): give one radius"),
        (lambda: wasserstein.accuracy([[1]], 1, 1), r"radii has shape \(1, 1\): give one"),
        (lambda: wasserstein.accuracy(["1"], 1, 1), "radii is .*: give real numbers"),
        (lambda: wasserstein.accuracy([1], -1, 1), "budget is -1: give numbers that are not neg"),
        (lambda: wasserstein.accuracy([1], math.nan, 1), "budget holds NaN"),
        (lambda: wasserstein.accuracy([1], math.inf, 1), "budget holds an infinite number: give"),
        (lambda: wasserstein.accuracy([1], [1], 1), r"budget is \[1\]: give one number"),
        (lambda: wasserstein.curve([1], [1, -1], 1), "budgets is -1: give numbers that are not"),
        (lambda: wasserstein.accuracy([1], 1, 0.5), r"order is 0\.5: give a number from 1 to 1000"),
        (lambda: wasserstein.accuracy([1], 1, 1001), "order is 1001: give a number from 1 to 1000"),
        (lambda: wasserstein.accuracy([1], 1, math.nan), "order holds NaN"),
        (lambda: wasserstein.accuracy([1], 1, 1, [0]), "weights is all zero: give a positive"),
        (lambda: wasserstein.accuracy([1], 1, 1, [-1]), "weights is -1: give numbers that are not"),
        (lambda: wasserstein.accuracy([1], 1, 1, [1, 2]), r"weights has shape \(2,\), radii \(1,"),
        (lambda: wasserstein.accuracy([1], 1, 1, [math.inf]), "weights holds an infinite number"),
        (lambda: wasserstein.population([1], 1, 1, 0.6), r"alpha is 0\.6: give a level of at most"),
        (lambda: wasserstein.population([1], 1, 1, 0), "alpha is 0: give a level strictly"),
        (lambda: wasserstein.population([1], 1, 1, 0.1, 2), "radius_alpha is 2: give probab"),
        (lambda: wasserstein.random_vote([1.5], 1, 1, 1), r"p is 1\.5: give probabilities"),
        (lambda: wasserstein.random_vote(0.5, 1, 1, 1), r"p has shape \(\): give one probability"),
        (lambda: wasserstein.random_vote([0.5], 1, 1, 0), "sigma is 0: give a positive finite"),
        (lambda: wasserstein.random_vote([0.5], -1, 1, 1), "budget is -1: give a finite number"),
        (lambda: wasserstein.random_vote([0.5], 1, 0, 1), "order is 0: give a number from 1"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(call, told):
    with pytest.raises(ValueError, match=told) as caught:
        call()
    assert "\n" not in str(caught.value)
