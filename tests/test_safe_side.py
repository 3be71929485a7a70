"""Numbers finer than float64, odd kinds of numbers, extremes: nothing above the exact value.

Exact values come from fractions, and from 60 digits or more of mpmath and Arb.
"""

import math
from decimal import Decimal
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from flint import arb
from flint import ctx as arb_context
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from rs_lib import arguments, audit, geometry, hypotheses
from rs_lib.certificates import (
    ablation,
    backdoor,
    blocks,
    discrete,
    gaussian,
    label_flip,
    laplace,
    nearest_neighbour,
    patch,
    smoothed_linear,
    sparse,
    uniform,
)
from rs_lib.geometry import balls, cones, grids, intervals
from rs_lib.noise import Ablation
from rs_lib.smoothing import votes
from rs_lib.statistics import clopper_pearson_lower, clopper_pearson_upper

DIGITS = 60
near_one = st.builds(
    lambda exponent, digit: 1 - Fraction(digit, 10**exponent),
    st.integers(3, 40),
    st.integers(1, 9),
)
scales = st.floats(1e-100, 1e100)


def forms(p):
    """The same number, or one below it, in every form that a caller may give."""
    decimal = Decimal(p.numerator) / Decimal(p.denominator)
    finer = np.longdouble(p.numerator) / np.longdouble(p.denominator)
    return [form for form in (p, decimal, finer, [p], (p,)) if form != 1]


def exact(p):
    value = Fraction(*p.as_integer_ratio()) if not isinstance(p, list | tuple) else Fraction(p[0])
    return mpmath.mpf(value.numerator) / value.denominator


def quantile(p):
    """Φ⁻¹(p) by the root of log P(Z > z), which keeps its digits beside p = 1."""
    outside = 1 - exact(p)
    if outside >= mpmath.mpf(1) / 2:
        return mpmath.mpf(0)
    start = mpmath.sqrt(-2 * mpmath.log(outside))
    return mpmath.findroot(
        lambda z: mpmath.log(mpmath.erfc(z / mpmath.sqrt(2)) / 2) - mpmath.log(outside),
        (start / 2, start),
        tol=1e-50,
    )


@settings(max_examples=60, deadline=None)
@given(near_one, st.floats(1e-3, 1e3))
@example(1 - Fraction(1, 10**17), 1.0)
def test_radii_of_numbers_finer_than_floats(p, scale):
    """Rounded to nearest, each of these would be 1 and its radius infinite."""
    with mpmath.workdps(DIGITS):
        for given_p in forms(p):
            z = quantile(given_p)
            assert float(np.max(gaussian.radius(given_p, scale))) <= z * mpmath.mpf(scale)
            log_rest = -mpmath.log(2 * (1 - exact(given_p)))
            assert float(np.max(laplace.radius_l1(given_p, scale))) <= log_rest * mpmath.mpf(scale)
            excess = exact(given_p) - mpmath.mpf(1) / 2
            assert float(np.max(uniform.radius_l1(given_p, scale))) <= 2 * scale * excess
            for law in (gaussian, laplace):
                assert float(np.max(law.worst_case(given_p, 0, 1))) <= exact(given_p)


@settings(max_examples=40, deadline=None)
@given(near_one, st.sampled_from(["0.6", "0.8", "0.99"]), st.sampled_from([1, 3, 255]))
def test_exact_functions_are_exact_for_fractions(p, keep, others):
    found = int(discrete.radius(p, keep, others, max_radius=150))
    assert p > discrete.threshold(found, keep, others)
    if found < 150:
        assert p <= discrete.threshold(found + 1, keep, others)
    cells = sparse.certified([p], [[1], [2]], [[3]], "0.01", keep)
    assert cells.ravel().tolist() == [p > sparse.threshold(a, 3, "0.01", keep) for a in (1, 2)]
    reached = int(ablation.radius(p, 60, 5))
    half = Fraction(1, 2)
    assert p - ablation.delta(60, 5, reached) > half
    assert p - ablation.delta(60, 5, reached + 1) <= half


def test_the_value_that_was_reported():
    assert discrete.radius(1 - Fraction(1, 10**20), "0.8", max_radius=300) < 300
    assert gaussian.radius(1 - Fraction(1, 10**17), 1) == pytest.approx(8.2095, abs=1e-4)
    assert gaussian.radius(Decimal(1) - Decimal(10) ** -20, 1) < 8.3  # the float below 1
    assert np.isinf(gaussian.radius(1, 1))


@pytest.mark.parametrize(
    "value",
    [
        *("0.9", b"0.9", 0.9 + 0j, np.complex64(0.9), np.datetime64("2020-01-01"), None, {}, {0.9}),
        *(["0.9"], [0.9, None], [[0.9], [0.9, 0.8]], object(), Decimal("sNaN"), float("nan")),
        *(np.ma.array([0.9, 0.8], mask=[0, 1]), [np.ma.array([0.9])], np.array(["0.9"])),
        *(1 + Fraction(1, 10**30), -Fraction(1, 10**400), torch.tensor([0.9], requires_grad=True)),
        *(np.array([(0.9,)], dtype=[("p", float)]), lambda: 0.9, iter([0.9]), np.timedelta64(1)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_probability_is_refused_in_one_line(value):
    for call in (
        lambda: gaussian.radius(value, 1),
        lambda: discrete.radius(value, "0.8"),
        lambda: sparse.certified(value, 1, 1, "0.1", "0.2"),
        lambda: ablation.radius(value, 10, 2),
        lambda: backdoor.gaussian_radius(0.9, value, 1),
        lambda: uniform.worst_case(0.9, value),
    ):
        with pytest.raises(ValueError, match=r"^p\w* |^shared ") as caught:
            call()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 250


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.integers(), st.floats(allow_nan=False), st.fractions(), st.decimals("-1e9", "1e9")
    ),
    st.sampled_from(["down", "up"]),
)
@example(2**53 + 1, "down")
@example(-(2**63) - 1, "up")
@example(10**400, "up")
@example(Decimal("1e-99999999"), "up")
@example(Decimal("1e99999999"), "down")
@example(Fraction(10**400), "down")
def test_rounding_goes_to_the_side_that_is_named(value, side):
    found = float(arguments.numbers("x", value, rounding=side))
    neighbour = math.nextafter(found, math.inf if side == "down" else -math.inf)
    if side == "down":
        assert found <= value < neighbour or found == value
    else:
        assert neighbour < value <= found or found == value


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.int32, np.uint64, np.int64])
def test_narrow_integers_of_numpy_are_whole_numbers_like_others(kind):
    """NumPy's own arithmetic would wrap around, or depend on what was computed before."""
    assert hypotheses.image_size(kind(9), kind(5)) == 92
    assert ablation.delta(kind(100), kind(45), kind(60)) == ablation.delta(100, 45, 60)
    ablation.radius(0.99, kind(100), kind(2))
    assert ablation.radius(0.99, 100, 2) == ablation.radius(0.99, kind(100), kind(2))
    assert discrete.threshold(kind(100), "0.9", kind(100)) == discrete.threshold(100, "0.9", 100)
    assert sparse.threshold(kind(9), kind(9), "0.1", "0.3") == sparse.threshold(9, 9, "0.1", "0.3")
    assert patch.affected(kind(100), kind(60), kind(60)) == 100
    assert blocks.affected((kind(100), 100), kind(90), (kind(5), kind(90))) == 9400
    votes = np.zeros((1, 100, 2), np.uint8)
    votes[0, :51, 0] = votes[0, 51:, 1] = 1
    assert not patch.certified(votes, kind(60), kind(100)).any()
    assert clopper_pearson_lower(kind(100), kind(120), 0.1) == clopper_pearson_lower(100, 120, 0.1)


@pytest.mark.parametrize("width", [32_767, 32_768, 34_000, 66_000])
def test_wide_images_do_not_wrap_around(width):
    """Votes for one class at all positions: a patch of m columns leaves W - 2 (m + s - 1) >= 1."""
    votes = np.zeros((1, width, 2), dtype=np.uint8)
    votes[..., 1] = 1
    for method in patch.METHODS:
        band = width // 2 - 3
        assert patch.largest_patch(votes, band, method)[0] == (width - 1) // 2 - band + 1
        assert not patch.certified(votes, width // 2, width // 2, method).any()


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 400), st.data(), st.floats(-60, -0.01))
@example(138, None, -60.0)
def test_clopper_pearson_down_to_the_smallest_level(n, data, exponent):
    k = 105 if data is None else data.draw(st.integers(1, n))
    alpha = max(10.0**exponent, 1e-60)
    low, high = float(clopper_pearson_lower(k, n, alpha)), float(clopper_pearson_upper(k, n, alpha))
    with mpmath.workdps(DIGITS):

        def tail(p, counts):
            p = mpmath.mpf(p)
            return mpmath.fsum(mpmath.binomial(n, j) * p**j * (1 - p) ** (n - j) for j in counts)

        assert tail(low, range(k, n + 1)) <= mpmath.mpf(alpha)
        assert k == n or tail(high, range(k + 1)) <= mpmath.mpf(alpha)


@pytest.mark.parametrize("alpha", [9.9e-61, 1e-119, 1.5e-303, 5e-324, 0, 1, Fraction(1, 10**70)])
def test_levels_beyond_the_guarantee_are_refused(alpha):
    for call in (clopper_pearson_lower, clopper_pearson_upper):
        with pytest.raises(ValueError, match="alpha is"):
            call(105, 138, alpha)


def _centre(radius, sigma, dim):
    """σ Φ⁻¹(F(R² / σ²)), from the mass outside in 6000-bit balls."""
    precision, arb_context.prec = arb_context.prec, 6000
    try:
        outside = ((arb(radius) / arb(sigma)) ** 2 / 2).gamma_upper(arb(dim) / 2, 1)
        log_outside = mpmath.mpf(outside.log().str(50, radius=False))
    finally:
        arb_context.prec = precision
    if log_outside > -mpmath.log(2):
        return mpmath.mpf(0)
    start = mpmath.sqrt(-2 * log_outside)
    root = mpmath.findroot(
        lambda z: mpmath.log(mpmath.erfc(z / mpmath.sqrt(2)) / 2) - log_outside,
        (start * 0.9, start),
        tol=1e-40,
    )
    return root * mpmath.mpf(sigma)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([1, 2, 3, 10, 100, 784, 1000, 3072]), st.floats(0.01, 1.6), st.floats(1e-3, 1e3)
)
@example(3072, 5 / 3072**0.5, 0.2)
@example(3072, 20 / 3072**0.5, 0.05)
@example(1000, 10 / 1000**0.5, 0.1)
@example(1, 50.0, 1.0)
def test_the_certificate_at_the_centre_of_a_ball(dim, share, sigma):
    radius = share * dim**0.5 * sigma
    found = float(balls.centre_certificate(radius, sigma, dim))
    with mpmath.workdps(DIGITS):
        truth = _centre(radius, sigma, dim)
        assert found <= truth
        assert truth - found <= 2e-12 * sigma + 1e-13 * truth


@pytest.mark.parametrize(
    ("radius", "sigma", "dim"),
    [(1.0, 0.001, 3072), (1.0, 1 / 395, 3072), (1.0, 0.001, 3), (1.0, 0.002, 784), (30.0, 0.01, 2)],
)
def test_the_certificate_at_the_centre_where_hardly_anything_lies_outside(radius, sigma, dim):
    """The mass outside is e^-500000: SciPy's inverse of the logarithm errs by 6e-13 there."""
    with mpmath.workdps(DIGITS):
        a, x = mpmath.mpf(dim) / 2, (mpmath.mpf(radius) / mpmath.mpf(sigma)) ** 2 / 2
        # Legendre's continued fraction, from its far end.
        rest = mpmath.mpf(0)
        for n in range(4000, 0, -1):
            rest = -n * (n - a) / (x + 2 * n + 1 - a + rest)
        log_outside = a * mpmath.log(x) - x - mpmath.loggamma(a) - mpmath.log(x + 1 - a + rest)
        root = mpmath.sqrt(-2 * log_outside)
        for _ in range(60):  # log P(Z > z) = -z^2/2 - log(z sqrt(2 pi)) + log(1 - 1/z^2 + ...)
            series = sum((-1) ** k * mpmath.fac2(2 * k - 1) / root ** (2 * k) for k in range(1, 12))
            shift = mpmath.log(root * mpmath.sqrt(2 * mpmath.pi)) - mpmath.log(1 + series)
            root = mpmath.sqrt(-2 * (log_outside + shift))
        truth = root * mpmath.mpf(sigma)
        found = mpmath.mpf(float(balls.centre_certificate(radius, sigma, dim)))
        assert found <= truth
        assert truth - found <= 2e-12 * sigma + 1e-13 * truth


@settings(max_examples=150, deadline=None)
@given(st.floats(0, 1e3), scales, st.floats(0, 0.5, exclude_max=True))
@example(1.0, 1.0, 0.49999999999999994)
@example(1e-300, 1.0, 5e-324)
def test_margins_and_separations(steps, sigma, margin):
    distance = steps * sigma
    assume(np.isfinite(distance))
    with mpmath.workdps(DIGITS):
        s, d = mpmath.mpf(sigma), mpmath.mpf(distance)
        pair = float(hypotheses.pair_margin(distance, sigma))
        best = mpmath.erf(d / s / mpmath.sqrt(8)) / 2
        assert pair <= best
        assert best - pair <= 1e-13 * best + mpmath.mpf(1e-300)
        apart = mpmath.mpf(float(hypotheses.separation(sigma, margin)))
        # The margin that a pair at this distance has must not exceed the one asked for.
        outside = mpmath.erfc(apart / s / mpmath.sqrt(8)) / 2
        assert outside >= mpmath.mpf(0.5) - mpmath.mpf(margin)
        labels, apart_both = [0, 1], [[0, distance], [distance, 0]]
        promised = hypotheses.nearest_margin(apart_both, labels, sigma)
        assert (promised <= best).all()


def test_margins_at_the_ends_of_the_floats():
    assert hypotheses.separation(1e308, 0.0) == 0
    assert hypotheses.separation(1e308, 1e-3) == pytest.approx(5.0132e305, rel=1e-3)
    assert hypotheses.separation(3.9e304, 5e-324) == 0
    assert hypotheses.lattice_margin([12.0897, 12.219253899515438, 1e300]).tolist()[1:] == [0, 0]
    assert hypotheses.nearest_margin([[0, 1], [1, 0]], [0, 1], np.zeros(0)).shape == (2, 0)
    for points in ([10**20, 10**20 + 8200], [2**53, 2**53 + 3]):
        with pytest.raises(ValueError, match="points is"):
            hypotheses.feasible_margin(points, [0, 1], 3.0)
    near = hypotheses.feasible_margin([Fraction(1, 3), Fraction(2, 3)], [0, 1], 1.0)
    assert near <= hypotheses.pair_margin(1 / 3, 1.0) + 1e-12


def test_votes_count_numbers_finer_than_floats_exactly():
    """A score just below the threshold casts no vote; with one, a patch would be certified."""
    below = Fraction(1, 2) - Fraction(1, 10**30)
    for score in (below, np.longdouble(0.5) - np.longdouble(2) ** -60):
        assert votes.votes([[[score, 0]]], 0.5).ravel().tolist() == [0, 0]
        assert votes.largest_certified([[[score, 0]] * 5], 0.5, 1, guard=0) == [0]
    assert votes.votes([[[0.5, 0]]], 1 - below).ravel().tolist() == [0, 0]
    counted, _ = votes.guarded([[[0.5, 0.5]]], 0.5, Fraction(1, 10**400))
    assert counted.ravel().tolist() == [0, 1]
    noise = Ablation(6, 22)
    for finer in (Fraction(2) + Fraction(1, 10**20), Fraction(1, 10**400)):
        p0 = noise.probability_for([finer])
        assert p0 == 1 or noise.radius(p0) >= math.ceil(finer)


def test_cones_know_their_angles():
    for angle in (1.6, 2.0, 100.0):
        with pytest.raises(ValueError, match="half_angle is"):
            cones.cone_shift_bounds(angle, 3)
    low, high = cones.cone_shift_bounds(5e-324, 2)
    assert np.isfinite(low)
    assert low <= high


def test_nearest_neighbours_far_away():
    """Beyond 1e155 σ the squares overflow; a far point has no probability, wherever it lies."""
    for far in (1e3, 1e100, 1e155, 1e200, 1e308):
        for sigma in (1e-3, 1.0, 1e3):
            points = np.array([[0.0, 1.0], [1.0, 0.0]]) * sigma
            train = np.vstack([points, [[far, -far]]])
            found = nearest_neighbour.nearest_neighbour_probabilities(
                train, points.mean(0)[None], sigma
            )
            if far >= 1e100:
                np.testing.assert_allclose(found, [[0.5, 0.5, 0.0]], atol=1e-12)
            assert abs(found.sum() - 1) < 1e-9
    for unit in (1e-300, 1e-160, 1e160, 1e300):
        train, test = np.array([[0.0, 1.0], [1.0, 0.0], [3.0, 0.0]]), np.array([[0.5, 0.6]])
        one = nearest_neighbour.nearest_neighbour_probabilities(train, test, 1.0)
        same = nearest_neighbour.nearest_neighbour_probabilities(train * unit, test * unit, unit)
        np.testing.assert_allclose(one, same, atol=1e-12)


@pytest.mark.parametrize("flip", ["1e-400", Fraction(1, 10**400), "1e-9", "0.1"])
def test_label_noise_below_every_float(flip):
    """Three equal votes: the answer fails as soon as two of them are turned."""
    answers, log_failure = label_flip.chernoff_log_failure([[1 / 3] * 3], [1, 1, 1], flip)
    q = Fraction(flip)
    with mpmath.workdps(500):
        share = mpmath.mpf(q.numerator) / q.denominator
        truth = mpmath.log(3 * share**2 * (1 - share) + share**3)
    assert answers == [1]
    assert truth <= log_failure[0] <= 0
    # Chernoff's bound misses the number of ways and the like, not the size.
    assert log_failure[0] <= mpmath.mpf(0.4) * truth


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e-150, 1.0, 1e150, 1e300])
def test_the_normal_law_of_scores_does_not_depend_on_their_size(size):
    """Cubes and squares of small weights vanish in float64; large ones overflow."""
    shape = np.array([[0.9, 0.4, 0.2, -0.1]])
    if size == 1e-320:
        shape = np.ones((1, 4))
    found = smoothed_linear.distance_from_normal(shape * size, "0.1")
    np.testing.assert_allclose(found, smoothed_linear.distance_from_normal(shape, "0.1"), rtol=1e-9)
    _, low, high = smoothed_linear.flip_radius_bracket(shape * size, [1, 1, 1, 0], "0.1")
    assert (low <= high).all()
    if size >= 1e150:
        assert low[0] <= 3  # four flips turn any such rule


def test_sums_of_weights_that_overflow():
    huge = [[1e300, 1e300, 1e300]]
    assert label_flip.ridge_flip_radius(huge, [1, 1, 0]) == [1]
    assert label_flip.ridge_flip_radius_classes(huge, [1, 1, 0], 2) == [0]
    with pytest.raises(ValueError, match="alpha holds 1e"):
        label_flip.ridge_flip_radius([[1e308]], [1])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=8, unique=True), st.floats(1e-9, 1e9))
@example([0.0, 1e9], 1.0)
@example([-1e150, 1e150], 1e-150)
@example([0.0, 1e-320], 1.0)
def test_intervals_of_any_length_in_noise_of_any_size(ends, sigma):
    """In a moment, and each end sees half of the region."""
    ends = sorted(ends)[: len(ends) // 2 * 2]
    region = tuple(zip(ends[::2], ends[1::2], strict=True))
    for left, right in intervals.smoothed_gaussian(region, sigma):
        for place in (left, right):
            seen = intervals.gaussian_mass(
                tuple((a / sigma, b / sigma) for a, b in region), place / sigma
            )
            # The place is rounded to a float, whose neighbours may lie far apart in σ.
            assert abs(seen - 0.5) < 1e-9 + 4 * math.ulp(place) / sigma


@pytest.mark.parametrize(
    "call",
    [
        lambda: intervals.smoothed_gaussian(((0.0, np.inf),), 1.0),
        lambda: discrete.threshold(1, "1e-99999999"),
        lambda: discrete.threshold(2**53, "0.8"),
        lambda: discrete.radius(0.9, "0.8", 1, 2**53),
        lambda: discrete.regions(10**6, "0.123456789"),
        lambda: discrete.regions(500, "0.8").joint(discrete.regions(500, "0.7")),
        lambda: sparse.threshold(2**53, 1, "0.1", "0.2"),
        lambda: sparse.certified(0.9, [2**53], [1], "0.1", "0.2"),
        lambda: label_flip.radius_tight(-1.0, "0.1", 2, 2**53),
        lambda: ablation.radius(0.9, 2**53, 1),
        lambda: ablation.delta(2**22, 2**21, 2**21),
        lambda: patch.affected(2**50, 1, 1),
        lambda: nearest_neighbour.nearest_neighbours_label_probabilities(
            [[0.0]], [0], [[0.0]], 1.0, 1, 2**50
        ),
        lambda: geometry.vanishing_sigma(1.0, 2**53),
        lambda: label_flip.ridge_flip_radius_classes([[1.0, 0.2]], [0, 1], 10**9),
        lambda: label_flip.chernoff_log_failure_classes([[1.0]], [0], "0.1", 10**9),
        lambda: label_flip.ridge_flip_radius_classes([[1.0]], [0], None),
        lambda: discrete.radius(0.8, Fraction(1, 10**20000), 2, 20, 0.1),
        lambda: smoothed_linear.flip_radius_bracket([[0.5, 0.5]], [0, 1], Fraction(1, 10**400)),
        lambda: grids.separated(np.random.default_rng(0), 5, 0.0, 5, "wrap"),
        lambda: grids.balls(2**53, [[1, 1]], 1.0, "wrap"),
        lambda: grids.balls(5, [[1, 1]], -3.0, "wrap"),
        lambda: grids.blur(5, 2.0**53, "wrap"),
        lambda: grids.blur(5, 5e-324, "wrap"),
        lambda: audit.radii(Decimal("1e99999999"), 10, 0.01),
        lambda: audit.radii([5], 10, 2.0),
        lambda: audit.first_counts([float("nan")], 10, 0.01),
        lambda: intervals.union([(0.0, float("nan"))]),
        lambda: hypotheses.largest_fit(2**53, []),
    ],
)
def test_what_would_take_for_ever_is_refused_at_once(call):
    with pytest.raises(ValueError, match="give"):
        call()
