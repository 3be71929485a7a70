"""A hundred thousand bounds at the levels where rounding would show; randomised bounds."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from flint import arb, ctx

from rs_lib.certificates import gaussian
from rs_lib.statistics import (
    clopper_pearson_lower,
    clopper_pearson_upper,
    randomized_clopper_pearson_lower,
)


def _levels(n, p):
    """Floats just below P(Bin(n, p) >= k) for k = 0 .. n: the levels whose exact bound is p."""
    point = arb(p)
    odds, mass, tail, levels = (1 - point) / point, point**n, arb(0), []
    for k in range(n, -1, -1):
        tail += mass
        # Eight units lie far outside the ball, and move the exact bound below p.
        levels.append(float(tail) * (1 - 2.0**-50))
        mass *= odds * k / (n - k + 1)
    return np.array(levels[::-1])


def test_a_hundred_thousand_bounds_and_radii_stay_below_their_exact_values():
    """Tails of many k at one p take one recursion; then p is the exact bound at that tail."""
    rng = np.random.default_rng(0)
    checked = 0
    with ctx.workprec(128):
        while checked < 100_000:
            n = int(10 ** rng.uniform(0.5, 4.3))
            p = float(rng.choice([rng.uniform(), 1 - 10 ** rng.uniform(-4, -0.3)]))
            levels = _levels(n, p)
            k = np.flatnonzero((levels > 1e-60) & (levels < 1) & (np.arange(n + 1) > 0))
            low = clopper_pearson_lower(k, n, levels[k])
            assert (low <= p).all()
            # P(Bin(n, p) >= k) is the lower tail of n - k successes of probability 1 - p.
            missed = 1 - p
            if Fraction(missed) + Fraction(p) == 1:
                assert (clopper_pearson_upper(n - k, n, levels[k]) >= missed).all()
            radii = gaussian.radius(low, 1.0)
            largest = arb(float(radii.max(initial=0.0)))
            if largest > 0:
                assert (1 + (largest / arb(2).sqrt()).erf()) / 2 <= arb(p)
            checked += k.size


def _missing(n, alpha, p):
    """Share of (k, W) whose exact bound exceeds p, and that share after the cap; rational."""
    weight = [comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    above, thresholds = Fraction(0), []
    for k in range(n, -1, -1):
        # The bound exceeds p if and only if P(Bin > k) + W P(Bin = k) < alpha.
        thresholds.append(min(max((alpha - above) / weight[k], Fraction(0)), Fraction(1)))
        above += weight[k]
    thresholds = thresholds[::-1]
    full = sum(w * t for w, t in zip(weight, thresholds, strict=True))
    capped = full - weight[n] * (thresholds[n] if weight[n] > alpha else 0)
    return thresholds, full, capped


@pytest.mark.parametrize(("n", "alpha"), [(1, 0.3), (6, 0.1), (25, 0.001), (60, 0.05)])
def test_the_randomised_bound_misses_with_probability_alpha_exactly(n, alpha):
    level = Fraction(alpha)
    for p in [Fraction(i, 16) for i in range(1, 16)]:
        thresholds, full, capped = _missing(n, level, p)
        assert full == level
        # The cap only matters where even n successes are likelier than alpha.
        assert capped == (level if p**n <= level else 0)
        k = np.arange(n)  # all but the capped count
        cut = np.array([float(t) for t in thresholds[:-1]])
        for shift in (-1e-6, 1e-6):
            uniforms = np.clip(cut + shift, 0, 1)
            bound = randomized_clopper_pearson_lower(k, n, alpha, uniforms)
            exceeds = bound > float(p)
            inside = (cut > 0) & (cut < 1) & (np.abs(uniforms - cut) > 1e-7)
            assert (exceeds[inside] == (shift < 0)).all()
            assert not exceeds[cut == 0].any()


def test_the_randomised_bound_is_valid_in_ball_arithmetic():
    rng = np.random.default_rng(1)
    n = np.round(10 ** rng.uniform(0, 4, 250)).astype(int)
    k = np.minimum(n - 1, np.floor(n * rng.uniform(size=250))).astype(int)
    alpha, uniforms = 10 ** rng.uniform(-6, -0.4, 250), rng.uniform(size=250) ** 3
    bounds = randomized_clopper_pearson_lower(k, n, alpha, uniforms)
    with ctx.workprec(160):
        for low, few, trials, level, w in zip(bounds, k, n, alpha, uniforms, strict=True):
            point = arb(float(low))
            above = point.beta_lower(int(few) + 1, int(trials - few), regularized=True)
            reached = (
                point.beta_lower(int(few), int(trials - few) + 1, regularized=True)
                if few > 0
                else arb(1)
            )
            weight = arb(float(w))
            missed = weight * reached + (1 - weight) * above
            assert low == 0 or missed <= arb(float(level))


def test_the_randomised_bound_lies_between_its_neighbours_and_is_capped():
    n, alpha = 50, 0.01
    k, w = np.meshgrid(np.arange(n + 1), np.linspace(0, 1, 21), indexing="ij")
    bound = randomized_clopper_pearson_lower(k, n, alpha, w)
    ordinary = clopper_pearson_lower(np.arange(n + 1), n, alpha)
    assert (bound >= ordinary[:, None]).all()
    assert (bound[:-1] <= ordinary[1:, None]).all()
    assert (np.diff(bound, axis=1) <= 0).all()
    np.testing.assert_array_equal(bound[-1], ordinary[-1])
    np.testing.assert_allclose(bound[:, -1], ordinary, atol=1e-9)
    np.testing.assert_allclose(bound[:-1, 0], ordinary[1:], atol=1e-9)
    # Without successes the bound is positive only for W < alpha: 1 - p = ((1-alpha)/(1-W))^(1/n).
    assert (bound[0] > 0).tolist() == (w[0] < alpha).tolist()
    expected = 1 - ((1 - alpha) / (1 - 0.003)) ** (1 / n)
    assert randomized_clopper_pearson_lower(0, n, alpha, 0.003) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("uniforms", "message"), [(1.5, r"uniforms is 1\.5"), (np.nan, "uniforms holds NaN")]
)
def test_bad_uniforms_are_named(uniforms, message):
    with pytest.raises(ValueError, match=message):
        randomized_clopper_pearson_lower(3, 10, 0.05, uniforms)
