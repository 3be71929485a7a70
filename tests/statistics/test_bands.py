"""Simultaneous bands: exact errors by brute force and by the walk, coverage on laws of scores.

Seeded; one test of simulated coverage, whose failure probability stands there.
"""

from fractions import Fraction
from itertools import product
from math import comb, factorial

import numpy as np
import pytest
from scipy import special, stats

from rs_lib.statistics import bands, clopper_pearson_lower
from rs_lib.statistics.bands import exact_level, survival_lower


def _brute_force(n, ranks, levels):
    """Each of n numbers in one of the cells between the levels: all outcomes."""
    edges = [Fraction(0), *levels, Fraction(1)]
    missed = Fraction(0)
    for cells in product(range(len(levels) + 1), repeat=n):
        chance = Fraction(1)
        for cell in cells:
            chance *= edges[cell + 1] - edges[cell]
        ordered = sorted(cells)
        # U_(j) > u_i if and only if the j-th smallest lies in a cell behind the i-th level.
        if any(ordered[rank - 1] > i for i, rank in enumerate(ranks)):
            missed += chance
    return missed


def test_a_given_level():
    assert exact_level(4, [1, 3], [Fraction(1, 2), Fraction(4, 5)]) == Fraction(421, 2000)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_exact_levels_by_all_outcomes(n):
    rng = np.random.default_rng(n)
    for _ in range(12):
        m = int(rng.integers(1, min(n, 3) + 1))
        ranks = sorted(rng.choice(np.arange(1, n + 1), m, replace=False).tolist())
        levels = sorted(Fraction(int(k), 12) for k in rng.integers(0, 13, m))
        assert exact_level(n, ranks, levels) == _brute_force(n, ranks, levels)


def test_one_rank_is_a_binomial_tail():
    for n, rank, level in ((7, 3, "0.3"), (40, 1, "0.05"), (40, 40, "0.9")):
        u = Fraction(level)
        tail = sum(comb(n, k) * u**k * (1 - u) ** (n - k) for k in range(rank))
        assert exact_level(n, [rank], [u]) == tail


@pytest.mark.parametrize("n", [1, 2, 6, 25])
@pytest.mark.parametrize("slope", ["1", "3/2", "20"])
def test_the_theorem_of_daniels(n, slope):
    """P(F_n(t) <= c t for all t) = 1 - 1/c, seen from the other end: U_(j) -> 1 - U_(n+1-j)."""
    c = Fraction(slope)
    levels = [1 - Fraction(n + 1 - j, n) / c for j in range(1, n + 1)]
    assert exact_level(n, range(1, n + 1), levels) == 1 / c


@pytest.mark.parametrize("alpha", [0.5, 0.05, 1e-3])
@pytest.mark.parametrize("n", [1, 2, 5, 20, 50, 90])
def test_the_band_misses_no_more_often_than_alpha_exactly(n, alpha):
    """All n ranks at once: F <= u_j wherever fewer than j samples lie below, for every law."""
    bounds = bands._by_failures(n, alpha)
    levels = [1 - Fraction(float(bound)) for bound in bounds[:-1]]
    error = exact_level(n, range(1, n + 1), levels)
    assert error <= Fraction(alpha)
    if n > 2:
        assert error >= Fraction(alpha) / 4  # and is not far too careful


@pytest.mark.parametrize("alpha", [0.3, 0.05])
def test_coverage_on_laws_of_four_scores_by_all_histograms(alpha):
    n = 12
    for masses in ([Fraction(1, 4)] * 4, [Fraction(k, 20) for k in (1, 2, 2, 15)]):
        truth = [sum(masses[j:]) for j in range(4)]
        missed = Fraction(0)
        for counts in product(range(n + 1), repeat=3):
            if sum(counts) <= n:
                full = [*counts, n - sum(counts)]
                found = survival_lower(full, alpha)
                if any(Fraction(float(f)) > t for f, t in zip(found, truth, strict=True)):
                    ways = factorial(n)
                    chance = Fraction(1)
                    for count, mass in zip(full, masses, strict=True):
                        ways //= factorial(count)
                        chance *= mass**count
                    missed += ways * chance
        assert missed <= Fraction(alpha)


def test_simulated_coverage():
    """2000 rows at alpha 0.2: more than 505 misses have probability below 1e-8 if it holds."""
    rng = np.random.default_rng(1)
    masses = rng.dirichlet(np.ones(64) / 4)
    truth = np.cumsum(masses[::-1])[::-1]
    counts = rng.multinomial(300, masses, size=2000)
    missed = (survival_lower(counts, 0.2) > truth * (1 + 1e-12)).any(axis=1).sum()
    assert stats.binom.sf(505, 2000, 0.2) < 1e-8
    assert missed <= 505


def test_bounds_are_valid_tight_at_the_top_and_never_rise():
    counts = np.array([[0, 0, 0, 1000], [10, 20, 70, 900], [1000, 0, 0, 0]])
    found = survival_lower(counts, 0.001)
    assert found.shape == counts.shape
    assert (found[:, 0] == 1).all()
    assert (np.diff(found, axis=1) <= 0).all()
    tails = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    alone = clopper_pearson_lower(tails, 1000, 0.001)
    assert (found[:, 1:] <= alone[:, 1:]).all()
    # Certified z of unanimous samples, from the sheet: 2.319, 3.067, 3.691.
    for n, z in ((1_000, 2.319), (10_000, 3.067), (100_000, 3.691)):
        assert special.ndtri(survival_lower([0, n], 0.001)[1]) == pytest.approx(z, abs=6e-4)
    # In the middle the band of constant width counts: sqrt(log(2 / alpha) / 2n).
    wide = survival_lower([50_000, 50_000], 0.001)[1]
    assert 0.5 - wide == pytest.approx(0.006165, abs=1e-6)


def test_given_ceilings_of_ten_thousand_unanimous_samples():
    n, alpha = 10_000, 0.001
    for level, z in ((alpha, 3.1985775147383316313), (alpha / 23, 3.0890995472243502787)):
        assert special.ndtri(clopper_pearson_lower(n, n, level)) == pytest.approx(z, rel=1e-9)


def test_rows_of_unequal_samples_are_like_single_rows():
    rng = np.random.default_rng(2)
    counts = rng.integers(0, 30, (2, 5, 16)) + np.eye(16, dtype=int)[0]
    found = survival_lower(counts, 0.01)
    for place in np.ndindex(2, 5):
        np.testing.assert_array_equal(found[place], survival_lower(counts[place], 0.01))
    np.testing.assert_array_equal(survival_lower(counts.astype(np.uint16), 0.01), found)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: survival_lower([], 0.1), "counts has shape"),
        (lambda: survival_lower(5, 0.1), "counts has shape"),
        (lambda: survival_lower([0, 0], 0.1), "counts has a row of 0 samples"),
        (lambda: survival_lower([1, -1], 0.1), "counts is -1"),
        (lambda: survival_lower([1.5, 1], 0.1), "counts is 1.5"),
        (lambda: survival_lower([np.nan, 1], 0.1), "counts holds NaN"),
        (lambda: survival_lower([10**8], 0.1), "counts holds 100000000"),
        (lambda: survival_lower([10**7, 1], 0.1), "counts has a row of 10000001"),
        (lambda: survival_lower([1, 1], 0.0), "alpha is"),
        (lambda: survival_lower([1, 1], [0.1, 0.2]), "alpha is"),
        (lambda: exact_level(0, [1], [0.5]), "n is 0"),
        (lambda: exact_level(4, [], []), "levels has 0 entries"),
        (lambda: exact_level(4, 1, 0.5), "ranks is 1: give a list"),
        (lambda: exact_level(4, [1], 0.5), "levels is 0.5: give a list"),
        (lambda: exact_level(4, [1, 2], [0.5]), "levels has 1 entries but ranks 2"),
        (lambda: exact_level(4, [2, 1], [0.5, 0.6]), "ranks is"),
        (lambda: exact_level(4, [1, 5], [0.5, 0.6]), "ranks is 5"),
        (lambda: exact_level(4, [0], [0.5]), "ranks is 0"),
        (lambda: exact_level(4, [1, 2], [0.6, 0.5]), "levels is"),
        (lambda: exact_level(4, [1], [1.5]), "levels is"),
        (lambda: exact_level(4, [1], [float("nan")]), "levels is"),
        (lambda: exact_level(10**6, [1], [0.5]), "n is 1000000"),
        (lambda: exact_level(2000, range(1, 2001), [0.5] * 2000), "ranks is"),
    ],
)
def test_bad_bands_are_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_the_least_alpha_is_named_as_given():
    assert survival_lower([0, 100_000], 1e-57)[1] > 0.99
    with pytest.raises(ValueError, match="alpha is 1e-58: give at least 1e-57"):
        survival_lower([0, 100_000], 1e-58)
