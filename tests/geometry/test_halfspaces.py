"""Caps and half-spaces: against 50-digit sums, closed forms in low dimensions, and the sheet."""

from math import comb, pi

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from rs_lib.geometry import caps, halfspaces

RNG = np.random.default_rng(17)
DIMS = (2, 3, 4, 5, 10, 64, 784, 3072, 150_528, 10**7)


@pytest.fixture(autouse=True)
def precise():
    with mpmath.workdps(50):
        yield


def upper(n, t):
    """P(x_1 > t) in the ball of R^n to 30 digits, by integrating the slices from t on."""
    m, t = mpf(n - 1) / 2, mpf(t)
    if n <= 4:
        return mpmath.betainc(m + 1, mpf(1) / 2, 0, (1 - t) * (1 + t), regularized=True) / 2
    step = 1 / mpmath.sqrt(m)
    if t > step:
        step = (1 - t * t) / (2 * m * t)
    # Beyond 130 steps less than 1e-50 of the whole is left.
    places = [t, *(t + step * 2**k for k in range(8) if t + step * 2**k < 1), mpf(1)]
    top = m * mpmath.log(1 - t * t)

    def slice_(u):
        return mpmath.exp(m * mpmath.log((1 - u) * (1 + u)) - top) if u < 1 else mpf(0)

    return mpmath.quad(slice_, places) * mpmath.exp(top) / mpmath.beta(0.5, m + 1)


def crossing(d, c):
    """P(flip) at norm ratio c in R^d; by the angle on the circle."""
    t = 1 / mpf(c)
    return mpmath.acos(t) / mpmath.pi if d == 2 else upper(d - 2, t)


def ratios(d):
    """Ratios from next to 1 to far beyond √d; those whose probability float64 holds."""
    near = 1 + 10.0 ** RNG.uniform(-10, 0, 3)
    middle = np.sqrt(d) / RNG.uniform(0.01, 36, 6)
    every = np.concatenate([near, middle, 10.0 ** RNG.uniform(1, 8, 3)])
    found = every[every > 1]
    return found[halfspaces.flip_probability(found, d) > 1e-300]


@pytest.mark.parametrize("d", DIMS)
def test_flip_probabilities_to_twelve_digits(d):
    for c in ratios(d):
        exact = crossing(d, c)
        assert abs(mpf(float(halfspaces.flip_probability(c, d))) / exact - 1) < 1e-12


@pytest.mark.parametrize("d", DIMS)
def test_ratios_to_twelve_digits(d):
    """By the distance to the root that the slope at the answer tells."""
    for p in (1e-300, 1e-194, 1e-50, 1e-6, 0.01, 0.1, 0.24, 0.26, 0.4, 0.5 - 1e-6, 0.5 - 1e-12):
        c = float(halfspaces.ratio(p, d))
        if c < 1 + 1e-12:
            assert d == 2 or p < 1e-8
            continue
        t = 1 / mpf(c)
        slope = (1 - t * t) ** (mpf(d - 3) / 2) / mpmath.beta(0.5, mpf(d - 1) / 2) * t * t
        assert abs((crossing(d, c) - mpf(p)) / slope / c) < 1e-12


def test_caps_to_twelve_digits():
    for n in (1, 2, 3, 7, 62, 784, 3072, 150_526):
        for t in RNG.uniform(0, min(1, 36 / n**0.5), 5):
            value = float(caps.share(n, t))
            assert abs(mpf(value) / upper(n, t) - 1) < 1e-12
            assert float(caps.share(n, -t)) == 1 - value


def test_closed_forms_in_low_dimensions():
    t = np.linspace(-1, 1, 41)
    np.testing.assert_allclose(caps.share(1, t), (1 - t) / 2, rtol=1e-13)
    np.testing.assert_allclose(
        caps.share(2, t), (np.arccos(t) - t * np.sqrt(1 - t * t)) / pi, rtol=1e-9, atol=1e-15
    )
    np.testing.assert_allclose(caps.share(3, t), (1 - t) ** 2 * (2 + t) / 4, rtol=1e-13)
    # Odd dimensions: a polynomial.
    m, x = 4, t / 2
    terms = [(comb(m, k) * (-1) ** k / (2 * k + 1), 2 * k + 1) for k in range(m + 1)]
    beyond = sum(weight * (1 - x**power) for weight, power in terms)
    whole = 2 * sum(weight for weight, _ in terms)
    np.testing.assert_allclose(caps.share(2 * m + 1, x), beyond / whole, rtol=1e-12)
    c = np.linspace(1, 50, 99)
    np.testing.assert_allclose(halfspaces.flip_probability(c, 2), np.arccos(1 / c) / pi, rtol=1e-12)
    np.testing.assert_allclose(halfspaces.flip_probability(c, 3), (1 - 1 / c) / 2, rtol=1e-13)


def test_the_ends():
    assert caps.share(5, [-2, -1, 0, 1, np.inf]).tolist() == [1, 1, 0.5, 0, 0]
    assert halfspaces.flip_probability([0, 0.5, 1], 784).tolist() == [0, 0, 0]
    assert halfspaces.ratio(0, [2, 784]).tolist() == [1, 1]
    assert halfspaces.flip_probability(1e300, 2) <= 0.5
    assert halfspaces.flip_probability(2.0, 150_528) == 0  # 1e-9400 or so


def test_points_of_a_sphere_agree():
    """100,000 points; off by six standard deviations with probability below 1e-8 in all."""
    points = np.random.default_rng(3).normal(size=(100_000, 5))
    first = points[:, 0] / np.linalg.norm(points, axis=1)
    for c in (1.5, 3.0):
        p = float(halfspaces.flip_probability(c, 5))
        assert abs((first > 1 / c).mean() - p) < 6 * (p * (1 - p) / 1e5) ** 0.5


def test_values_of_the_sheet():
    shares = (0.25, 0.1, 0.01, 1e-3, 1e-6)
    table = {
        64: (11.7425509304, 6.20956792662, 3.47230276075, 2.65676919442, 1.81573692571),
        784: (41.4791635652, 21.8390629129, 12.0453137975, 9.07977111407, 5.92739039011),
        3072: (82.1571350444, 43.2440680391, 23.8298461551, 17.9453123039, 11.678752874),
        150_528: (575.216659457, 302.741236891, 166.776834791, 125.551597028, 81.6236847794),
    }
    for d, expected in table.items():
        np.testing.assert_allclose(halfspaces.ratio(shares, d), expected, rtol=1e-11)
    flips = {
        64: (1.11376022e-5, 0.0550939013, 0.214013628, 0.346222664),
        # The sheet's 3.46546071e-51 and 2.06258343e-194 err in the seventh digit: 50-digit sums.
        784: (3.46546032e-51, 7.93700162e-9, 0.00252088658, 0.0808262067),
        3072: (2.06258468e-194, 2.13971080e-29, 1.38696071e-8, 0.00278275498),
    }
    for d, expected in flips.items():
        np.testing.assert_allclose(halfspaces.flip_probability([2, 5, 10, 20], d), expected, 3e-9)
    np.testing.assert_allclose(halfspaces.flip_probability(1.1, 784), 2.71361676e-300, 3e-9)
    assert float(caps.share(100, 0.25)) == pytest.approx(0.005435220557, rel=1e-9)
    adversarial = 1 - 2 * caps.share([100, 784], [0.15, 0.1])
    np.testing.assert_allclose(adversarial, [0.869548810995, 0.99501395815], rtol=1e-9)
    assert float(caps.share(784, 0.2)) == pytest.approx(7.610332372e-9, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: caps.share(0, 0.5), "dim is 0"),
        (lambda: caps.share(3, float("nan")), "height"),
        (lambda: caps.share([2, 3], [0.1, 0.2, 0.3]), "broadcast"),
        (lambda: halfspaces.flip_probability(-1, 4), "ratio is -1"),
        (lambda: halfspaces.flip_probability(np.inf, 4), "ratio is inf"),
        (lambda: halfspaces.flip_probability(2, 1), "dim is 1"),
        (lambda: halfspaces.ratio(0.5, 4), r"flip_probability is 0\.5: .*below 0\.5"),
        (lambda: halfspaces.ratio(-0.1, 4), "flip_probability"),
        (lambda: halfspaces.ratio(0.1, 2.5), "dim is 2.5"),
    ],
)
def test_bad_arguments_are_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()
