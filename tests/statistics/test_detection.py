"""Exact powers against stated ones and against tests of drawn words; limits of the health test."""

from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest

from rs_lib.experiments import weak_generators
from rs_lib.statistics import binomial_interval, health
from rs_lib.statistics.detection import power


@pytest.mark.parametrize(
    ("attack", "strength", "words", "test", "stated"),
    [
        # The project's paper sheet.
        ("beta", 0, 15_625, "monobit", 1),
        ("beta", 2, 15_625, "monobit", 0.995905),
        ("beta", 4, 15_625, "monobit", 0.709098),
        ("beta", 6, 15_625, "monobit", 0.365263),
        ("beta", 32, 15_625, "monobit", 0.018861),
        ("gamma", 4, 15_625, "monobit", 0.709136),
        ("gamma", 6, 15_625, "monobit", 0.365656),
        ("gamma", 16, 15_625, "monobit", 0.049020),
        ("beta", 16, 15_625, "sign", 1),
        ("beta", 32, 15_625, "sign", 0.893985),
        ("beta", 64, 15_625, "sign", 0.250795),
        ("beta", 0, 1_024, "adaptive proportion", 1),
        ("beta", 1, 1_024, "adaptive proportion", 0.75),
        ("beta", 2, 1_024, "adaptive proportion", 0.666667),
    ],
)
def test_powers_are_the_stated_ones(attack, strength, words, test, stated):
    assert power(attack, strength, words, test) == pytest.approx(stated, abs=6e-7)


@pytest.mark.parametrize(
    ("strength", "p_value", "before", "at"),
    [
        (0.5, 1e-10, 0.99999999968, 0.99999999968),
        (0.5, 1e-20, 0.99940130, 0.99940364),
        (0.5, 1e-60, 2.719290e-05, 2.736511e-05),
        (1, 1e-150, 0.0, 0.0),
    ],
)
def test_small_levels_do_not_jump_at_ten_thousand_words(strength, p_value, before, at):
    """Exact convolutions; where the test is sure to refuse, a bound tells so at once."""
    found = [power("alpha", strength, words, "monobit", p_value) for words in (9_999, 10_000)]
    assert found == pytest.approx([before, at], rel=1e-6, abs=1e-11)
    assert power("alpha", strength, 10**7, "monobit", 5e-324) == 1.0


def test_no_power_is_negative():
    windows = [power("beta", 1, words, "adaptive proportion") for words in range(1, 2_000, 97)]
    assert min(windows) >= 0


@pytest.mark.parametrize(
    ("attack", "strength", "words"),
    [("beta", 1, 1_699), ("gamma", 2, 3_000)],
)
def test_the_power_of_monobit_is_how_often_it_rejects(attack, strength, words):
    rejected = 0
    for stream in range(400):
        raw = np.random.PCG64([stream, words]).random_raw(words)
        rejected += weak_generators.monobit(weak_generators.TAMPER[attack](raw, strength)) < 0.01
    low, high = binomial_interval(rejected, 400, 1 - 1e-9)
    assert low <= power(attack, strength, words, "monobit") <= high


@pytest.mark.parametrize(("alpha", "words"), [(0.5, 600), (2.0, 300)])
def test_the_power_of_monobit_against_places_of_53_bits(alpha, words):
    # Places of the tampered density by rejection, in integers; their two upper bits are 0.
    rng = np.random.default_rng([3, words])
    rejected = 0
    for _ in range(400):
        place = rng.integers(0, 2**53, 3 * words + 100, dtype=np.uint64)
        kept = rng.random(place.size) * (1 + 0.5 / alpha) < 1 + (place * 2.0**-53 - 0.5) / alpha
        low = rng.integers(0, 2**9, words, dtype=np.uint64)
        tampered = (place[kept][:words] << np.uint64(9)) | low
        rejected += weak_generators.monobit(tampered) < 0.01
    low, high = binomial_interval(rejected, 400, 1 - 1e-9)
    assert low <= power("alpha", alpha, words, "monobit") <= high


def test_bits_that_an_attack_leaves_alone_are_rejected_at_the_level():
    honest = power("gamma", 0, 20_000, "sign")
    assert honest == power("alpha", 1, 20_000, "sign")
    assert 0.008 < honest < 0.011
    assert power("gamma", 0, 1_024, "adaptive proportion") < 2**-19
    assert power("beta", 3, 588, "adaptive proportion") == 0


def test_windows_of_the_adaptive_proportion_test_add_up():
    counted, streams, step, words = 0, 500, 3, 2_500
    for stream in range(streams):
        rng = np.random.default_rng([7, stream])
        bits = rng.integers(0, 2, words)
        phase = rng.integers(step)
        bits[(np.cumsum(bits) + phase) % step == 0] = 0
        windows = (bits[k : k + 1024] for k in range(0, words, 1024))
        counted += any((w == w[0]).sum() >= 589 for w in windows)
    low, high = binomial_interval(counted, streams, 1 - 1e-9)
    assert low <= power("beta", step - 1, words, "adaptive proportion") <= high


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: power("delta", 1, 10, "sign"), "attack is 'delta'"),
        (lambda: power("beta", 1, 10, "spectral"), "test is 'spectral'"),
        (lambda: power("beta", 1.5, 10, "sign"), "strength is 1.5"),
        (lambda: power("alpha", 0.2, 10, "sign"), "strength is 0.2: give at least 1/2"),
        (lambda: power("beta", 1, 0, "sign"), "words is 0"),
    ],
)
def test_questions_that_are_none_are_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()


@pytest.mark.parametrize(
    ("words", "look", "error"), [(10, 1, 0.1), (64, 2, 1e-3), (2_000, 3, 1e-9)]
)
def test_limits_are_the_smallest_that_exact_tails_allow(words, look, error):
    most = health.limit(words, look, error)
    share = Fraction(error) / (look * (look + 1))

    def beyond(edge):
        ones = range((words + edge) // 2 + 1, words + 1)
        return Fraction(2 * health.POSITIONS * sum(comb(words, k) for k in ones), 2**words)

    assert beyond(most) <= share
    # The next smaller count is refused only if the tail allows it but for the slack.
    assert beyond(most - 2) > share * (1 - Fraction(1, 2**19))


def test_more_words_than_quantiles_reach_are_refused():
    assert 0 < health.limit(2**50, 1, 1e-9) < 2**30
    with pytest.raises(ValueError, match=f"words is {2**53 - 1}: give whole numbers of at most"):
        health.limit(2**53 - 1, 1, 1e-9)


def test_the_exact_rate_of_false_alarms_is_that_of_all_strings():
    looks, limits = (3, 7), (1, 3)
    passing = 0
    for bits in product((0, 1), repeat=7):
        passing += all(abs(2 * sum(bits[:w]) - w) <= t for w, t in zip(looks, limits, strict=True))
    assert health.false_alarm(looks, limits, 2) == 1 - Fraction(passing, 2**7) ** 2


def test_honest_words_raise_alarms_as_often_as_computed():
    # 10^4 runs of random words, three looks; a new seed fails with probability 1e-9.
    looks, error, runs = (40, 120, 240), 0.3, 10_000
    limits = [health.limit(words, place + 1, error) for place, words in enumerate(looks)]
    exact = health.false_alarm(looks, limits)
    assert 0.1 < exact <= error
    bits = np.random.default_rng(17)
    alarms = 0
    for _ in range(runs):
        words = bits.integers(0, 2**64, looks[-1], dtype=np.uint64)
        ones = np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
        seen = np.cumsum(ones, axis=0, dtype=np.int64)
        alarms += any(
            health.refused(seen[w - 1], w, place + 1, error) != [] for place, w in enumerate(looks)
        )
    low, high = binomial_interval(alarms, runs, 1 - 1e-9)
    assert low <= exact <= high
