"""RAB's certificates against exact arithmetic, and nearest neighbours against other integrals."""

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy import integrate, special, stats

from rs_lib.certificates import (
    backdoor,
    gaussian,
    nearest_neighbour,
    neyman_pearson,
    noncentral_chi,
)
from rs_lib.statistics import clopper_pearson_lower


@pytest.fixture(autouse=True)
def digits():
    with mpmath.workdps(40):
        yield


# Gaussian and uniform noise


def _quantile(p):
    p = mpmath.mpf(float(p))
    tail = min(p, 1 - p)
    return mpmath.sign(p - 0.5) * mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * tail)


def test_the_gaussian_radius_is_rounded_down():
    rng = np.random.default_rng(1)
    p_a, p_b = rng.uniform(0.5, 1, 200), rng.uniform(0, 0.5, 200)
    sigma, poisoned = 10 ** rng.uniform(-3, 3, 200), rng.integers(1, 10_000, 200)
    for a, b, s, n, got in zip(
        p_a, p_b, sigma, poisoned, backdoor.gaussian_radius(p_a, p_b, sigma, poisoned), strict=True
    ):
        rival = min(_quantile(b), -_quantile(a))
        exact = mpmath.mpf(s) * (_quantile(a) - rival) / (2 * mpmath.sqrt(int(n)))
        assert exact * (1 - mpmath.mpf("1e-12")) <= mpmath.mpf(got) <= exact


def test_a_shift_of_all_examples_is_one_shift_of_their_product():
    """Training sets of three examples in R^2: the half-space along the patterns is fooled there."""
    patterns = np.array([[0.3, 0.1], [-0.2, 0.4], [0.0, 0.3]])
    length = np.linalg.norm(patterns)
    assert gaussian.worst_case(0.9, 0.7, 1.0) == pytest.approx(0.71957, abs=5e-6)
    radius = backdoor.gaussian_radius(0.9, 0.1, 1.0)
    for scale, majority in ((0.999, True), (1.001, False)):
        moved = patterns * scale * radius / length
        # {<patterns, z> <= c} of mass 0.9, in closed form under the moved noise.
        mass = special.ndtr(special.ndtri(0.9) - (patterns * moved).sum() / length)
        assert (mass > 0.5) == majority


def test_gaussian_limits():
    got = backdoor.gaussian_radius([0.5, 0.4, 1.0, 0.9], [0.5, 0.6, 0.0, 0.1], 1.0, [1, 1, 4, 4])
    assert got[:3].tolist() == [0, 0, np.inf]
    assert got[3] == pytest.approx(gaussian.radius(0.9, 0.5), rel=1e-12)


@pytest.mark.parametrize(
    ("trials", "soft", "hard"),
    [(200, 1.1197, 1.8257), (1000, 1.5652, 2.4633), (10_000, 2.0839, 3.1986)],
)
def test_the_largest_radius_of_soft_and_hard_votes(trials, soft, hard):
    """Unanimous models: Hoeffding's bound, as in RAB's code, and Clopper-Pearson's."""
    slack = np.sqrt(np.log(1000) / (2 * trials))
    assert backdoor.gaussian_radius(1 - slack, slack, 1.0) == pytest.approx(soft, abs=5e-5)
    p = clopper_pearson_lower(trials, trials, 0.001)
    assert backdoor.gaussian_radius(p, 1 - p, 1.0) == pytest.approx(hard, abs=5e-5)


def test_the_uniform_condition_never_holds_by_rounding():
    rng, seen = np.random.default_rng(2), []
    for _ in range(400):
        low = rng.normal()
        high = low + rng.uniform(0.1, 3)
        shift = rng.uniform(-0.06, 0.06, (2, 3)) * (high - low) * rng.integers(0, 2, (2, 3))
        overlap = Fraction(1)
        for entry in shift.ravel():
            overlap *= 1 - abs(Fraction(entry)) / (Fraction(high) - Fraction(low))
        # At the very boundary, and away from it.
        p_a = rng.uniform(0.4, 0.55)
        p_b = float(Fraction(p_a) - 2 * (1 - overlap)) + rng.choice([0, 2e-16, 1e-9, -1e-9, -1e-3])
        if not 0 <= p_b <= 1 - p_a:
            continue
        exact = 1 - (Fraction(p_a) - Fraction(p_b)) / 2 < overlap
        got = bool(backdoor.uniform_certified(p_a, p_b, low, high, shift))
        assert got <= exact
        if abs(float(overlap) - 1 + (p_a - p_b) / 2) > 1e-13:
            assert got == exact
        seen.append(exact)
    assert 50 < sum(seen) < len(seen) - 50


def test_the_uniform_condition_is_tight():
    """Cells of a tenth of the interval, shifted by three: the answer and a rival meet."""
    base = [Fraction(1, 10)] * 10 + [Fraction(0)] * 3
    for tenths, safe in ((81, False), (82, True)):
        p, q = Fraction(tenths, 100), Fraction(21, 100)
        ours = neyman_pearson.worst_case(p, base, base[::-1]).value
        theirs = 1 - neyman_pearson.worst_case(1 - q, base, base[::-1]).value
        assert (ours > theirs) == safe
        assert (p - q > 2 * Fraction(3, 10)) == safe
    assert backdoor.uniform_certified([0.79, 0.81], 0.19, 0.0, 1.0, [0.3]).tolist() == [False, True]


def test_uniform_limits():
    assert backdoor.uniform_certified(0.51, 0.49, 0, 1, np.zeros(0))
    assert not backdoor.uniform_certified(1.0, 0.0, 0, 1, [1.5])
    # A loose p_b is replaced by 1 - p_a.
    assert backdoor.uniform_certified(0.9, 1.0, 0, 1, [0.3])


# Nearest neighbours


def _chi_by_hand(r, m, dim):
    """Density and distribution function of the noncentral chi law in 1 or 3 dimensions."""
    if dim == 1:
        return mpmath.npdf(r - m) + mpmath.npdf(r + m), mpmath.ncdf(r - m) - mpmath.ncdf(-r - m)
    difference = mpmath.npdf(r - m) - mpmath.npdf(r + m)
    return r / m * difference, mpmath.ncdf(r - m) - mpmath.ncdf(-r - m) - difference / m


@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("sigma", [0.3, 1.7])
def test_the_nearest_of_three_to_twenty_digits(dim, sigma):
    rng = np.random.default_rng(dim)
    train, test = rng.normal(size=(3, dim)), rng.normal(size=(1, dim))
    scaled = [mpmath.norm(list(x)) / mpmath.mpf(sigma) for x in train - test]

    def integrand(i, r):
        laws = [_chi_by_hand(r, m, dim) for m in scaled]
        return laws[i][0] * mpmath.fprod(1 - laws[j][1] for j in range(3) if j != i)

    got = backdoor.nearest_neighbour_probabilities(train, test, sigma)[0]
    ends = [0, 3, 6, min(scaled) + 10]
    with mpmath.workdps(20):
        exact = [mpmath.quad(lambda r, i=i: integrand(i, r), ends) for i in range(3)]
    assert sum(abs(float(e - g)) for e, g in zip(exact, got.tolist(), strict=True)) < 1e-13


@pytest.mark.parametrize("order", ["C", "F"])
def test_two_points_equally_far_away_are_equally_likely_in_many_dimensions(order):
    # After the first square each of the others is rounded away, if they are added one by one.
    offset = np.array([1.0] + 99_999 * [1e-8])
    train = np.array([offset, offset[::-1]], order=order)
    got = backdoor.nearest_neighbour_probabilities(train, np.zeros((1, 100_000)), 1 / 9e4)
    assert np.abs(got - 0.5).sum() < nearest_neighbour.ERROR


def test_more_dimensions_than_the_error_was_measured_for_are_refused():
    many = np.zeros((2, nearest_neighbour.MOST_DIMENSIONS + 1), np.float32)
    with pytest.raises(ValueError, match="train_x has 1048577 features: give at most 1048576"):
        backdoor.nearest_neighbour_probabilities(many, many[:1], 1.0)


def _nearer_centre(dim, m):
    """P(||g|| < ||m e + g'||): the right side is Poisson(m^2 / 2) many pairs of dimensions more.

    With i more, the centre is farther with a probability less by 2^-(dim + i) / (a B(a, dim / 2)),
    a = dim / 2 + i.
    """
    half, rate = mpmath.mpf(dim) / 2, mpmath.mpf(m) ** 2 / 2
    weight, lead, total = mpmath.exp(-rate), mpmath.mpf(0), mpmath.mpf(1) / 2
    for i in range(int(rate + 60 * mpmath.sqrt(rate + 10) + 80)):
        total += weight * lead
        a = half + i
        log = mpmath.loggamma(a + half) - mpmath.loggamma(a) - mpmath.loggamma(half)
        lead += mpmath.exp(log - (dim + i) * mpmath.log(2)) / a
        weight *= rate / (i + 1)
    return total


@pytest.mark.parametrize(
    ("dim", "measured"), [(1_000, 1e-12), (10_000, 1e-12), (100_000, 1e-11), (2**20, 1e-10)]
)
def test_the_error_in_many_dimensions_is_as_stated(dim, measured):
    train = np.zeros((2, dim))
    for part in (0.7, 1.6, 2.5):
        train[1, 0] = m = part * dim**0.25
        got = backdoor.nearest_neighbour_probabilities(train, np.zeros((1, dim)), 1.0)[0]
        with mpmath.workdps(40):
            exact = _nearer_centre(dim, m)
        assert abs(got[0] - exact) + abs(got[1] - (1 - exact)) < measured


def _on_a_grid(distances, dim):
    """SciPy's noncentral chi-squared law on a fine grid of radii, for Simpson's rule."""
    m = np.maximum(distances, 1e-8)[:, None]
    start = max(1e-9, np.hypot(m.min(), (dim - 1) ** 0.5) - 9)
    r = np.linspace(start, np.hypot(m.max(), dim**0.5) + 9, 8001)
    return r, 2 * r * stats.ncx2.pdf(r**2, dim, m**2), stats.ncx2.cdf(r**2, dim, m**2)


@pytest.mark.parametrize(("n", "dim", "sigma"), [(40, 784, 0.5), (25, 56, 3.0), (60, 2, 0.2)])
def test_the_nearest_of_many_against_another_quadrature(n, dim, sigma):
    rng = np.random.default_rng(n)
    train, test = rng.random((n, dim)), rng.random((2, dim))
    got = backdoor.nearest_neighbour_probabilities(train, test, sigma)
    assert np.abs(got.sum(axis=1) - 1).max() < 1e-12
    for row, x in zip(got, test, strict=True):
        r, density, below = _on_a_grid(np.linalg.norm(train - x, axis=1) / sigma, dim)
        for i in range(n):
            product = density[i] * np.prod(np.delete(1 - below, i, axis=0), axis=0)
            assert integrate.simpson(product, x=r) == pytest.approx(row[i], abs=1e-9)


@pytest.mark.parametrize("neighbours", [1, 2, 3, 4, 5, 6])
def test_the_vote_of_the_nearest_by_all_subsets(neighbours):
    rng = np.random.default_rng(neighbours)
    train, test = rng.normal(size=(6, 3)), rng.normal(size=(2, 3))
    labels = np.array([0, 1, 2, 1, 0, 2])
    got = backdoor.nearest_neighbours_label_probabilities(train, labels, test, 0.8, neighbours, 3)
    for row, x in zip(got, test, strict=True):
        r, density, below = _on_a_grid(np.linalg.norm(train - x, axis=1) / 0.8, 3)
        expected = np.zeros(3)
        for chosen in itertools.combinations(range(6), neighbours):
            flux = np.zeros_like(r)
            for last in chosen:
                inside = [below[j] for j in chosen if j != last]
                outside = [1 - below[j] for j in range(6) if j not in chosen]
                flux += density[last] * np.prod([*inside, *outside, np.ones_like(r)], axis=0)
            winner = np.bincount(labels[list(chosen)], minlength=3).argmax()
            expected[winner] += integrate.simpson(flux, x=r)
        np.testing.assert_allclose(row, expected, atol=1e-9)


def test_one_neighbour_sums_the_points_of_each_label():
    rng = np.random.default_rng(9)
    train, test, labels = rng.random((200, 64)), rng.random((5, 64)), rng.integers(0, 10, 200)
    single = backdoor.nearest_neighbour_probabilities(train, test, 0.4)
    votes = backdoor.nearest_neighbours_label_probabilities(train, labels, test, 0.4, 1, 10)
    summed = single @ np.eye(10)[labels]
    np.testing.assert_allclose(votes, summed, atol=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 784])
@pytest.mark.parametrize("sigma", [1e-4, 1.0, 100.0])
def test_equally_far_points_are_equally_likely(dim, sigma):
    """A thousand of them crowd the nearest distance into a small part of one distribution."""
    train, test = np.zeros((1000, dim)), np.ones((1, dim)) / np.sqrt(dim)
    got = backdoor.nearest_neighbour_probabilities(train, test, sigma)
    np.testing.assert_allclose(got, 1e-3, rtol=1e-9)


def test_rows_do_not_depend_on_the_chunks(monkeypatch):
    rng = np.random.default_rng(4)
    train, test = rng.random((7, 5)), rng.random((9, 5)) * 3
    whole = backdoor.nearest_neighbour_probabilities(train, test, 0.5)
    monkeypatch.setattr(nearest_neighbour, "_MOST_ENTRIES", 1)
    alone = backdoor.nearest_neighbour_probabilities(train, test, 0.5)
    np.testing.assert_allclose(whole, alone, atol=1e-13)
    assert backdoor.nearest_neighbour_probabilities(train, test[:0], 0.5).shape == (0, 7)


def test_a_quadrature_that_misses_is_told(monkeypatch):
    monkeypatch.setattr(nearest_neighbour, "_PANEL", 100.0)
    monkeypatch.setattr(nearest_neighbour, "_FEWEST", 1)
    monkeypatch.setattr(nearest_neighbour, "_TRIM", 0.0)
    with pytest.raises(RuntimeError, match="the quadrature errs by"):
        backdoor.nearest_neighbour_probabilities(np.zeros((3000, 1)), [[0.0]], 1.0)


def test_buckets_favour_the_first_point_and_are_not_sound():
    """Five equally far points have a fifth each; the share of ties goes to the smallest index."""
    train, test = np.eye(5), np.zeros((1, 5))
    errors = []
    for buckets in (20, 200, 2000):
        got = backdoor.bucketed_nearest_neighbour_probabilities(train, test, 0.7, buckets)[0]
        assert (np.diff(got) < 0).all()
        errors.append(got[0] - 0.2)
    assert errors[0] > 0.05
    assert errors[1] > 0.005
    assert errors[2] == pytest.approx(errors[1] / 10, rel=0.1)


@pytest.mark.parametrize("shrink", [1.0, 0.3])
def test_buckets_are_those_of_the_official_code(shrink):
    """Every placement of three points in five buckets, the last one open, the first cut off."""
    rng = np.random.default_rng(7)
    train, test, sigma = rng.random((3, 4)), rng.random((1, 4)), 0.6
    edges = np.linspace(
        stats.chi2.ppf(1e-4, 4 * shrink),
        stats.ncx2.ppf(1 - 1e-4, 4, 4 * shrink / sigma**2),
        5,
    )
    far = ((train - test) ** 2).sum(axis=1) / sigma**2
    below = np.array([stats.ncx2.cdf(np.append(edges, np.inf), 4, each) for each in far])
    share = np.zeros(3)
    for placed in itertools.product(range(5), repeat=3):
        chances = [np.diff(below)[i, at] for i, at in enumerate(placed)]
        share[np.argmin(placed)] += math.prod(chances)
    got = backdoor.bucketed_nearest_neighbour_probabilities(train, test, sigma, 5, shrink)[0]
    np.testing.assert_allclose(got, share / share.sum(), rtol=1e-9)


@pytest.mark.parametrize("dim", [1, 2, 3, 20, 49, 50, 784, 3072])
def test_the_density_of_the_noncentral_chi_law(dim):
    nu = mpmath.mpf(dim) / 2 - 1
    for m in (0.0, 1e-9, 0.3, 4.7, 40.0, 1000.0):
        r = np.hypot(dim**0.5, m) + np.array([-4.0, -0.5, 0.0, 3.0])
        r = r[r > 0]
        got = noncentral_chi.log_density(r, np.full_like(r, m), dim)
        for x, log in zip(r.tolist(), got.tolist(), strict=True):
            z = mpmath.mpf(x) * mpmath.mpf(m)
            exact = (2 * nu + 1) * mpmath.log(x) - (mpmath.mpf(x) ** 2 + mpmath.mpf(m) ** 2) / 2
            exact -= nu * mpmath.log(2) + mpmath.loggamma(nu + 1)
            with mpmath.workdps(500 if m > 100 else 40):
                exact += mpmath.log(mpmath.hyp0f1(nu + 1, z**2 / 4))
            assert log == pytest.approx(float(exact), abs=2e-12)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: backdoor.gaussian_radius(0.9, 1.5, 1), "p_b is 1.5"),
        (lambda: backdoor.gaussian_radius(0.9, 0.1, 1, 0), "poisoned is 0"),
        (lambda: backdoor.uniform_certified(1.5, 0, 0, 1, [0.1]), "p_a is 1.5"),
        (lambda: backdoor.uniform_certified(0.9, 0.1, 1, 1, [0.1]), "low is 1.0 and high 1.0"),
        (lambda: backdoor.uniform_certified(0.9, 0.1, 0, np.inf, [0.1]), "high inf"),
        (lambda: backdoor.nearest_neighbour_probabilities([0.0], [[1.0]], 1), "train_x has shape"),
        (lambda: backdoor.nearest_neighbour_probabilities([[0.0]], [[1.0]], 0), "sigma is 0"),
        (
            lambda: backdoor.nearest_neighbour_probabilities([[0.0]], [[1.0]], 1e-6),
            "sigma is 1e-06",
        ),
        (lambda: backdoor.nearest_neighbour_probabilities([[np.inf]], [[1.0]], 1), "train_x holds"),
        (
            lambda: backdoor.nearest_neighbours_label_probabilities([[0.0]], [2], [[1.0]], 1),
            "train_y holds 2: give labels below 2",
        ),
        (
            lambda: backdoor.nearest_neighbours_label_probabilities([[0.0]], [0, 1], [[1.0]], 1),
            r"train_y has shape \(2,\)",
        ),
        (
            lambda: backdoor.nearest_neighbours_label_probabilities([[0.0]], [0], [[1.0]], 1, 2),
            "neighbours is 2: give at most the number of points, 1",
        ),
        (
            lambda: backdoor.bucketed_nearest_neighbour_probabilities([[0.0]], [[1.0]], 1, 0),
            "buckets is 0",
        ),
    ],
)
def test_bad_input_is_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()
