"""Exact moments under the three attacks, against 30 digits, closed forms and drawn normals."""

import mpmath
import numpy as np
import pytest
from scipy import stats

from rs_lib.experiments import weak_generators
from rs_lib.noise import tampering, ziggurat


@pytest.mark.parametrize(
    ("attack", "strength", "variance", "kurtosis"),
    [
        # 30-digit quadrature of the same integrals, by mpmath.
        ("alpha", 0.5, 1.254769391724, -0.4334986677482),
        ("alpha", 1.0, 1.129511707513, -0.2255103914914),
        # The project's paper sheet.
        ("gamma", 0, 0.440231419, 0.884650039),
        ("gamma", 1, 0.719445950, 0.620038895),
        ("gamma", 4, 0.888152030, 0.233964317),
        ("gamma", 16, 0.967157312, 0.066256833),
    ],
)
def test_moments_are_the_stated_ones(attack, strength, variance, kurtosis):
    found = tampering.moments(attack, strength)
    digits = 12 if attack == "alpha" else 9
    assert found.variance == pytest.approx(variance, abs=0.6 * 10.0**-digits)
    assert found.excess_kurtosis == pytest.approx(kurtosis, abs=0.6 * 10.0**-digits)
    assert found.mean == found.skewness == 0


@pytest.mark.parametrize("beta", [0, 1, 4, 1000])
def test_the_skewed_normal_has_the_moments_of_its_integrals(beta):
    found = tampering.moments("beta", beta)
    with mpmath.workdps(30):
        edge, surplus = mpmath.mpf(ziggurat.BASE), mpmath.mpf(1) / (beta + 1)
        m, third = (
            2 * surplus * mpmath.quad(lambda x, k=k: x**k * mpmath.npdf(x), [0, edge])
            for k in (1, 3)
        )
        variance = 1 - m**2
        skew = (third - 3 * m + 2 * m**3) / variance**1.5
        kurtosis = (3 - 4 * m * third + 6 * m**2 - 3 * m**4) / variance**2 - 3
    stated = [float(value) for value in (m, variance, skew, kurtosis)]
    np.testing.assert_allclose(found, stated, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("attack", "strength"),
    [("alpha", 0.5), ("alpha", 3.0), ("beta", 1), ("gamma", 1), ("gamma", 3)],
)
def test_drawn_normals_have_them_too(attack, strength):
    # 2e6 seeded draws; tolerances of at least 6 standard errors, a miss below 1e-8 each.
    _, normals = weak_generators.tampered(attack, strength, 2_000_000, seed=11)
    drawn = normals.mean(), normals.var(), stats.skew(normals), stats.kurtosis(normals)
    found = tampering.moments(attack, strength)
    for value, target, room in zip(drawn, found, (0.005, 0.007, 0.012, 0.03), strict=True):
        assert abs(value - target) < room


def test_weak_attacks_leave_a_normal_law():
    for attack in ("beta", "gamma"):
        np.testing.assert_allclose(tampering.moments(attack, 100_000), (0, 1, 0, 0), atol=2e-5)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: tampering.moments("delta", 1), "attack is 'delta'"),
        (lambda: tampering.moments("alpha", 0.25), "alpha is 0.25: give at least 1/2"),
        (lambda: tampering.moments("gamma", 0.5), "gamma is 0.5"),
        (lambda: tampering.moments("beta", 10**6), "beta is 1000000"),
    ],
)
def test_attacks_that_are_none_are_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()
