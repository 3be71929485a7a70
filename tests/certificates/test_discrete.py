"""Certificates on finite alphabets against enumeration of all points, counts and stored values."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rs_lib.certificates import discrete, neyman_pearson
from rs_lib.certificates.regions import power

HALF = Fraction(1, 2)
KEEPS = ["0", "0.1", "1/4", "1/3", "1/2", "0.8", "1"]
PROBABILITIES = [Fraction(i, 12) for i in range(13)]


def _enumerated(kinds, equal):
    """Laws of noisy x and x' on every point of the product of the alphabets.

    `kinds` has (changed coordinates, keep, alternatives); `equal` coordinates agree, of the first.
    """
    coordinates = [(keep, k, True) for changed, keep, k in kinds for _ in range(changed)]
    coordinates += [(kinds[0][1], kinds[0][2], False)] * equal
    first, second = [], []
    for point in itertools.product(*(range(k + 1) for _, k, _ in coordinates)):
        p = q = Fraction(1)
        for value, (keep, k, changed) in zip(point, coordinates, strict=True):
            a = Fraction(keep)
            p *= a if value == 0 else (1 - a) / k
            q *= a if value == (1 if changed else 0) else (1 - a) / k
        first.append(p)
        second.append(q)
    return first, second


@pytest.mark.parametrize("alternatives", [1, 2, 3])
@pytest.mark.parametrize("keep", KEEPS)
def test_the_worst_case_over_all_points_in_small_dimensions(keep, alternatives):
    most = {1: 4, 2: 3, 3: 3}[alternatives]
    for radius, equal in [(r, e) for r in range(most + 1) for e in range(most - r + 1) if r + e]:
        laws = _enumerated([(radius, keep, alternatives)], equal)
        for p in PROBABILITIES:
            exact = neyman_pearson.worst_case(p, *laws).value
            assert discrete.worst_case(p, radius, keep, alternatives) == exact
            best = discrete.regions(radius, keep, alternatives).best_case(p)
            assert best == 1 - neyman_pearson.worst_case(1 - p, *laws).value


@pytest.mark.parametrize(("p", "rho"), [("0.6", ".0375"), (".9", ".3"), (".95", ".35")])
def test_linear_programming_over_sixteen_points(p, rho):
    laws = _enumerated([(2, "0.8", 1)], 2)
    solved = neyman_pearson.linear_programme(float(p), *(np.array(law, float) for law in laws))
    assert discrete.worst_case(p, 2, "0.8") == Fraction(rho)
    assert solved == pytest.approx(float(rho), abs=1e-8)


def test_pixels_and_labels_of_different_alphabets():
    for pixels, labels in itertools.product(range(3), range(3)):
        kinds = [(pixels, "0.8", 1), (labels, "0.6", 2)]
        joint = discrete.regions(*kinds[0]).joint(discrete.regions(*kinds[1]))
        assert len(joint.base) <= (pixels + 1) * (2 * labels + 1)
        laws = _enumerated(kinds, 0 if pixels + labels else 1)
        for p in PROBABILITIES:
            assert joint.worst_case(p) == neyman_pearson.worst_case(p, *laws).value
    # Coordinates of one kind may be split into groups at will; so may points that are never seen.
    for keep in KEEPS:
        split = discrete.regions(1, keep, 2).joint(discrete.regions(2, keep, 2))
        assert split.threshold() == discrete.threshold(3, keep, 2)


def _region_size(u, v, r, d, k):
    """Points at distance u from x and v from x', which differ in r of d places (Lee, lemma 3)."""
    total = 0
    for i in range(max(0, v - r), min(u, d - r, (u + v - r) // 2) + 1):
        j = u + v - 2 * i - r
        if u - i - j < 0 or v - i - j < 0 or j < 0:
            continue
        ways = math.factorial(r) // (
            math.factorial(u - i - j) * math.factorial(v - i - j) * math.factorial(j)
        )
        total += (k - 1) ** j * ways * k**i * math.comb(d - r, i)
    return total


@pytest.mark.parametrize(("d", "k", "keep"), [(20, 1, "0.8"), (12, 3, "0.6"), (9, 255, "0.2")])
def test_the_regions_of_lee_et_al_without_their_dimension(d, k, keep):
    a = Fraction(keep)
    b = (1 - a) / k
    for r in range(1, 6):
        counted = {}
        for u, v in itertools.product(range(d + 1), repeat=2):
            size = _region_size(u, v, r, d, k)
            mass = counted.setdefault(v - u, [0, 0])
            mass[0] += size * a ** (d - u) * b**u
            mass[1] += size * a ** (d - v) * b**v
        base, shifted = discrete.regions(r, keep, k).laws()
        order = range(r, -r - 1, -2 if k == 1 else -1)
        assert [counted[e] for e in order] == [list(z) for z in zip(base, shifted, strict=True)]


def test_the_thresholds_that_lee_et_al_store():
    """Their table for MNIST with keep 0.8; closed form for one change."""
    stored = [".5", ".875", ".96875", ".9921875", ".99275", ".9969875", ".999006875"]
    stored.append(".99970371875")
    assert [discrete.threshold(r, "0.8") for r in range(8)] == [Fraction(s) for s in stored]
    for a in (Fraction(3, 5), Fraction(9, 10)):
        assert discrete.threshold(1, a) == a + (HALF - (1 - a)) * (1 - a) / a


@pytest.mark.parametrize(
    ("keep", "radii"),
    [("0.55", [56, 151, 255, 362]), ("0.7", [3, 9, 14, 21]), ("0.95", [0, 1, 2, 3])],
)
def test_the_largest_radii_of_unanimous_votes(keep, radii):
    """p = 0.001^(1/N) for N = 100 ... 100 000 votes."""
    p = 0.001 ** (1 / np.array([1e2, 1e3, 1e4, 1e5]))
    assert discrete.radius(p, keep).tolist() == radii


@pytest.mark.parametrize("alternatives", [1, 3, 255])
@pytest.mark.parametrize("keep", ["0", "0.002", "1/4", "0.3", "0.8", "1"])
def test_the_threshold_is_where_the_majority_ends_and_rises_with_the_radius(keep, alternatives):
    before = HALF
    for r in range(12):
        p = discrete.threshold(r, keep, alternatives)
        assert discrete.worst_case(p, r, keep, alternatives) <= HALF
        if p < 1:
            above = p + (1 - p) / 10**9
            assert discrete.worst_case(above, r, keep, alternatives) > HALF
        assert p >= before
        before = p


rationals = st.fractions(0, 1, max_denominator=60)


@settings(deadline=None, derandomize=True)
@given(rationals, rationals, rationals, st.integers(0, 8), st.integers(1, 4))
def test_the_worst_case_falls_with_the_radius_and_grows_with_p(p, q, keep, r, k):
    low, high = sorted((p, q))
    near = discrete.worst_case(low, r, keep, k)
    assert discrete.worst_case(low, r + 1, keep, k) <= near <= low
    assert near <= discrete.worst_case(high, r, keep, k)
    # Noisier keeps tell less: noise on noise is a classifier's own randomness.
    if keep >= Fraction(1, k + 1):
        assert discrete.worst_case(low, r, (keep + 1) / 2, k) <= near


@settings(deadline=None, derandomize=True)
@given(st.floats(0, 1) | st.sampled_from([0.5, 0.875, 0.96875, 0.9921875]), st.integers(0, 4))
def test_the_radius_compares_floats_exactly(p, steps):
    for _ in range(steps):
        p = math.nextafter(p, 1)
    exact = [r for r in range(13) if discrete.worst_case(Fraction(p), r, "0.8") > HALF]
    assert discrete.radius(p, "0.8", max_radius=12) == len(exact) - 1
    assert exact == list(range(len(exact)))


def test_the_radius_against_a_bounded_rival():
    rng = np.random.default_rng(1)
    low = rng.uniform(0, 1, 60)
    high = np.concatenate([rng.uniform(0, 1, 40), np.minimum(1 - low[40:], 0.2)])
    got = discrete.radius(low, "0.7", 3, 30, high)
    for p, q, radius in zip(low, high, got.tolist(), strict=True):
        rival = min(Fraction(q), 1 - Fraction(p))
        wins = []
        for r in range(radius + 2):
            laws = discrete.regions(r, "0.7", 3)
            wins.append(laws.worst_case(Fraction(p)) > laws.best_case(rival))
        assert wins == [True] * (radius + 1) + [False]
    assert set(got.tolist()) >= {-1, 0, 1}
    assert (got >= discrete.radius(low, "0.7", 3, 30)).all()
    assert np.array_equal(discrete.radius(low, "0.7", 3, 30, 1.0), discrete.radius(low, "0.7", 3))


def test_a_class_and_its_rival_reach_their_bounds_at_once():
    """On the regions the answer fills one end, the rival the other, other classes the rest."""
    p, q = Fraction(3, 5), Fraction(3, 10)
    laws = discrete.regions(2, "0.7", 3)
    base, shifted = laws.laws()
    ours = neyman_pearson.worst_case(p, base, shifted).classifier
    left = neyman_pearson.worst_case(1 - q, base, shifted).classifier
    theirs = [1 - h for h in left]
    assert all(a + b <= 1 for a, b in zip(ours, theirs, strict=True))
    assert sum(h * m for h, m in zip(theirs, shifted, strict=True)) == laws.best_case(q)


def test_limits_of_the_noise():
    # Pure noise says nothing of x: whatever is certified at x holds everywhere.
    assert discrete.radius([0.5, 0.6], "1/4", 3, 40).tolist() == [-1, 40]
    assert discrete.radius([0.5, 1.0, 1.0], 1).tolist() == [-1, 0, 0]
    assert discrete.radius(1.0, 0, 1) == 0
    # Never keeping a value hides x among K others: the worst case is p - 1/K for one change.
    assert discrete.worst_case("0.9", 1, 0, 4) == Fraction("0.65")
    assert discrete.radius(1.0, "0.9", max_radius=7) == 7
    assert discrete.radius(np.zeros((2, 0)), "0.9").shape == (2, 0)
    assert discrete.worst_case(np.int64(1), 3, "0.6") == 1


@given(st.lists(st.integers(1, 9), min_size=2, max_size=4), st.integers(0, 6), st.integers(0, 2))
@settings(derandomize=True)
def test_powers_of_polynomials(coefficients, exponent, zeros):
    coefficients = [0] * zeros + coefficients
    product = [1]
    for _ in range(exponent):
        product = np.convolve(product, coefficients).tolist()
    assert power(coefficients, exponent) == product


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: discrete.worst_case("0.5", 1, 0.8), "keep is 0.8: give a Fraction or a string"),
        (lambda: discrete.worst_case(0.5, 1, "0.8"), "p is 0.5: give a Fraction or a string"),
        (lambda: discrete.worst_case("1.5", 1, "0.8"), "p is '1.5': give a probability"),
        (lambda: discrete.threshold(1, "often"), "keep is 'often': give a number such as"),
        (lambda: discrete.threshold(1, "1/0"), "keep is '1/0'"),
        (lambda: discrete.threshold(-1, "0.8"), "radius is -1"),
        (lambda: discrete.threshold(1, "0.8", 0), "alternatives is 0"),
        (lambda: discrete.radius(1.2, "0.8"), "p_lower is 1.2"),
        (lambda: discrete.radius(0.7, "0.8", p_upper=-1), "p_upper is -1"),
        (lambda: discrete.radius(0.7, "0.8", max_radius=-1), "max_radius is -1"),
    ],
)
def test_bad_numbers_are_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()
