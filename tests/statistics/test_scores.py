"""CAT-RS's count, anchors, the vote margin and its companions: exact, attained, within bounds.

Nothing here is random but seeded draws of cases, each of which is checked for certain.
"""

from fractions import Fraction
from itertools import pairwise, product
from math import comb

import mpmath
import numpy as np
import pytest
from scipy import integrate, optimize, special

from rs_lib.certificates import gaussian
from rs_lib.statistics import (
    average_certified_radius,
    average_certified_radius_bounds,
    certified_accuracy,
    paired,
    vote_margin,
)
from rs_lib.statistics.anchors import barrier, largest_error
from rs_lib.statistics.bottom_k import distribution

# CAT-RS's K


@pytest.mark.parametrize(
    ("votes", "p", "all_kept", "none_kept", "kept_share", "variance"),
    [
        (4, "9/10", "240453/320000", "1733/320000", "1153733/1280000", "63/100"),
        (2, "1/2", "3/8", "3/8", "11/16", "3/4"),
        (4, "1/2", "85/512", "85/512", "1109/2048", "7/4"),
    ],
)
def test_given_laws_of_k(votes, p, all_kept, none_kept, kept_share, variance):
    law, share = distribution(votes, Fraction(p)), Fraction(p)
    assert law[-1] == Fraction(all_kept)
    assert law[0] == Fraction(none_kept)
    assert sum(max(k, 1) * q for k, q in enumerate(law)) / votes == Fraction(kept_share)
    assert sum((k - votes * share) ** 2 * q for k, q in enumerate(law)) == Fraction(variance)


@pytest.mark.parametrize("votes", [1, 2, 3, 4])
def test_the_law_of_k_by_all_outcomes(votes):
    """Each vote right or wrong, then each of the draws from their share."""
    p = Fraction(2, 7)
    law = [Fraction(0)] * (votes + 1)
    for hits in product((0, 1), repeat=votes):
        chance = Fraction(1)
        for hit in hits:
            chance *= p if hit else 1 - p
        share = Fraction(sum(hits), votes)
        for draws in product((0, 1), repeat=votes):
            weight = chance
            for draw in draws:
                weight *= share if draw else 1 - share
            law[sum(draws)] += weight
    assert distribution(votes, p) == tuple(law)


def test_moments_and_symmetry_of_k():
    for votes in (1, 2, 5, 16):
        for p in (Fraction(0), Fraction(1, 3), Fraction(9, 10), Fraction(1)):
            law = distribution(votes, p)
            assert sum(law) == 1
            mean = sum(k * q for k, q in enumerate(law))
            assert mean == votes * p
            assert sum(k * k * q for k, q in enumerate(law)) - mean**2 == (
                p * (1 - p) * (2 * votes - 1)
            )
            assert law == distribution(votes, 1 - p)[::-1]
            assert law[-1] >= p**votes
    assert distribution(3, 0.5) == distribution(3, "0.5")


@pytest.mark.parametrize("votes", [1, 2, 4, 7])
def test_images_without_hope_keep_a_weight_that_grows_with_p(votes):
    """E max(K, 1) / M is 1/M at p = 0, and its slope there is (1 - 1/M)^M: not 0 for M > 1."""
    p = Fraction(1, 10**12)
    share = sum(max(k, 1) * q for k, q in enumerate(distribution(votes, p))) / votes
    assert share == p + distribution(votes, p)[0] / votes
    slope = (share - Fraction(1, votes)) / p
    assert abs(slope - Fraction(votes - 1, votes) ** votes) < Fraction(votes**2, 10**11)


@pytest.mark.parametrize(
    ("votes", "p", "message"),
    [
        (0, "0.5", "votes is 0"),
        (201, "0.5", "votes is 201"),
        (2.5, "0.5", "votes is 2.5"),
        (4, "1.5", "p is '1.5'"),
        (4, float("nan"), "p is nan"),
        (4, None, "p is None"),
    ],
)
def test_bad_votes_are_refused(votes, p, message):
    with pytest.raises(ValueError, match=message):
        distribution(votes, p)


# Anchors


def test_given_barriers():
    assert barrier([0.6, 0.3, 0.1]) == pytest.approx(0.05096971103861924187, rel=1e-13)
    assert barrier([1.0, 0.0, 0.0]) == pytest.approx(np.log(2), rel=1e-13)
    assert barrier([[0.4, 0.4, 0.2], [0.1, 0.9, 0.0]]).shape == (2,)
    assert barrier([0.4, 0.4, 0.2]) == 0


def test_barriers_are_below_their_exact_value_and_close_to_it():
    rng = np.random.default_rng(1)
    with mpmath.workdps(50):
        for _ in range(300):
            gap = 10.0 ** rng.uniform(-12, 0) * 0.5
            q = np.array([0.5 + gap, 0.5 - gap]) * rng.choice([1.0, 0.6])
            rest = 1 - q.sum()
            if q[1] < rest / 2:
                continue  # another one is the runner-up
            a, b = (mpmath.mpf(float(x)) for x in q)
            exact = a * mpmath.log(2 * a / (a + b))
            exact += b * mpmath.log(2 * b / (a + b)) if b else 0
            row = [*q, rest / 2, rest / 2] if rest > 0 else q
            found = float(barrier(row))
            assert found <= exact
            assert exact - found <= 1e-13 * exact + abs(mpmath.fsum([*map(float, row), -1.0]))


@pytest.mark.parametrize(
    "q",
    [
        (Fraction(1, 3), Fraction(2, 3)),
        (Fraction(3502, 7003), Fraction(3501, 7003)),
        (Fraction(1, 2) + Fraction(0.501) / 2**53, Fraction(1, 2) - Fraction(0.501) / 2**53),
        (Fraction(1, 2), Fraction(3, 10), Fraction(1, 5)),
    ],
)
def test_barriers_of_fractions_are_below_their_exact_value(q):
    with mpmath.workdps(60):
        a, b = (mpmath.mpf(x.numerator) / x.denominator for x in q[:2])
        a, b = max(a, b), min(a, b)
        exact = a * mpmath.log(2 * a / (a + b)) + b * mpmath.log(2 * b / (a + b))
        assert exact - 1e-15 <= float(barrier(q)) <= exact


def test_barriers_are_least_divergences():
    """A solver over all F that put another class first finds no less, and comes close."""
    rng = np.random.default_rng(2)
    for _ in range(10):
        q = np.sort(rng.dirichlet(np.ones(4)))[::-1]
        if q[0] - q[1] < 0.05:
            continue
        best = np.inf
        for j in range(1, 4):
            found = optimize.minimize(
                lambda f, q=q: float((q * np.log(q / np.maximum(f, 1e-12))).sum()),
                np.full(4, 0.25),
                constraints=[
                    {"type": "eq", "fun": lambda f: f.sum() - 1},
                    {"type": "ineq", "fun": lambda f, j=j: f[j] - f[0]},
                ],
                bounds=[(1e-9, 1)] * 4,
                method="SLSQP",
                options={"ftol": 1e-14, "maxiter": 300},
            )
            best = min(best, found.fun)
        assert best == pytest.approx(barrier(q), abs=1e-7)


def test_given_largest_errors():
    found = largest_error([0.75, 0.9, 0.6], [0.05, 0.1, 0.01])
    exact = [0.25173540376431409887, 0.1489965699899991277, 0.32691301254417134474]
    np.testing.assert_allclose(found, exact, rtol=1e-13)
    radii = gaussian.radius(1 - found, 1.0)
    np.testing.assert_allclose(
        radii,
        [0.66903867488107488913, 1.0407466634514580664, 0.44845337948822230129],
        rtol=1e-12,
    )


def _divergence(p, q):
    """Least E KL for that share q of noise at 1/2, at 50 digits."""

    def coin(a, b):
        value = a * mpmath.log(a / b)
        return value + ((1 - a) * mpmath.log((1 - a) / (1 - b)) if a < 1 else 0)

    return q * coin(p, mpmath.mpf(1) / 2) + (1 - q) * coin(p, (p - q / 2) / (1 - q))


def test_largest_errors_are_above_their_exact_value_and_close_to_it():
    rng = np.random.default_rng(3)
    with mpmath.workdps(60):
        for _ in range(300):
            p = rng.choice(
                [0.5 + 10.0 ** rng.uniform(-10, -0.31), 1 - 10.0 ** rng.uniform(-12, -0.4)]
            )
            budget = 10.0 ** rng.uniform(-12, 1.5)
            error = float(largest_error(p, budget))
            exact_p = mpmath.mpf(float(p))
            most = 2 * (1 - exact_p)
            assert 0 < error <= most
            if error < most:
                assert _divergence(exact_p, mpmath.mpf(error)) >= mpmath.mpf(budget)
            less = mpmath.mpf(error) * (1 - mpmath.mpf(10) ** -12)
            assert _divergence(exact_p, less) < mpmath.mpf(budget)


def test_linear_programmes_over_laws_of_scores_agree():
    """Largest mass at or below 1/2 of a law on a grid, with that mean and that mean divergence."""
    for p, budget in ((0.75, 0.05), (0.9, 0.1), (0.6, 0.01)):
        error = float(largest_error(p, budget))
        upper = (p - error / 2) / (1 - error)
        grid = np.unique(np.append(np.linspace(0.001, 0.999, 400), [0.5, upper]))
        cost = p * np.log(p / grid) + (1 - p) * np.log((1 - p) / (1 - grid))
        found = -optimize.linprog(
            -(grid <= 0.5).astype(float),
            A_ub=[cost],
            b_ub=[budget],
            A_eq=[np.ones(grid.size), grid],
            b_eq=[1.0, p],
        ).fun
        assert found == pytest.approx(error, abs=1e-9)


def test_largest_errors_at_the_ends():
    assert largest_error([0.5, 0.2, 1.0, 1.0], [0.1, 0.0, 3.0, np.inf]).tolist() == [1, 1, 0, 0]
    assert largest_error(0.75, np.inf) == 0.5
    assert largest_error(0.75, 0.0) == 0.0
    assert largest_error(np.full((2, 1), 0.8), [0.1, 0.2, 0.3]).shape == (2, 3)
    errors = largest_error(np.linspace(0.51, 0.99, 30)[:, None], np.geomspace(1e-6, 3, 20))
    assert (np.diff(errors, axis=1) >= 0).all()
    assert (np.diff(errors, axis=0) <= 1e-15).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: barrier([0.5]), "q has shape"),
        (lambda: barrier(0.5), "q has shape"),
        (lambda: barrier([0.5, 0.4]), "q has a row of sum 0.9"),
        (lambda: barrier([1.5, -0.5]), "q is"),
        (lambda: barrier([np.nan, 0.5]), "q holds NaN"),
        (lambda: largest_error(1.2, 0.1), "p_bar is 1.2"),
        (lambda: largest_error(0.9, -0.1), "divergence is -0.1"),
        (lambda: largest_error(0.9, np.nan), "divergence holds NaN"),
        (lambda: largest_error([0.9, 0.8], [0.1] * 3), "shapes are p_bar"),
    ],
)
def test_bad_anchors_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Vote margin, bounds of the average certified radius, pairs

P = np.array([0.2, 0.6, 0.9, 0.99])


def test_given_margins_and_bounds():
    right = [False, True, True, True]
    radii = 0.5 * np.maximum(special.ndtri(P), 0)
    assert average_certified_radius(radii, right) == pytest.approx(
        0.48265581784015517083, rel=1e-14
    )
    for flags in (right, [True] * 4):
        assert vote_margin(P, flags) == pytest.approx(2 * 0.2475, rel=1e-14)
        low, high = average_certified_radius_bounds(P, flags, 0.5, 0.001**0.001)
        assert low == pytest.approx(0.22341348269311295905, rel=1e-13)
        assert high == pytest.approx(0.83401336181910390455, rel=1e-13)
    moved = np.array([0.2, 0.55, 0.95, 0.99])
    assert vote_margin(moved, right) == pytest.approx(vote_margin(P, right), rel=1e-14)
    radii = 0.5 * np.maximum(special.ndtri(moved), 0)
    assert average_certified_radius(radii, right) == pytest.approx(
        0.51210785598092348124, rel=1e-14
    )


def test_the_vote_margin_is_the_certified_accuracy_over_the_normal_density():
    radii = 0.5 * np.maximum(special.ndtri(P), 0)
    right = [0, 1, 1, 0]
    edges = [0.0, *radii[1:3]]
    integral = sum(
        integrate.quad(
            lambda r: (
                certified_accuracy(radii, right, r)
                * np.exp(-((r / 0.5) ** 2) / 2)
                / (0.5 * np.sqrt(2 * np.pi))
            ),
            low,
            high,
        )[0]
        for low, high in pairwise(edges)
    )
    assert vote_margin(P, right) == pytest.approx(2 * integral, rel=1e-9)


def test_the_average_certified_radius_lies_within_its_bounds():
    rng = np.random.default_rng(4)
    for _ in range(300):
        p = np.where(rng.random(30) < 0.3, rng.random(30), 1 - 10.0 ** rng.uniform(-9, 0, 30))
        right = rng.random(30) < 0.8
        sigma = 10.0 ** rng.uniform(-2, 2)
        radius = average_certified_radius(gaussian.radius(p, sigma), right)
        low, high = average_certified_radius_bounds(p, right, sigma)
        assert low <= radius * (1 + 1e-13)
        assert radius <= high * (1 + 1e-13)
        wider = average_certified_radius_bounds(p, right, sigma, 1 - 1e-12)
        assert wider[0] == low
        assert wider[1] >= high * (1 - 1e-13)


def test_equal_images_attain_jensen_and_all_or_nothing_the_chord():
    with mpmath.workdps(40):
        for p, wrong in ((0.8, 3), (1 - 1e-9, 1), (0.51, 0)):
            z = mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1)
            low, _ = average_certified_radius_bounds([p] * 7, [True] * 7, 0.5)
            assert 0 <= z / 2 - mpmath.mpf(low) <= 1e-6 * z  # the mean's own rounding, amplified
            flags = [True] * 4 + [False] * wrong
            _, high = average_certified_radius_bounds([p] * 4 + [0.0] * wrong, flags, 0.5)
            exact = z / 2 * 4 / (4 + wrong)
            assert 0 <= mpmath.mpf(high) - exact <= 1e-13 * exact


def test_margins_and_bounds_at_the_ends():
    assert vote_margin([0.5, 0.1], [True, True]) == 0
    assert vote_margin([1.0, 1.0], [True, False]) == 0.5
    assert average_certified_radius_bounds([0.5, 0.3], [1, 1], 1.0) == (0.0, 0.0)
    assert average_certified_radius_bounds([0.9, 0.3], [0, 0], 1.0) == (0.0, 0.0)
    low, high = average_certified_radius_bounds([1.0, 0.9], [1, 1], 1.0)
    assert 0 < low < high == np.inf


def test_pairs_are_compared_image_by_image():
    a, b = np.array([1.0, 2.0, 4.0]), np.array([0.5, 2.5, 2.0])
    found = paired(a, b)
    assert found == pytest.approx((2 / 3, np.std(a - b, ddof=1) / 3**0.5, found.t))
    assert found.t == pytest.approx(found.difference / found.error)
    assert paired(b, a) == pytest.approx((-found.difference, found.error, -found.t))
    assert paired([1.0, 2.0], [1.0, 2.0]) == (0.0, 0.0, 0.0)
    assert paired([2.0, 3.0], [1.0, 2.0]) == (1.0, 0.0, np.inf)


def test_published_counts_become_probabilities():
    """A log of n = 20: the mean of the certified radius over the binomial law of the count."""
    n, p = 20, 0.9
    counts = np.arange(n + 1)
    weights = np.array([comb(n, k) * p**k * (1 - p) ** (n - k) for k in counts])
    lower = special.betaincinv(np.maximum(counts, 1), n - np.maximum(counts, 1) + 1, 0.001)
    expected = float(weights @ gaussian.radius(np.where(counts > 0, lower, 0), 1.0))
    assert expected == pytest.approx(0.18852717845089515947, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vote_margin([], []), "p has shape"),
        (lambda: vote_margin([[0.5]], [[1]]), "p has shape"),
        (lambda: vote_margin([0.5], [1, 0]), "correct has shape"),
        (lambda: vote_margin([0.5], [0.5]), "correct holds 0.5"),
        (lambda: vote_margin([1.5], [1]), "p is 1.5"),
        (lambda: vote_margin([np.nan], [1]), "p holds NaN"),
        (lambda: average_certified_radius_bounds([0.9], [1], 0.0), "sigma is"),
        (lambda: average_certified_radius_bounds([0.9], [1], [0.5]), "sigma is"),
        (lambda: average_certified_radius_bounds([0.9], [1], 1, 0.8), "ceiling is 0.8"),
        (lambda: average_certified_radius_bounds([0.9], [1], 1, 1.8), "ceiling is 1.8"),
        (lambda: paired([1.0], [2.0]), "a has shape"),
        (lambda: paired([1.0, 2.0], [2.0]), "a has shape"),
        (lambda: paired([1.0, np.inf], [2.0, 1.0]), "a holds an infinite"),
        (lambda: paired([1.0, 2.0], [np.nan, 1.0]), "b holds NaN"),
    ],
)
def test_bad_scores_are_refused(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


# Numbers finer than a float, and rows whose sum is off


def test_numbers_finer_than_a_float_stay_within_the_bounds():
    near, half = Fraction(10**17 - 1, 10**17), Fraction(1, 2) + Fraction(1, 10**18)
    with mpmath.workdps(40):
        for p in (near, half, Fraction(2, 3)):
            exact = mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p.numerator) / p.denominator - 1)
            low, high = average_certified_radius_bounds([p], [1], 1.0)
            assert low <= exact <= high
        for mean, divergence in ((0.9, 5e-324), (0.75, 1e-310), (0.6, 1e-300)):
            # The quotient by the divergence of coins, which the root falls below for larger ones.
            p = mpmath.mpf(mean)
            coins = p * mpmath.log(2 * p) + (1 - p) * mpmath.log(2 * (1 - p))
            found = largest_error(mean, divergence)
            assert mpmath.mpf(divergence) / coins <= found <= 3 * divergence / coins + 1e-323


@pytest.mark.parametrize(
    "q",
    [[0.5001, 0.4998991], [0.6, 0.3999991], [0.5001, 0.4999009], [0.7, 0.2000005, 0.1], [0.6, 0.4]],
)
def test_a_row_whose_sum_is_off_keeps_its_barrier_below_both_divergences(q):
    with mpmath.workdps(40):
        a, b, *rest = sorted(map(mpmath.mpf, q), reverse=True)
        total = a + b + sum(rest)
        plain = a * mpmath.log(2 * a / (a + b)) + b * mpmath.log(2 * b / (a + b))
        assert barrier(q) <= max(plain / total, 0)
        # F has sum 1 and is q / total but for the two largest entries.
        assert barrier(q) <= max(plain + total * mpmath.log(total), 0)
        assert barrier(q) >= plain - 2e-6


def test_differences_that_overflow_are_refused():
    with pytest.raises(ValueError, match="a and b differ by more than float64 can square"):
        paired([1e308, 1e308], [-1e308, 1.0])
