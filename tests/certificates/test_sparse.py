"""Sparsity-aware noise against enumeration of all points, closed forms and uniform noise."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rs_lib.certificates import discrete, neyman_pearson, sparse

HALF = Fraction(1, 2)
PROBABILITIES = [Fraction(i, 12) for i in range(13)]


def _enumerated(added, deleted, f, g):
    """Laws on all points: x = 0^added 1^deleted 01 and x' = 1^added 0^deleted 01."""
    x = [0] * added + [1] * deleted + [0, 1]
    shifted = [1] * added + [0] * deleted + [0, 1]
    laws = []
    for centre in (x, shifted):
        law = []
        for point in itertools.product((0, 1), repeat=len(x)):
            mass = Fraction(1)
            for value, origin in zip(point, centre, strict=True):
                change = f if origin == 0 else g
                mass *= 1 - change if value == origin else change
            law.append(mass)
        laws.append(law)
    return laws


@pytest.mark.parametrize("p_delete", ["0", "0.6", "0.7", "1"])
@pytest.mark.parametrize("p_add", ["0", "0.01", "0.4", "1"])
def test_the_worst_case_over_all_points_in_small_dimensions(p_add, p_delete):
    """Among the cases: ratios that are infinite, f + g = 1, and f + g > 1."""
    for added, deleted in itertools.product(range(3), range(3)):
        laws = _enumerated(added, deleted, Fraction(p_add), Fraction(p_delete))
        for p in PROBABILITIES:
            exact = neyman_pearson.worst_case(p, *laws).value
            assert sparse.worst_case(p, added, deleted, p_add, p_delete) == exact


def test_linear_programming():
    for p, (added, deleted) in itertools.product((0.3, 0.8, 0.97), ((1, 2), (2, 1), (0, 3))):
        laws = _enumerated(added, deleted, Fraction(1, 10), Fraction(3, 5))
        solved = neyman_pearson.linear_programme(p, *(np.array(law, float) for law in laws))
        exact = sparse.worst_case(Fraction(p), added, deleted, "0.1", "0.6")
        assert solved == pytest.approx(float(exact), abs=1e-8)


def test_equal_probabilities_are_the_uniform_noise_of_two_values():
    for added, deleted in itertools.product(range(5), range(5)):
        for flip in ("0.1", "0.5", "0.8"):
            keep = 1 - Fraction(flip)
            for p in PROBABILITIES:
                assert sparse.worst_case(p, added, deleted, flip, flip) == discrete.worst_case(
                    p, added + deleted, keep
                )


@settings(deadline=None, derandomize=True)
@given(
    st.fractions(0, 1, max_denominator=50),
    st.fractions(0, 1, max_denominator=20),
    st.integers(0, 6),
    st.integers(0, 6),
)
def test_without_additions_the_worst_case_has_a_closed_form(p, g, added, deleted):
    """f = 0: only outcomes that both reach count, the mass g^d under x and g^a under x'."""
    shared, kept = g**deleted, g**added
    expected = max(Fraction(0), p - (1 - shared)) * kept / shared if shared else Fraction(0)
    assert sparse.worst_case(p, added, deleted, 0, g) == expected


@settings(deadline=None, derandomize=True)
@given(
    st.fractions(0, 1, max_denominator=50),
    st.fractions(0, 1, max_denominator=20),
    st.fractions(0, 1, max_denominator=20),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_the_worst_case_falls_with_either_count(p, f, g, added, deleted):
    here = sparse.worst_case(p, added, deleted, f, g)
    assert sparse.worst_case(p, added + 1, deleted, f, g) <= here
    assert sparse.worst_case(p, added, deleted + 1, f, g) <= here <= p
    # A group is what its parts are together; additions mirror deletions seen from x'.
    parts = sparse.regions(added, 0, f, g).joint(sparse.regions(0, deleted, f, g))
    assert parts.worst_case(p) == here


def test_the_grid_of_certificates_compares_exactly():
    p = np.array([0.5, 0.7, 0.9, 0.99, 1.0])
    added, deleted = np.arange(4), np.arange(7)
    got = sparse.certified(p[:, None, None], added[:, None], deleted, "0.01", "0.6")
    assert got.shape == (5, 4, 7)
    for (i, a, d), answer in np.ndenumerate(got):
        assert answer == (sparse.worst_case(Fraction(p[i]), a, d, "0.01", "0.6") > HALF)
    assert 10 < got[1:4].sum() < got[1:4].size - 10
    # Threshold 3/4 of one deletion without additions (g = 1/2): a float next to it is told apart.
    assert sparse.threshold(0, 1, 0, "0.5") == Fraction(3, 4)
    assert sparse.certified([0.75, np.nextafter(0.75, 1)], 0, 1, 0, "0.5").tolist() == [False, True]


def test_noise_that_forgets_the_data_certifies_everything():
    assert sparse.certified([0.5, 0.51], 30, 30, "0.3", "0.7").tolist() == [False, True]
    assert not sparse.certified(1.0, 1, 0, 0, 0)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: sparse.worst_case("0.5", 1, 1, 0.1, "0.6"), "p_add is 0.1: give a Fraction"),
        (lambda: sparse.worst_case("0.5", 1, 1, "0.1", "1.6"), "p_delete is '1.6'"),
        (lambda: sparse.worst_case("0.5", -1, 1, "0.1", "0.6"), "added is -1"),
        (lambda: sparse.threshold(1, 0.5, "0.1", "0.6"), "deleted is 0.5"),
        (lambda: sparse.certified(-0.1, 1, 1, "0.1", "0.6"), "p_lower is -0.1"),
    ],
)
def test_bad_numbers_are_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()
