"""Certificates from imperfect noise, against exact and 50-digit arithmetic."""

from fractions import Fraction
from math import comb

import mpmath
import numpy as np
import pytest

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
