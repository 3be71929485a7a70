"""Finite unions of intervals under noise: exact with uniform noise, enclosed with Gaussian."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from rs_lib.geometry import balls, intervals


def _drawn(rng, pieces=3, span=12):
    ends = sorted(rng.choice(np.arange(1, 6 * span), size=2 * pieces, replace=False).tolist())
    return intervals.union(
        (Fraction(a, 6), Fraction(b, 6)) for a, b in zip(ends[::2], ends[1::2], strict=True)
    )


def _seen(region, x, radius):
    """Twice the radius times the mass of the uniform noise around x."""
    return sum(max(Fraction(0), min(b, x + radius) - max(a, x - radius)) for a, b in region)


def _inside(region, x):
    return any(a <= x <= b for a, b in region)


def test_union_merges_sorts_and_drops_points():
    assert intervals.union([(3, 4), (0, 1), (1, 2), (5, 5)]) == ((0, 2), (3, 4))
    assert intervals.union([]) == ()
    with pytest.raises(ValueError, match="give the left end first"):
        intervals.union([(1, 0)])


def test_lengths_and_disagreement_against_membership_of_a_lattice():
    rng = np.random.default_rng(1)
    for _ in range(50):
        first, second = _drawn(rng), _drawn(rng)
        cells = [Fraction(2 * k + 1, 12) for k in range(80)]  # all ends are multiples of 1/6
        assert intervals.length(first) == Fraction(sum(_inside(first, x) for x in cells), 6)
        differ = sum(_inside(first, x) != _inside(second, x) for x in cells)
        assert intervals.disagreement(first, second) == Fraction(differ, 6)


def test_uniform_noise_against_the_mass_at_every_point_of_a_lattice():
    rng = np.random.default_rng(2)
    for _ in range(60):
        region = _drawn(rng)
        radius = Fraction(int(rng.integers(1, 40)), 6)
        after = intervals.smoothed_uniform(region, radius)
        for k in range(-20, 200):
            x = Fraction(k, 12) + Fraction(1, 97)
            assert _inside(after, x) == (_seen(region, x, radius) >= radius)


@pytest.mark.parametrize("size", [Fraction(1), Fraction(7, 3)])
def test_an_interval_is_untouched_up_to_its_length_and_then_gone(size):
    region = ((Fraction(0), size),)
    assert intervals.smoothed_uniform(region, 0) == region
    assert intervals.smoothed_uniform(region, size) == region
    assert intervals.smoothed_uniform(region, size + Fraction(1, 10**9)) == ()


def test_one_interval_under_gaussian_noise_is_a_ball_on_the_line():
    for sigma in (0.05, 0.3, 0.9, 1.4, 1.48):
        ((left, right),) = intervals.smoothed_gaussian(((-1.0, 1.0),), sigma)
        expected = float(balls.smoothed_ball_radius(1.0, sigma, 1))
        assert (left, right) == pytest.approx((-expected, expected), abs=4e-12)
        assert right >= expected  # which is rounded down
    assert intervals.smoothed_gaussian(((-1.0, 1.0),), 1.483) == ()


def test_gaussian_ends_against_fifty_digits():
    rng = np.random.default_rng(3)
    for _ in range(12):
        region = tuple((float(a), float(b)) for a, b in _drawn(rng, pieces=4))
        sigma = float(rng.uniform(0.2, 3))
        after = intervals.smoothed_gaussian(region, sigma)
        with mpmath.workdps(50):

            def mass(x, region=region, sigma=sigma):
                return sum(
                    mpmath.ncdf((b - x) / sigma) - mpmath.ncdf((a - x) / sigma) for a, b in region
                )

            for end in (end for piece in after for end in piece):
                root = mpmath.findroot(lambda x: mass(x) - 0.5, mpmath.mpf(end))
                assert abs(root - end) < 1e-12
            for x in np.linspace(-1, 13, 141):  # no piece is missing
                if abs(mass(x) - 0.5) > 1e-9:
                    assert _inside(after, x) == (mass(x) > 0.5)


def test_gaussian_noise_adds_no_interval():
    rng = np.random.default_rng(4)
    for _ in range(100):
        region = _drawn(rng, pieces=int(rng.integers(1, 6)))
        after = intervals.smoothed_gaussian(region, float(rng.uniform(0.05, 4)))
        assert len(after) <= len(region)


def test_scaling():
    region = ((0.0, 1.0), (1.5, 4.0))
    wide = tuple((100 * a, 100 * b) for a, b in region)
    small, large = (intervals.smoothed_gaussian(r, s) for r, s in ((region, 0.7), (wide, 70.0)))
    assert np.array(large) == pytest.approx(100 * np.array(small), rel=1e-12)


def test_two_intervals_that_help_each_other():
    region = ((Fraction(-5, 2), Fraction(-1, 2)), (Fraction(1, 2), Fraction(5, 2)))
    without = intervals.risk(region, intervals.smoothed_uniform, Fraction(0), Fraction(11, 5))
    trained = intervals.risk(region, intervals.smoothed_uniform, Fraction(1), Fraction(11, 5))
    assert (without, trained) == (3, 1)


@pytest.mark.parametrize("radius", [-1, 0.5, True])
def test_a_radius_that_is_none(radius):
    with pytest.raises(ValueError, match="radius"):
        intervals.smoothed_uniform(((Fraction(0), Fraction(1)),), radius)


def test_a_float_in_an_exact_region():
    with pytest.raises(ValueError, match="give Fractions or integers"):
        intervals.smoothed_uniform(((0.0, 1.0),), 1)


@pytest.mark.parametrize("sigma", [-1.0, math.inf, math.nan])
def test_a_sigma_that_is_none(sigma):
    with pytest.raises(ValueError, match=r"sigma (is|holds)"):
        intervals.smoothed_gaussian(((0.0, 1.0),), sigma)
