"""Certificates from imperfect noise, against exact and 50-digit arithmetic."""

from fractions import Fraction
from math import comb

import mpmath
import numpy as np
import pytest
from scipy import stats

from rs_lib.certificates import gaussian, imperfect

RNG = np.random.default_rng(5)


def _exact(low, sigma, variation, shift):
    with mpmath.workdps(50):
        left = mpmath.mpf(low) - mpmath.mpf(variation)
        if left <= 0.5:
            return mpmath.mpf(0)
        z = -mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * left)
        return max(mpmath.mpf(sigma) * z - mpmath.mpf(shift), mpmath.mpf(0))


def test_the_radius_stays_just_below_fifty_digits():
    low = RNG.uniform(0.5, 1, 300)
    variation, shift = RNG.uniform(0, 0.1, 300), RNG.uniform(0, 0.3, 300)
    sigma = RNG.uniform(0.1, 2, 300)
    found = imperfect.radius(low, sigma, variation, shift)
    for value, *numbers in zip(found, low, sigma, variation, shift, strict=True):
        exact = _exact(*numbers)
        assert value <= exact
        assert value >= exact - 1e-12 * (1 + exact)
    assert 0 < (found == 0).sum() < 300


def _noncentral(limit, dim, parameter):
    """P(chi-square of `dim` degrees and that noncentrality <= limit), 60 digits."""
    with mpmath.workdps(60):
        half, total = mpmath.mpf(parameter) / 2, mpmath.mpf(0)
        reach = int(20 * mpmath.sqrt(half + 25)) + 10
        for j in range(max(0, int(half) - reach), int(half) + reach):
            weight = mpmath.exp(j * mpmath.log(half) - half - mpmath.loggamma(j + 1))
            total += weight * mpmath.gammainc(
                mpmath.mpf(dim) / 2 + j, 0, mpmath.mpf(limit) / 2, regularized=True
            )
        return total


@pytest.mark.parametrize(("dim", "n"), [(1, 1), (2, 500), (64, 100_000), (784, 10_000)])
@pytest.mark.parametrize("alpha", [0.2, 0.001, 1e-30])
def test_the_bound_of_a_mean_is_just_above_that_in_sixty_digits(dim, n, alpha):
    for quantile in (0.3, 0.5, 0.999):
        length = 0.7 * np.sqrt(stats.chi2.ppf(quantile, dim) / n)
        found = float(imperfect.shift_upper(length, n, dim, 0.7, alpha))
        seen = n * (length / 0.7) ** 2
        parameter = n * (found / 0.7) ** 2
        assert _noncentral(seen, dim, parameter) <= alpha
        assert _noncentral(seen, dim, parameter * (1 - 1e-6)) > alpha


def test_the_bound_of_a_mean_at_the_honest_median_is_the_sheets():
    for dim, n, expected in (
        (64, 100_000, 0.021634),
        (784, 10_000, 0.116093),
        (784, 100_000, 0.036712),
        (3072, 100_000, 0.050476),
    ):
        length = np.sqrt(stats.chi2.ppf(0.5, dim) / n)
        found = imperfect.shift_upper(length, n, dim, 1.0, 0.001)
        assert found == pytest.approx(expected, abs=5e-7)
        assert imperfect.shift_upper(3 * length, n, dim, 3.0, 0.001) == pytest.approx(3 * found)


def test_the_bound_of_a_mean_is_seldom_too_small():
    """Two means of 3,000 repeats at alpha = 0.1; a false alarm of this test is below 1e-6."""
    rng, dim, n, alpha = np.random.default_rng(4), 20, 50, 0.1
    for size in (0.0, 0.3):
        mean = np.zeros(dim)
        mean[3] = size
        seen = rng.normal(mean, 1 / np.sqrt(n), (3_000, dim))
        bounds = imperfect.shift_upper(np.linalg.norm(seen, axis=1), n, dim, 1.0, alpha)
        assert (bounds < size).sum() <= stats.binom.isf(1e-6, 3_000, alpha)
        assert (bounds < size).sum() >= (stats.binom.isf(1 - 1e-6, 3_000, alpha) if size else 0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((-1.0, 5, 3, 1.0, 0.1), "length is -1"),
        ((0.1, 0, 3, 1.0, 0.1), "n is 0"),
        ((0.1, 5, 0, 1.0, 0.1), "dim is 0"),
        ((0.1, 5, 3, 0.0, 0.1), "sigma is 0"),
        ((0.0, 5, 3, 5e-324, 0.1), "sigma is 5e-324: give at least 1e-300"),
        ((0.1, 5, 3, 1.0, 1.0), "alpha is 1"),
        ((0.1, 1, 1, 1.0, 1e-50), "alpha is 1e-50: give at least 1e-30"),
        ((1e9, 100, 3, 1.0, 0.1), "times sigma: give both in one unit"),
    ],
)
def test_bad_numbers_for_the_bound_of_a_mean_are_refused(given, told):
    with pytest.raises(ValueError, match=told):
        imperfect.shift_upper(*given)


def test_the_price_of_a_variation_is_the_sheets():
    assert imperfect.radius(0.9, 1.0) == pytest.approx(1.2816, abs=5e-5)
    assert imperfect.radius(0.9, 1.0, 0.01) == pytest.approx(1.2265, abs=5e-5)


def test_perfect_noise_has_the_usual_radius_and_worse_noise_a_shorter_one():
    low = np.linspace(0, 1, 1_001)
    plain = gaussian.radius(low, 0.5)
    np.testing.assert_array_equal(imperfect.radius(low, 0.5), plain)
    assert imperfect.radius(1.0, 0.5, shift=0.1) == np.inf
    worse = imperfect.radius(
        low[:, None, None], 0.5, np.linspace(0, 0.2, 9)[:, None], [0, 0.1, 0.2]
    )
    assert (np.diff(worse[:-1], axis=0) >= 0).all()
    assert (np.diff(worse, axis=1) <= 0).all()
    assert (np.diff(worse[:-1], axis=2) <= 0).all()
    assert (worse[:501] == 0).all()


@pytest.mark.parametrize(
    ("dim", "strength", "stated"),
    [
        # The project's paper sheet; its digits at d = 64, strength 4 are corrected by fractions.
        (64, 16, 0.6805225),
        (784, 16, 0.95031965),
        (784, 64, 0.66664124),
        (3072, 16, 0.99944859),
        (150528, 256, 0.9344337),
        (150528, 1024, 0.64747632),
    ],
)
def test_the_worst_sign_probability_is_the_stated_one(dim, strength, stated):
    digits = len(str(stated)) - 2
    assert imperfect.worst_sign_probability(dim, strength) == pytest.approx(
        stated, abs=0.6 * 10.0**-digits
    )


@pytest.mark.parametrize(("dim", "strength"), [(1, 0), (2, 1), (5, 3), (64, 4), (65, 16)])
def test_the_worst_sign_probability_is_that_of_fractions_rounded_up(dim, strength):
    q = Fraction(strength, 2 * (strength + 1))
    mass = [comb(dim, k) * q**k * (1 - q) ** (dim - k) for k in range(dim + 1)]
    # Every set of signs of honest mass 1/2 has no more than the most likely strings together.
    best = sum(mass[: (dim + 1) // 2]) + (mass[dim // 2] / 2 if dim % 2 == 0 else 0)
    found = imperfect.worst_sign_probability(dim, strength)
    assert best <= Fraction(found) <= best * (1 + Fraction(1, 10**12)) or found == 1.0 == best


@pytest.mark.parametrize("strength", [182_797, 52_428, 20_164, 130_569])
def test_the_worst_sign_probability_is_rounded_up_in_many_dimensions_too(strength):
    """By the incomplete beta function to 40 digits: fewer than half of 10^8 - 1 signs."""
    dim = 10**8 - 1
    with mpmath.workdps(40):
        q = mpmath.mpf(strength) / (2 * (strength + 1))
        exact = _at_most(dim // 2, dim, q)
        found = mpmath.mpf(imperfect.worst_sign_probability(dim, strength))
        assert exact <= found <= exact * (1 + mpmath.mpf(10) ** -11)


def _at_most(k, n, q):
    """P(Bin(n, q) <= k) by terms from the largest on, for q below k / n."""
    term = mpmath.exp(
        mpmath.loggamma(n + 1)
        - mpmath.loggamma(k + 2)
        - mpmath.loggamma(n - k)
        + (k + 1) * mpmath.log(q)
        + (n - k - 1) * mpmath.log1p(-q)
    )
    above, odds, j = term, q / (1 - q), k + 1
    while term > above * mpmath.mpf(10) ** -30:
        term *= odds * (n - j) / (j + 1)
        above, j = above + term, j + 1
    return 1 - above


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: imperfect.radius(1.2, 1.0), "p_lower is 1.2"),
        (lambda: imperfect.radius(0.9, 1.0, -0.1), "variation is -0.1"),
        (lambda: imperfect.radius(0.9, 1.0, 0.0, -1), "shift is -1"),
        (lambda: imperfect.radius(0.9, 0.0), "sigma is 0"),
        (lambda: imperfect.worst_sign_probability(0, 1), "dim is 0"),
        (lambda: imperfect.worst_sign_probability(3, 0.5), "strength is 0.5"),
    ],
)
def test_numbers_that_cannot_be_are_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()
