"""Sequential tests: exact errors against rationals and balls, nesting, what they cost."""

from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest
from flint import arb, arb_poly, ctx
from scipy import special

from rs_lib.statistics import RULES, SequentialTable, SequentialTest
from rs_lib.statistics.crossing import Walk

TINY = 1 + 1e-9  # what type_one_error may add to the exact value


def _exact(looks, accept, reject, p):
    """P(accept), P(give up) and E[N] in rational arithmetic; p is a Fraction."""
    mass, before = {0: Fraction(1)}, 0
    accepted = given_up = mean = Fraction(0)
    for look, upper, lower in zip(looks.tolist(), accept.tolist(), reject.tolist(), strict=True):
        steps, before = look - before, look
        mean += steps * sum(mass.values())
        kernel = [comb(steps, j) * p**j * (1 - p) ** (steps - j) for j in range(steps + 1)]
        after: dict[int, Fraction] = {}
        for k, weight in mass.items():
            for j, share in enumerate(kernel):
                after[k + j] = after.get(k + j, 0) + weight * share
        accepted += sum(w for k, w in after.items() if k >= upper)
        given_up += sum(w for k, w in after.items() if k <= lower)
        mass = {k: w for k, w in after.items() if lower < k < upper}
    return accepted, given_up, mean


def _ball(looks, accept, reject, p):
    """P(accept) as a ball: the masses of a band are the coefficients of a polynomial."""
    mass, first, before, accepted = arb_poly([1]), 0, 0, arb(0)
    point = arb(p)
    for look, upper, lower in zip(looks.tolist(), accept.tolist(), reject.tolist(), strict=True):
        steps, before = look - before, look
        mass = mass * arb_poly([1 - point, point]) ** steps
        entries = [mass[j] for j in range(mass.degree() + 1)]
        accepted = sum(entries[max(0, upper - first) :], accepted)
        start = max(0, lower + 1 - first)
        mass, first = arb_poly(entries[start : upper - first]), first + start
    return accepted


def _tests(max_samples, p0s, alphas, rules=RULES):
    for rule, p0, alpha in product(rules, p0s, alphas):
        if p0**max_samples <= alpha / 1000:  # room for every rule
            yield SequentialTest(p0, alpha, max_samples, rule)


def test_the_crossing_law_equals_the_sum_over_all_sequences():
    rng = np.random.default_rng(0)
    looks = np.array([1, 2, 4, 7, 11])
    for _ in range(6):
        accept = np.minimum(np.floor(looks * 0.7).astype(int) + rng.integers(1, 3, 5), looks + 1)
        reject = accept - 1 - rng.integers(1, 4, 5)
        p = float(rng.uniform(0.3, 0.9))
        accepted, given_up, going_on = np.zeros((3, 5))
        for bits in product((0, 1), repeat=11):
            counts = np.cumsum(bits)[looks - 1]
            weight = p ** sum(bits) * (1 - p) ** (11 - sum(bits))
            for i, k in enumerate(counts):
                if k >= accept[i] or k <= reject[i]:
                    (accepted if k >= accept[i] else given_up)[i] += weight
                    break
                going_on[i] += weight
        crossing = Walk(looks, p, 0.01).cross(accept, reject)
        np.testing.assert_allclose(crossing.accepted, accepted, rtol=1e-12, atol=0)
        np.testing.assert_allclose(crossing.given_up, given_up, rtol=1e-12, atol=0)
        np.testing.assert_allclose(crossing.going_on, going_on, rtol=1e-12, atol=0)


@pytest.mark.parametrize("rule", RULES)
def test_errors_power_and_mean_equal_rational_arithmetic(rule):
    checked = 0
    for test in _tests(60, [0.3, 0.5, 0.7123, 0.8], [0.2, 0.05, 1e-3], [rule]):
        plan = test.looks, test.accept, test.reject
        accepted, given_up, mean = _exact(*plan, Fraction(test.p0))
        assert accepted <= Fraction(test.type_one_error()) <= accepted * Fraction(TINY)
        assert accepted <= Fraction(test.alpha)
        assert float(test.give_up(test.p0)) == pytest.approx(float(given_up), rel=1e-12)
        assert float(test.expected_samples(test.p0)) == pytest.approx(float(mean), rel=1e-12)
        for p in (0.25, 0.9375):
            accepted, given_up, mean = _exact(*plan, Fraction(p))
            assert float(test.power(p)) == pytest.approx(float(accepted), rel=1e-12)
            assert float(test.expected_samples(p)) == pytest.approx(float(mean), rel=1e-12)
        checked += 1
    assert checked >= 8


def test_errors_equal_ball_arithmetic_on_a_longer_plan():
    with ctx.workprec(200):
        for p0, alpha in [(0.5, 1e-3), (0.69146, 1e-3), (0.9, 0.05), (0.977, 1e-4), (0.99, 0.01)]:
            test = SequentialTest(p0, alpha, 2000)
            exact = _ball(test.looks, test.accept, test.reject, p0)
            assert exact <= arb(alpha)
            assert exact <= arb(test.type_one_error())
            assert arb(test.type_one_error()) <= exact * arb(TINY)


@pytest.mark.parametrize(
    ("alpha", "max_samples"),
    [(1e-3, 10**3), (1e-3, 10**4), (1e-3, 10**5), (0.05, 10**4), (0.01, 10**5), (1e-4, 3 * 10**4)],
)
def test_the_calibrated_error_comes_up_to_alpha_and_never_above(alpha, max_samples):
    rng = np.random.default_rng(max_samples)
    for p0 in [
        0.5,
        0.9,
        0.99,
        0.999,
        *rng.uniform(0.5, 0.999, 6),
        *1 - 10 ** rng.uniform(-3, -1, 6),
    ]:
        if p0**max_samples > alpha / 1.01:
            continue
        test = SequentialTest(p0, alpha, max_samples)
        assert 0.9 * alpha <= test.type_one_error() <= alpha
        assert 0.9 * alpha <= test.give_up(p0) <= alpha
        assert test.looks.size <= 128


def test_a_million_samples_and_a_plan_of_ones_own():
    test = SequentialTest(0.8413, 1e-3, 10**6)
    assert 0.9e-3 <= test.type_one_error() <= 1e-3
    every = SequentialTest(0.8, 0.01, 300, looks=np.arange(1, 301), beta=0.2)
    assert 0.9 * 0.01 <= every.type_one_error() <= 0.01
    assert 0.9 * 0.2 <= every.give_up(0.8) <= 0.2
    assert SequentialTest(0.5, 0.001, 10).type_one_error() == pytest.approx(2**-10, rel=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_boundaries_have_the_promised_shape(rule):
    for test in _tests(3000, [0.4, 0.6, 0.93], [0.3, 1e-3], [rule]):
        assert test.looks[-1] == 3000
        assert (np.diff(test.looks) > 0).all()
        assert (test.accept > test.reject).all()
        assert (test.accept <= test.looks + 1).all()
        assert (test.reject >= -1).all()
        if rule in ("calibrated", "betting"):
            steps = np.diff(test.looks)
            for rise in (np.diff(test.accept), np.diff(test.reject)):
                assert (rise >= 0).all()
                assert (rise <= steps).all()
        for field in (test.looks, test.accept, test.reject):
            assert field.dtype == np.int64


@pytest.mark.parametrize("rule", RULES)
def test_a_smaller_success_probability_certifies_less_often(rule):
    test = SequentialTest(0.8, 0.01, 2000, rule)
    power = test.power(np.linspace(0, 1, 41))
    assert (np.diff(power) >= -1e-15).all()
    assert (power[:32] <= test.type_one_error() * 1.1).all()
    assert (power[np.linspace(0, 1, 41) <= 0.8] <= test.type_one_error()).all()
    assert (power[0], power[-1]) == (0, 1)


def test_the_mean_number_of_samples_obeys_the_data_processing_bound():
    """E_p[N] KL(p || p0), the divergence of the stopped sample, exceeds that of the decision."""
    for test in _tests(5000, [0.6, 0.9, 0.99], [0.05, 1e-3]):
        for p in [test.p0 / 2, test.p0 * 0.95, (1 + test.p0) / 2, 1 - (1 - test.p0) / 5]:
            decision = np.array([test.power(p), test.give_up(p)])
            null = np.array([test.power(test.p0), test.give_up(test.p0)])
            decision, null = (
                np.maximum(np.append(law, 1 - law.sum()), 1e-300) for law in (decision, null)
            )
            divergence = special.rel_entr(p, test.p0) + special.rel_entr(1 - p, 1 - test.p0)
            spent = float(test.expected_samples(p)) * divergence
            assert spent >= special.rel_entr(decision, null).sum() * (1 - 1e-9)


def test_shapes_of_probabilities_are_kept_and_the_ends_are_exact():
    test = SequentialTest(0.9, 0.01, 1000)
    assert isinstance(test.type_one_error(), float)
    assert np.ndim(test.power(0.95)) == 0
    assert test.expected_samples([[0.1, 0.95], [0.95, 1.0]]).shape == (2, 2)
    certain = test.looks[test.accept <= test.looks][0]
    assert test.expected_samples(1.0) == certain
    assert test.expected_samples(0.0) == test.looks[test.reject >= 0][0]


def test_the_calibrated_rule_needs_fewer_samples_than_the_others():
    p = np.concatenate([special.ndtr(np.arange(0.13, 3, 0.2)), [0.45]])
    for p0 in special.ndtr([0.5, 1.0, 1.5, 2.0]):
        mean = {
            rule: SequentialTest(p0, 1e-3, 10**5, rule).expected_samples(p).mean() for rule in RULES
        }
        assert mean["calibrated"] <= 0.95 * min(mean["betting"], mean["union"])
        assert mean["three-stage"] > mean["union"]
        assert mean["fixed"] == 10**5


@pytest.fixture(scope="module")
def table():
    return SequentialTable(special.ndtr(np.arange(0, 3.1, 0.25)), 1e-3, 10**5)


@pytest.mark.parametrize("rule", RULES)
def test_tables_are_nested(rule):
    table = SequentialTable([0.5, 0.501, 0.6, 0.7, 0.71, 0.9, 0.99], 0.01, 10**4, rule)
    assert (np.diff(table.accept, axis=0) >= 0).all()
    assert (np.diff(table.reject, axis=0) >= 0).all()
    assert (table.accept > table.reject).all()
    assert (table.type_one_errors() <= 0.01).all()


def test_nesting_costs_a_table_little_of_its_level(table):
    errors = table.type_one_errors()
    assert (errors <= table.alpha).all()
    assert (errors >= 0.9 * table.alpha).all()


def test_any_false_certificate_of_a_table_has_probability_alpha_at_most():
    """Every sequence of 12 samples, decided by `decide`, at probabilities around each p0."""
    p0s = [Fraction(1, 4), Fraction(2, 5), Fraction(9, 20), Fraction(3, 5)]
    table = SequentialTable([float(p) for p in p0s], 0.1, 12, looks=[3, 4, 6, 8, 9, 10, 12])
    sequences = np.array(list(product((0, 1), repeat=12)))
    counts = np.cumsum(sequences, axis=1)[:, table.looks - 1]
    certified = np.zeros(len(sequences), dtype=np.int64)
    refused = np.full_like(certified, len(p0s))
    for i in range(table.looks.size):
        certified, refused = table.decide(i, counts[:, i], certified, refused)
        assert (certified <= refused).all()
    successes = sequences.sum(axis=1)
    for p in [Fraction(i, 40) for i in range(25)]:
        first_false = sum(bound < p for bound in p0s)
        false = np.bincount(successes[certified > first_false], minlength=13).tolist()
        error = sum(c * p**k * (1 - p) ** (12 - k) for k, c in enumerate(false))
        assert error <= Fraction(0.1)
        assert first_false < 4 or error == 0


def test_deciding_a_table_is_deciding_each_test(table):
    rng = np.random.default_rng(1)
    m, images = table.p0s.size, 300
    p = special.ndtr(rng.uniform(-0.2, 3.5, images))
    steps = rng.binomial(np.diff(table.looks, prepend=0), p[:, None])
    certified, refused = np.zeros(images, dtype=np.int64), np.full(images, m)
    state = np.zeros((images, m), dtype=int)  # 1 certified, -1 given up
    for i, counts in enumerate(np.cumsum(steps, axis=1).T):
        certified, refused = table.decide(i, counts, certified, refused)
        running = state == 0
        state[running & (counts[:, None] >= table.accept[:, i])] = 1
        state[running & (counts[:, None] <= table.reject[:, i])] = -1
    np.testing.assert_array_equal((state == 1).sum(axis=1), certified)
    np.testing.assert_array_equal((state == -1).sum(axis=1), m - refused)
    assert (np.diff(state, axis=1) <= 0).all()
    assert (certified == refused).mean() > 0.5
    assert (certified > 0).any()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((1.0, 0.01, 100), {}, r"p0 is 1"),
        ((0.5, 0.0, 100), {}, r"alpha is 0"),
        ((0.5, 0.5, 100), {}, r"alpha is 0\.5"),
        ((0.5, 0.01, 100), {"beta": 1e-200}, r"beta is 1e-200"),
        ((1e-17, 0.01, 100), {}, "p0 is 1e-17: give at least 1e-12"),
        ((0.5, 0.01, 2.5), {}, r"max_samples is 2\.5"),
        ((0.5, 0.01, 10**7 + 1), {}, "max_samples is 10000001: give at most 10000000"),
        ((0.5, 0.01, 100), {"rule": "wald"}, "rule is 'wald': give one of calibrated"),
        ((0.5, 0.001, 9), {}, "max_samples is 9, .* give at least 10"),
        ((0.999, 0.001, 6904), {}, "give at least 6905"),
        ((0.5, 0.001, 10), {"rule": "betting"}, "rule is 'betting', which certifies"),
        ((0.5, 0.01, 100), {"looks": [50, 50, 100]}, "looks has shape"),
        ((0.5, 0.01, 100), {"looks": [50]}, "looks ends with 50"),
        (
            (0.5, 0.01, 100),
            {"looks": [50, 100], "rule": "fixed"},
            "looks is given but rule 'fixed'",
        ),
    ],
)
def test_bad_designs_are_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        SequentialTest(*arguments, **options)


def test_the_named_smallest_number_of_samples_suffices():
    for p0, alpha in [(0.5, 0.001), (0.999, 0.001), (0.7, 0.05), (0.9, 2.0**-20)]:
        with pytest.raises(ValueError, match="give at least") as caught:
            SequentialTest(p0, alpha, 1)
        enough = int(str(caught.value).split()[-1])
        assert SequentialTest(p0, alpha, enough).accept[-1] == enough
        assert Fraction(p0) ** enough <= Fraction(alpha) < Fraction(p0) ** (enough - 1)


@pytest.mark.parametrize("p0s", [[], [0.6, 0.5], [0.5, 0.5], 0.5, [0.5, 1.0]])
def test_bad_tables_are_named(p0s):
    with pytest.raises(ValueError, match="p0s"):
        SequentialTable(p0s, 0.01, 100)


@pytest.mark.parametrize(
    ("look_index", "state", "message"),
    [
        (10**6, ([3], [0], [1]), "look_index is 1000000"),
        (0, ([3], [0, 0], [1]), "successes, certified and refused have shapes"),
        (0, ([10**7], [0], [1]), "successes holds 10000000"),
        (0, ([2], [2], [1]), "certified and refused do not fit"),
        (0, ([2], [0], [99]), "certified and refused do not fit"),
    ],
)
def test_bad_states_are_named(table, look_index, state, message):
    with pytest.raises(ValueError, match=message):
        table.decide(look_index, *state)


def test_the_boundaries_that_plans_share_cannot_be_written(table):
    for boundary in (table.looks, table.accept, table.reject):
        with pytest.raises(ValueError, match="read-only"):
            boundary[...] = 0
