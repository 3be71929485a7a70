"""Smoothed balls, cones and points against slices, closed forms, 40-digit sums and the sheet."""

import mpmath
import numpy as np
import pytest
from scipy import integrate, special, stats

from rs_lib.geometry import cone_shift, smoothed_ball_radius, vanishing_sigma
from rs_lib.geometry.balls import ball_mass, centre_certificate
from rs_lib.geometry.cones import cone_shift_bounds
from rs_lib.geometry.point_masses import trained_window, window_mass

NODES, WEIGHTS = np.polynomial.legendre.leggauss(400)
DIMS = (1, 2, 3, 10, 784, 3072, 150_528)
SHARES = np.array([1e-6, 1e-3, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99])


def _slices(ratio, shift, d):
    """P(||shift e + g|| <= ratio) as a mean over the part of g across e, which has law chi."""
    if d == 1:
        return special.ndtr(ratio - shift) - special.ndtr(-ratio - shift)
    k, middle = d - 1, np.sqrt(d - 1)

    def chi(t):
        step = t - middle
        return np.exp(special.xlog1py(k - 1, step / middle) - step * (t + middle) / 2)

    low, high = max(0.0, middle - 10), middle + 10
    whole = (chi(low + (high - low) * (NODES + 1) / 2) @ WEIGHTS) * (high - low) / 2
    end = min(ratio, high)
    root = np.sqrt(end - low) * (NODES + 1) / 2  # t = end - root^2 is smooth where the slice ends
    t = end - root**2
    half = np.sqrt((ratio - t) * (ratio + t))
    inside = special.ndtr(half - shift) - special.ndtr(-half - shift)
    return ((chi(t) * inside * 2 * root) @ WEIGHTS) * np.sqrt(end - low) / 2 / whole


@pytest.mark.parametrize("d", DIMS)
def test_the_smoothed_ball_against_slices(d):
    """Half the mass lies in the ball at a radius within 1e-10 of itself, and never beyond it.

    The slices themselves are good to 1e-14 √d, and to 1e-12 √d near the largest σ.
    """
    for sigma in SHARES * vanishing_sigma(1.0, d):
        r = float(smoothed_ball_radius(1.0, sigma, d))
        ratio, shift = 1 / sigma, r / sigma
        slope = (_slices(ratio, shift * 1.0001, d) - _slices(ratio, shift * 0.9999, d)) / 2e-4
        beyond = -(_slices(ratio, shift, d) - 0.5) / -slope  # of its radius
        assert -1e-10 < beyond < 1e-13 * max(1, d**0.5 / 10)


def test_scipy_agrees_where_it_can():
    ratio, shift = np.linspace(0.1, 12, 40), np.linspace(0.0, 9, 31)[:, None]
    for d in (1, 2, 5, 30):
        expected = stats.ncx2.cdf(ratio**2, d, shift**2)
        np.testing.assert_allclose(ball_mass(ratio, shift, 1.0, d), expected, atol=1e-12)


def test_values_of_the_sheet():
    shares = np.array([0.1, 0.25, 0.5, 0.75, 0.9, 0.99])
    for d, expected in {
        1: [1, 1, 0.9933, 0.8708, 0.6182, 0.2083],
        2: [0.9964, 0.9770, 0.9015, 0.7328, 0.5066, 0.1689],
        3: [0.9958, 0.9731, 0.8855, 0.7019, 0.4784, 0.1584],
        10: [0.9952, 0.9694, 0.8706, 0.6710, 0.4466, 0.1458],
    }.items():
        found = smoothed_ball_radius(2.0, shares * vanishing_sigma(2.0, d), d) / 2
        np.testing.assert_allclose(found, expected, atol=5.1e-5)
    expected = [1.482602, 0.849322, 0.650122, 0.327178, 0.100335, 0.035729, 0.018044, 0.002577]
    found = vanishing_sigma(1.0, [1, 2, 3, 10, 100, 784, 3072, 150_528])
    np.testing.assert_allclose(found, expected, atol=5.1e-7)
    found = vanishing_sigma(1.0, 3072, [10, 1000])
    np.testing.assert_allclose(found, [0.018343, 0.018780], atol=5.1e-7)


def test_the_vanishing_noise_to_fifty_digits():
    with mpmath.workdps(50):
        for d in DIMS:
            q = mpmath.mpf(1) / mpmath.mpf(float(vanishing_sigma(1.0, d))) ** 2
            mass = mpmath.gammainc(mpmath.mpf(d) / 2, 0, q / 2, regularized=True)
            slope = mpmath.npdf(0) / mpmath.sqrt(2 * d)
            assert abs((mass - 0.5) / slope) < 1e-13 * d
    assert float(vanishing_sigma(1.0, 1)) == pytest.approx(1 / special.ndtri(0.75), rel=1e-14)
    assert float(vanishing_sigma(1.0, 2)) == pytest.approx(1 / np.sqrt(2 * np.log(2)), rel=1e-14)


def test_the_bracket_and_scaling():
    """sqrt(R^2 - d sigma^2) < r < sqrt(R^2 - (d - 1) sigma^2), and r scales with R."""
    rng = np.random.default_rng(2021)
    for d in rng.integers(1, 5000, 12):
        share, radius = rng.uniform(1e-4, 0.9999, 20), 10 ** rng.uniform(-3, 3, 20)
        sigma = share * vanishing_sigma(radius, d)
        found = smoothed_ball_radius(radius, sigma, d) / radius
        for w, sign in ((d, 1), (d - 1, -1)):
            bound = np.sqrt(np.maximum(0.0, 1 - w * (sigma / radius) ** 2))
            assert (sign * (found - bound) >= -1e-14).all()
        again = smoothed_ball_radius(1.0, sigma / radius, d)
        np.testing.assert_allclose(found, again, rtol=1e-10)


def test_the_ball_vanishes_and_broadcasts():
    sigma = vanishing_sigma([1.0, 2.0], [[3], [1000]])
    assert sigma.shape == (2, 2)
    at = smoothed_ball_radius([1.0, 2.0], sigma * np.array([1.0, 1.5]), [[3], [1000]])
    np.testing.assert_array_equal(at, np.zeros((2, 2)))
    just = smoothed_ball_radius(1.0, 0.999999 * vanishing_sigma(1.0, 1000), 1000)
    assert 0 < just < 0.01
    none, tiny = smoothed_ball_radius(3.0, [0.0, 1e-300], 5)
    assert none == 3.0
    assert 3.0 - 3e-15 < tiny < 3.0
    assert smoothed_ball_radius(1.0, 0.1, 3).shape == ()
    grid = np.linspace(0, 1.1, 200) * vanishing_sigma(1.0, 784)
    assert (np.diff(smoothed_ball_radius(1.0, grid, 784)) <= 0).all()


def test_the_certificate_at_the_centre():
    sigma = 1.0
    for d in (1, 2, 10, 300):
        radius = np.sqrt(stats.chi2.ppf([0.3, 0.5001, 0.9, 1 - 1e-9], d))
        p = stats.chi2.cdf(radius**2, d)
        outside = stats.chi2.sf(radius**2, d)
        expected = np.where(p > 0.5, stats.norm.isf(outside), 0)
        np.testing.assert_allclose(centre_certificate(radius, sigma, d), expected, atol=1e-10)
        assert (
            centre_certificate(radius, sigma, d) <= smoothed_ball_radius(radius, sigma, d)
        ).all()
    far = float(centre_certificate(60.0, 1.0, 1))  # the mass outside is below every float
    with mpmath.workdps(30):
        outside = mpmath.erfc(mpmath.mpf(60) / mpmath.sqrt(2))
        assert abs(mpmath.erfc(far / mpmath.sqrt(2)) / 2 / outside - 1) < 1e-9


def test_cones_against_adaptive_quadrature():
    for d in (2, 3, 784):
        for degrees in (0.5, 44.9, 45.1, 89.99):
            theta = np.radians(degrees)
            m, slope, k = float(cone_shift(theta, d)), 1 / np.tan(theta), d - 1
            middle = np.sqrt(k)
            points = [p for p in (m / slope, middle) if p > 0]
            half = integrate.quad(
                lambda t, k=k, slope=slope, m=m: (
                    stats.chi.pdf(t, k) * special.erf((m - slope * t) / np.sqrt(2))
                ),
                *(max(0.0, middle - 9), middle + 9),
                points=points,
                epsabs=1e-13,
                limit=500,
            )[0]
            # Half of the mean of erf is P - 1/2; SciPy's density of chi is good to 1e-16 d log d.
            assert abs(half / 2) < 1e-13 * max(1, d / 100)
            low, high = cone_shift_bounds(theta, d)
            assert low < m < high


def test_cones_of_the_sheet_and_the_two_sides_of_45_degrees():
    dims = [2, 3, 10, 100, 1000]
    for degrees, expected in {
        30: [1.2847, 2.0988, 5.0236, 17.1815, 54.7284],
        45: [0.7707, 1.2320, 2.9083, 9.9220, 31.5982],
        60: [0.4544, 0.7186, 1.6823, 5.7294, 18.2435],
    }.items():
        np.testing.assert_allclose(cone_shift(np.radians(degrees), dims), expected, atol=5.1e-5)
    assert (cone_shift(np.pi / 2, dims) == 0).all()
    assert cone_shift(0.3, 1) == 0
    eps = 1e-12
    low, high = cone_shift(np.pi / 4 + np.array([eps, -eps])[:, None], [2, 5, 3072, 150_528])
    np.testing.assert_allclose(low, high, rtol=1e-11)


def test_a_wedge_in_the_plane():
    """d = 2: a quadrant in closed form, and half the noisy mass of another wedge."""
    quadrant = np.sqrt(2) * special.ndtri(np.sqrt(0.5))
    assert float(cone_shift(np.pi / 4, 2)) == pytest.approx(quadrant, rel=1e-13)
    theta = np.radians(35)
    m = float(cone_shift(theta, 2))
    mass = integrate.quad(
        lambda x: stats.norm.pdf(x - m) * special.erf(x * np.tan(theta) / np.sqrt(2)),
        *(0, m + 12),
        epsabs=1e-14,
        limit=300,
    )[0]
    assert mass == pytest.approx(0.5, abs=1e-12)


def test_the_trained_window_is_the_bayes_rule():
    s = np.array([1e-6, 0.01, 0.5, 1.0, 1.0553, 2.0, 10.0, 60.0])
    t = trained_window(s)
    x, y = t, s * t
    both = np.logaddexp(-((x - s) ** 2) / 2, -((x + s) ** 2) / 2) - np.log(2)
    np.testing.assert_allclose(both, -(x**2) / 2, atol=1e-12, rtol=1e-12)
    assert (np.diff(t) > 0).all()
    assert t[0] == pytest.approx(1, abs=1e-9)
    assert np.isfinite(y).all()
    rows = {0.5: (1.0210, 0.6927, 0.6347), 1: (1.0850, 0.7221, 0.5154), 2: (1.3443, 0.8211, 0.2556)}
    for spacing, (window, own, other) in rows.items():
        half = trained_window(spacing)
        found = [half, window_mass(half, 0), window_mass(half, spacing)]
        np.testing.assert_allclose(np.array(found), [window, own, other], atol=5.1e-5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: smoothed_ball_radius(0.0, 1.0, 2), "radius is 0.0: give a positive"),
        (lambda: smoothed_ball_radius(1.0, -0.1, 2), "sigma is -0.1: give a finite number"),
        (lambda: smoothed_ball_radius(1.0, 0.1, 0), "dim is 0: give whole numbers"),
        (lambda: vanishing_sigma(1.0, 2, 1), "classes is 1: give whole numbers of at least 2"),
        (lambda: ball_mass(1.0, 0.0, 0.0, 2), "sigma is 0.0: give a positive"),
        (lambda: cone_shift(1.6, 2), "half_angle is 1.6: give radians of at most"),
        (lambda: cone_shift(0.0, 2), "half_angle is 0.0: give a positive"),
        (lambda: cone_shift(1.0, 2.5), "dim is 2.5: give whole numbers"),
        (lambda: trained_window(0.0), "spacing is 0.0: give a positive"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
