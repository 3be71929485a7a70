"""What noise leaves of balls, cones and lattices, against intervals of Arb and 40-digit sums."""

import math

import mpmath
import numpy as np
import pytest
from flint import arb
from flint import ctx as arb_context

from rs_lib import hypotheses
from rs_lib.geometry import balls, cones

DIMS = [1, 2, 3, 10, 100, 784, 3072]
SHARES = [1e-3, 0.05, 0.3, 0.7, 0.97, 0.9999]
"""Noise, as a share of that in which the ball vanishes."""
MISSING = 1e-20


@pytest.fixture(autouse=True)
def precise():
    before, arb_context.prec = arb_context.prec, 300
    with mpmath.workdps(40):
        yield
    arb_context.prec = before


def mass(radius, distance, sigma, dim):
    """P(chi'² <= (radius / sigma)²): at most the truth, and less by no more than `MISSING`.

    Poisson's mixture of gamma laws, P(a, x) being the sum of x^k e^-x / Γ(k + 1) over
    k = a, a + 1, ...: no term is negative. What is left out weighs less than 1e-25.
    """
    x = (arb(radius) / arb(sigma)) ** 2 / 2
    mean = (arb(distance) / arb(sigma)) ** 2 / 2

    def window(middle):
        width = 12 * math.sqrt(2 * middle) + 100
        return max(0, int(middle - width)), int(middle + width)

    first, last = window((distance / sigma) ** 2 / 2)
    top = max(last, window((radius / sigma) ** 2 / 2)[1])
    a = arb(dim) / 2 + top
    term = (a * x.log() - x - (a + 1).lgamma()).exp()
    weight = (-mean + last * mean.log() - arb(last + 1).lgamma()).exp() if distance else arb(0)
    inside, total = arb(0), arb(0)
    for j in range(top, first - 1, -1):
        inside += term
        term *= (arb(dim) / 2 + j) / x
        if j <= last:
            total += weight * inside
            weight *= j / mean if distance else 1
    return total if distance else inside


def noise(share, dim):
    """That share of the noise in which the unit ball vanishes; more if the sums would be long."""
    vanishing = float(balls.vanishing_sigma(1.0, dim))
    return max(share * vanishing, min(0.01, 0.8 * vanishing))


@pytest.mark.parametrize("dim", [*DIMS, 150_528])
@pytest.mark.parametrize("share", SHARES)
def test_the_smoothed_ball_has_the_majority_up_to_the_radius_given(dim, share):
    sigma = noise(share, dim)
    left = float(balls.smoothed_ball_radius(1.0, sigma, dim))
    assert 0 <= mass(1.0, left, sigma, dim) - arb("0.5") < 1e-13 + 1e-15 * (dim + 1 / sigma)


@pytest.mark.parametrize("dim", DIMS)
def test_the_slope_that_the_slack_assumes(dim):
    """d mass / d (r²) is the density of chi'² with d + 2 degrees: at least 1 / (5 R + 3.6 √d)."""
    for share in SHARES:
        sigma = noise(share, dim)
        left = float(balls.smoothed_ball_radius(1.0, sigma, dim))
        # Exactly, the derivative in r² is (mass of d degrees - mass of d + 2) / 2.
        slope = (mass(1.0, left, sigma, dim) - mass(1.0, left, sigma, dim + 2)) / 2
        assert slope > 1 / (arb(5) / arb(sigma) + arb("3.6") * arb(dim).sqrt())


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("distance", [0.01, 0.5, 2.0, 6.0, 15.0])
def test_the_mass_of_a_ball_is_never_more_than_the_truth(dim, distance):
    middle = math.hypot(math.sqrt(dim), distance)
    for step in (-2.5, -1.0, -0.1, 0.0, 0.3, 1.5, 4.0):
        if (radius := middle + step) > 0:
            found = arb(float(balls.ball_mass(radius, distance, 1.0, dim)))
            truth = mass(radius, distance, 1.0, dim)
            assert found <= truth
            assert truth - found < 1e-13 + 1e-15 * (dim + radius + distance)


@pytest.mark.parametrize("dim", [*DIMS, 150_528])
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_no_noise_below_the_one_given_leaves_less_than_the_share(dim, classes):
    sigma = float(balls.vanishing_sigma(1.0, dim, classes))
    assert mass(1.0, 0.0, sigma, dim) >= arb(1) / classes
    assert mass(1.0, 0.0, sigma * (1 + 2e-14), dim) + MISSING < arb(1) / classes


@pytest.mark.parametrize("dim", [2, 3, 10, 784])
@pytest.mark.parametrize("degrees", [5.0, 30.0, 44.9, 45.1, 60.0, 85.0])
def test_a_cone_is_never_said_to_move_less_than_it_does(dim, degrees):
    """At the shift given the apex has the majority: an integral over the distance to the axis."""
    angle, k = float(np.radians(degrees)), dim - 1
    slope = mpmath.cot(mpmath.mpf(angle))

    def left(shift):
        """Mass of the cone minus one half, and its slope, at `shift` along the axis."""
        middle = mpmath.sqrt(k)
        u = shift / slope
        low, high = max(mpmath.mpf(0), middle - 12), middle + 12
        places = (middle - 3, middle, middle + 3, u, u - 4 / slope, u + 4 / slope)
        points = sorted({low, high, *(p for p in places if low < p < high)})

        def density(r):
            return (r / middle) ** (k - 1) * mpmath.exp(-(r * r - middle * middle) / 2)

        def mean(value):
            return mpmath.quad(lambda r: density(r) * value(slope * (u - r)), points)

        whole = mpmath.quad(density, points)
        return mean(lambda z: mpmath.erf(z / mpmath.sqrt(2)) / 2) / whole, mean(mpmath.npdf) / whole

    shift = mpmath.mpf(float(cones.cone_shift(angle, dim)))
    over, rate = left(shift)
    assert 0 <= over / rate <= 1e-13 * shift


def test_margins_of_lattices_and_of_several_points_against_sums():
    rng = np.random.default_rng(0)

    def tail(z):
        return mpmath.erfc(z / mpmath.sqrt(2)) / 2

    for _ in range(60):
        sigma, spacing = 10 ** rng.uniform(-1.5, 0.6), 10 ** rng.uniform(-0.2, 0.2)
        s = mpmath.mpf(sigma) / mpmath.mpf(spacing)
        if s > 0.3:
            waves = ((2 * m + 1, (-1) ** m) for m in range(40))
            best = sum(
                sign * mpmath.exp(-((mpmath.pi * odd * s) ** 2) / 2) / odd for odd, sign in waves
            )
            best *= 2 / mpmath.pi
        else:
            steps = ((-1) ** (j - 1) * tail((j - mpmath.mpf(0.5)) / s) for j in range(1, 60))
            best = mpmath.mpf(0.5) - 2 * sum(steps)
        found = mpmath.mpf(float(hypotheses.lattice_margin(sigma, spacing)))
        assert found <= best
        assert best - found < 1e-11 * best

        places = rng.normal(size=rng.integers(2, 6)) * 10 ** rng.uniform(-2, 2)
        labels = rng.integers(0, 3, len(places))
        apart = abs(places[:, None] - places)
        for a, kept in enumerate(hypotheses.nearest_margin(apart, labels, sigma)):
            rivals = np.flatnonzero(labels != labels[a])
            halves = [mpmath.mpf(apart[a, b]) / (2 * mpmath.mpf(sigma)) for b in rivals]
            left = mpmath.mpf(0.5) - sum(map(tail, halves))
            assert mpmath.mpf(float(kept)) <= left
            assert left - mpmath.mpf(float(kept)) < 1e-10
