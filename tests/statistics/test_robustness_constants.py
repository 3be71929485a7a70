"""Constants of robust averages: the sheet of values, the least of all, and what is refused."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from rs_lib.experiments import robustness_search
from rs_lib.statistics import aggregation

TEN = {
    "trimmed mean": ("1/8", "1/3", "3/4", "2"),
    "median": ("4/5", "1", "4/3", "2"),
    "lower median": ("5/4", "5/3", "5/2", "5"),
    "geometric median": ("5/4", "5/3", "5/2", "5"),
}
CASES = [(n, f) for n in range(1, 9) for f in range(n) if 2 * f < n]


@pytest.mark.parametrize("rule", aggregation.RULES)
def test_ten_workers(rule):
    found = [aggregation.constant(rule, 10, f) for f in (1, 2, 3, 4)]
    assert found == [Fraction(text) for text in TEN[rule]]


def test_an_odd_number_knows_one_median_and_an_even_one_two():
    for rule in ("median", "lower median", "geometric median"):
        assert aggregation.constant(rule, 11, 2) == Fraction(5, 4)
    assert aggregation.constant("trimmed mean", 11, 2) == Fraction(2, 7)
    assert aggregation.constant("median", 6, 1) == Fraction(2, 3)
    assert aggregation.constant("lower median", 6, 1) == Fraction(3, 2)


def _answer(rule, values, f):
    ordered, n = sorted(values), len(values)
    if rule == "trimmed mean":
        return Fraction(sum(ordered[f : n - f]), n - 2 * f)
    if rule == "lower median":
        return Fraction(ordered[(n - 1) // 2])
    return Fraction(ordered[(n - 1) // 2] + ordered[n // 2], 2)


def _ratio(answer, honest):
    """Return |answer - mean|^2 / V of the others' values; None if they are equal."""
    mean = Fraction(sum(honest), len(honest))
    variance = sum((value - mean) ** 2 for value in honest) / len(honest)
    return (answer - mean) ** 2 / variance if variance else None


@pytest.mark.parametrize("rule", aggregation.RULES[:3])
def test_constants_are_attained_by_two_values_in_fractions(rule):
    """Some share of the others lies at 1, the rest at 0, the faulty at either end."""
    for n, f in CASES:
        h, found = n - f, [Fraction(0)]
        for ones, end in product(range(h + 1), (-1, 2)):
            honest = [1] * ones + [0] * (h - ones)
            found.append(_ratio(_answer(rule, honest + [end] * f, f), honest) or 0)
        assert max(found) == aggregation.constant(rule, n, f)


@pytest.mark.parametrize("rule", aggregation.RULES[:3])
def test_constants_hold_for_all_small_whole_numbers_in_fractions(rule):
    """Every list of n <= 6 values among five, whichever f of them are the faulty ones."""
    for n, f in [case for case in CASES if case[0] in (3, 4, 5)]:
        most = aggregation.constant(rule, n, f)
        for values in product((-3, -1, 0, 1, 3), repeat=n):
            # The last f are faulty: all choices come by the order of the product.
            honest, answer = values[: n - f], _answer(rule, values, f)
            ratio = _ratio(answer, honest)
            assert answer == honest[0] if ratio is None else ratio <= most


def test_a_search_never_exceeds_the_constants_and_comes_near():
    """Seeded: four rules, five workers, two of them faulty, 200 steps."""
    for rule in aggregation.RULES:
        known = float(aggregation.constant(rule, 5, 2))
        found = [
            robustness_search.search(rule, 5, 2, 2, 200, np.random.default_rng(seed))[0]
            for seed in (1, 2, 3)
        ]
        assert max(found) <= known * (1 + 1e-6)
        assert max(found) >= 0.95 * known


def test_no_rule_has_a_smaller_constant_than_the_trimmed_mean():
    for n, f in CASES:
        least = aggregation.constant("trimmed mean", n, f)
        assert least == Fraction(f, n - 2 * f)
        assert all(aggregation.constant(rule, n, f) >= least for rule in aggregation.RULES)


def test_krum_follows_colluders_as_far_as_the_sheet_says():
    known = {(10, 1): 1.0541, (10, 2): 1.2349, (10, 3): 1.5736, (11, 4): 2.0354, (20, 4): 1.2681}
    for (n, f), limit in known.items():
        assert aggregation.krum_limit(n, f) == pytest.approx(limit, abs=5e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: aggregation.constant("mode", 5, 1), "rule is 'mode': give one of trimmed mean"),
        (lambda: aggregation.constant("median", 4, 2), "faulty is 2 of 4 workers: give fewer"),
        (lambda: aggregation.constant("median", 4, -1), "faulty is -1: give whole numbers"),
        (lambda: aggregation.krum_limit(10, 0), "faulty is 0: give whole numbers of at least 1"),
        (lambda: aggregation.krum_limit(10, 4), "workers is 10 with faulty = 4: give at least 11"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
