"""The binomial bounds are valid in exact arithmetic, tight, and honest about bad input."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from rs_lib import statistics
from rs_lib.statistics import clopper_pearson_lower, clopper_pearson_upper


@pytest.fixture(autouse=True)
def precision():
    before, ctx.prec = ctx.prec, 128
    yield
    ctx.prec = before


def _cases(count, seed):
    """Trials up to 1e7, counts at both ends, in the middle and log-uniform, levels 1e-60 to 1."""
    rng = np.random.default_rng(seed)
    n = np.round(10 ** rng.uniform(0, 7, count)).astype(int)
    few = np.floor(10 ** rng.uniform(0, np.log10(n + 1))).astype(int)
    middle = np.round(n / 2 + rng.normal(size=count) * np.sqrt(n) / 2).astype(int)
    anywhere = rng.integers(0, n, endpoint=True)
    k = np.choose(rng.integers(0, 6, count), [few - 1, n - few + 1, middle, anywhere, n, 0 * n + 1])
    alpha = np.choose(
        rng.integers(0, 5, count),
        [
            *10 ** rng.uniform(-12, -0.3, (3, count)),
            10 ** rng.uniform(-60, -1e-9, count),
            rng.uniform(0.2, 0.8, count),  # where SciPy's inverse errs most for large trials
        ],
    )
    return np.clip(k, 0, n), n, alpha


def _tail(p, a, b):
    """P(Bin(a + b - 1, p) >= a) as a ball; `p` is the exact number, a float or a ball."""
    point = arb(p)
    for bits in (80, 320):  # the bounds differ from the exact ones in the 35th bit
        with ctx.workprec(bits):
            value = point.beta_lower(int(a), int(b), regularized=True)
        if value.rel_accuracy_bits() > 45:
            return value
    raise AssertionError(f"{value} is too wide a ball to decide anything")


def _small_cases():
    """Every count of up to 70 trials, at five levels: 12 775 cases."""
    pairs = [(k, n) for n in range(1, 71) for k in range(n + 1)]
    k, n = np.repeat(pairs, 5, axis=0).T
    return k, n, np.tile([1e-12, 0.0005, 0.001, 0.025, 0.5], len(pairs))


@pytest.mark.parametrize("cases", [_cases(4000, seed=1), _small_cases()], ids=["wide", "small"])
def test_lower_bounds_are_valid_in_exact_arithmetic(cases):
    k, n, alpha = cases
    for p, successes, trials, level in zip(
        clopper_pearson_lower(k, n, alpha), k, n, alpha, strict=True
    ):
        if successes == 0:
            assert p == 0
        elif p > 0:
            assert _tail(float(p), successes, trials - successes + 1) <= arb(float(level))


@pytest.mark.parametrize("cases", [_cases(4000, seed=2), _small_cases()], ids=["wide", "small"])
def test_upper_bounds_are_valid_in_exact_arithmetic(cases):
    k, n, alpha = cases
    for p, successes, trials, level in zip(
        clopper_pearson_upper(k, n, alpha), k, n, alpha, strict=True
    ):
        if successes == trials:
            assert p == 1
        elif p < 1:
            # P(Bin(n, p) <= k) = P(Bin(n, 1 - p) >= n - k); the ball 1 - p is not rounded.
            missed = _tail(1 - arb(float(p)), trials - successes, successes + 1)
            assert missed <= arb(float(level))


def test_the_rounding_costs_no_more_than_the_docstrings_say():
    k, n, alpha = _cases(600, seed=3)
    cost = np.where(n <= 10**5, 1e-10, 3e-9)
    low, high = clopper_pearson_lower(k, n, alpha), clopper_pearson_upper(k, n, alpha)
    for i in range(len(k)):
        if k[i] > 0:
            better = arb(float(low[i])) * (1 + arb(float(cost[i])))
            # Either the exact bound is below `better`, or `better` is no probability any more.
            assert better >= 1 or _tail(better, k[i], n[i] - k[i] + 1) > arb(float(alpha[i]))
        if k[i] < n[i] and high[i] < 1:
            missing = (1 - arb(float(high[i]))) * (1 + arb(float(cost[i])))
            missing += 9 * arb(float(np.spacing(high[i])))
            assert missing >= 1 or _tail(missing, n[i] - k[i], k[i] + 1) > arb(float(alpha[i]))


@pytest.mark.parametrize(("trials", "alpha"), [(1, 0.1), (7, 0.05), (40, 0.001), (300, 0.025)])
def test_coverage_by_exhaustion(trials, alpha):
    """Sum the binomial weights of all counts whose bound misses p: at most alpha, for every p."""
    k = np.arange(trials + 1)
    low = [Fraction(float(v)) for v in clopper_pearson_lower(k, trials, alpha)]
    high = [Fraction(float(v)) for v in clopper_pearson_upper(k, trials, alpha)]
    just_below = [v - Fraction(1, 10**12) for v in low if v > 0]
    for p in [Fraction(i, 19) for i in range(1, 19)] + just_below[:: max(1, trials // 15)]:
        if not 0 < p < 1:
            continue
        # Integer weights over a common denominator keep the sums exact and quick.
        a, b = p.numerator, p.denominator - p.numerator
        weight = [comb(trials, i) * a**i * b ** (trials - i) for i in range(trials + 1)]
        total = p.denominator**trials
        assert sum(w for w, bound in zip(weight, low, strict=True) if bound > p) <= (
            Fraction(alpha) * total
        )
        assert sum(w for w, bound in zip(weight, high, strict=True) if bound < p) <= (
            Fraction(alpha) * total
        )


def test_bounds_agree_with_scipy():
    k, n, alpha = _cases(5000, seed=4)
    inside = (k > 0) & (k < n)
    k, n, alpha = k[inside], n[inside], alpha[inside]
    np.testing.assert_allclose(
        clopper_pearson_lower(k, n, alpha), special.betaincinv(k, n - k + 1, alpha), rtol=3e-9
    )
    np.testing.assert_allclose(
        clopper_pearson_upper(k, n, alpha), special.betainccinv(k + 1, n - k, alpha), rtol=3e-9
    )


def test_closed_forms_at_the_ends():
    n = np.array([1, 10, 1000, 10**7])
    assert clopper_pearson_lower(0, 5, 0.3) == 0
    assert clopper_pearson_upper(5, 5, 0.3) == 1
    np.testing.assert_allclose(clopper_pearson_lower(n, n, 0.001), 0.001 ** (1 / n), rtol=3e-9)
    np.testing.assert_allclose(
        clopper_pearson_upper(0, n, 0.001), -np.expm1(np.log(0.001) / n), rtol=3e-9
    )


@given(st.integers(2, 10**5), st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_bounds_move_with_the_counts_and_the_level(n, data):
    k = data.draw(st.integers(1, n))
    alpha = data.draw(st.floats(1e-12, 0.49))
    assert clopper_pearson_lower(k - 1, n, alpha) < clopper_pearson_lower(k, n, alpha)
    assert clopper_pearson_upper(k - 1, n, alpha) <= clopper_pearson_upper(k, n, alpha)
    assert clopper_pearson_lower(k, n, alpha) <= clopper_pearson_lower(k, n, alpha * 1.01)
    low, high = clopper_pearson_lower(k, n, alpha), clopper_pearson_upper(k, n, alpha)
    assert low < k / n <= high
    # Swapping successes and failures mirrors the interval, up to the two roundings.
    assert clopper_pearson_upper(n - k, n, alpha) == pytest.approx(1 - low, abs=1e-9)


def test_scalars_give_scalars_and_arrays_broadcast():
    assert np.ndim(clopper_pearson_lower(3, 10, 0.05)) == 0
    assert isinstance(clopper_pearson_lower(3, 10, 0.05), float)
    assert clopper_pearson_lower([[1], [2]], [10, 20, 30], 0.05).shape == (2, 3)
    assert clopper_pearson_upper([], 10, 0.05).shape == (0,)


@pytest.mark.parametrize("bound", [clopper_pearson_lower, clopper_pearson_upper])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((11, 10, 0.05), "successes is 11 out of 10 trials"),
        ((-1, 10, 0.05), "successes is -1"),
        ((2.5, 10, 0.05), "successes is 2.5"),
        ((np.nan, 10, 0.05), "successes holds NaN"),
        ((0, 0, 0.05), "trials is 0"),
        ((0, 10.5, 0.05), "trials is 10.5"),
        ((0, 10**7 + 1, 0.05), "trials is 10000001"),
        ((1, 10, 0), "alpha is 0"),
        ((1, 10, 1), "alpha is 1"),
        ((1, 10, np.nan), "alpha holds NaN"),
    ],
)
def test_bad_counts_and_levels_are_named(bound, arguments, message):
    with pytest.raises(ValueError, match=message):
        bound(*arguments)


def test_binomial_interval_has_equal_tails():
    low, high = statistics.binomial_interval([0, 30, 100], 100, confidence=0.9)
    np.testing.assert_array_equal(low, clopper_pearson_lower([0, 30, 100], 100, (1 - 0.9) / 2))
    np.testing.assert_array_equal(high, clopper_pearson_upper([0, 30, 100], 100, (1 - 0.9) / 2))
    reference = stats.binomtest(30, 100).proportion_ci(0.9, method="exact")
    assert (low[1], high[1]) == pytest.approx((reference.low, reference.high), rel=1e-9)
    with pytest.raises(ValueError, match=r"confidence is 95"):
        statistics.binomial_interval(1, 2, confidence=95)


@pytest.mark.parametrize("n", [1, 2, 9, 10, 333, 1000])
def test_the_two_sided_test_against_exact_sums(n):
    k = np.arange(n + 1)
    tails = np.cumsum([comb(n, i) for i in range(n + 1)], dtype=object)
    for got, i in zip(statistics.binomial_test_two_sided(k, n), np.minimum(k, n - k), strict=True):
        exact = min(Fraction(1), Fraction(2 * int(tails[i]), 2**n))
        assert exact <= Fraction(float(got)) <= exact * (1 + Fraction(2, 10**10))


def test_the_two_sided_test_is_rounded_up_for_many_trials():
    rng = np.random.default_rng(5)
    n = np.round(10 ** rng.uniform(3, 7, 250)).astype(int)
    k = np.clip(n / 2 - rng.uniform(0, 8, 250) * np.sqrt(n), 0, n).astype(int)
    for value, few, trials in zip(statistics.binomial_test_two_sided(k, n), k, n, strict=True):
        exact = 2 * _tail(0.5, trials - few, few + 1)
        assert arb(float(value)) >= exact or value == 1


def test_mean_interval_against_scipy_and_bad_input():
    values = np.random.default_rng(6).gamma(2, size=50)
    reference = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert statistics.mean_interval(values) == pytest.approx((reference.low, reference.high))
    with pytest.raises(ValueError, match=r"values has shape \(1,\)"):
        statistics.mean_interval([1])
    with pytest.raises(ValueError, match="values holds an infinite number"):
        statistics.mean_interval([1, np.inf])
    with pytest.raises(ValueError, match=r"confidence is 1"):
        statistics.mean_interval([1, 2], confidence=1)


def test_certified_accuracy_by_hand():
    radii, correct = [0.0, 0.5, 0.25, 2.0, 0.0], [True, True, True, False, False]
    # At radius 0 every correct image counts; a radius equal to the threshold counts.
    np.testing.assert_array_equal(
        statistics.certified_accuracy(radii, correct, [[0, 0.25], [0.26, 0.51]]),
        [[0.6, 0.4], [0.2, 0.0]],
    )
    assert statistics.certified_accuracy(radii, correct, 0.5) == 0.2


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_average_radius_is_the_area_under_the_certified_accuracy(images):
    """ACR is the integral of the step function; between its steps the integrand is constant."""
    radii, correct = map(np.array, zip(*images, strict=True))
    steps = np.unique(np.concatenate([[0.0], radii]))
    area = np.sum(np.diff(steps) * statistics.certified_accuracy(radii, correct, steps[1:]))
    assert statistics.average_certified_radius(radii, correct) == pytest.approx(area, abs=1e-12)


def test_infinite_radii_count_only_where_the_class_is_correct():
    assert statistics.average_certified_radius([np.inf, 1.0], [False, True]) == 0.5
    assert statistics.average_certified_radius([np.inf, 1.0], [True, True]) == np.inf


@pytest.mark.parametrize(
    ("radii", "correct", "message"),
    [
        ([], [], r"radii has shape \(0,\)"),
        ([1.0, 2.0], [True], r"correct has shape \(1,\) but radii \(2,\)"),
        ([-1.0], [True], r"radii holds -1"),
        ([np.nan], [True], "radii holds NaN"),
        ([1.0], [2], r"correct holds 2"),
    ],
)
def test_bad_radii_and_flags_are_named(radii, correct, message):
    with pytest.raises(ValueError, match=message):
        statistics.certified_accuracy(radii, correct, 0)
    with pytest.raises(ValueError, match=message):
        statistics.average_certified_radius(radii, correct)


def test_negative_thresholds_are_named():
    with pytest.raises(ValueError, match=r"thresholds holds -0\.1"):
        statistics.certified_accuracy([1.0], [True], [0, -0.1])
