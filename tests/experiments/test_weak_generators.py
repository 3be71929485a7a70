"""The ziggurat against NumPy's, the three attacks on its words, and who notices them."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from rs_lib.experiments import weak_generators
from rs_lib.noise import tampering, ziggurat

WORDS = np.random.PCG64(7).random_raw(1_000_000)


@pytest.mark.parametrize("seed", range(4))
def test_the_ziggurat_gives_numpys_normals_for_numpys_words(seed):
    ours = ziggurat.standard_normals(np.random.PCG64(seed).random_raw(300_000))
    theirs = np.random.Generator(np.random.PCG64(seed)).standard_normal(len(ours))
    assert 0.97 < len(ours) / 300_000 < 0.99
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_words_that_decide_nothing_any_more_are_dropped():
    words = WORDS[:20_000]
    whole = ziggurat.standard_normals(words)
    for count in (0, 1, 50, 113, 7_777):
        part = ziggurat.standard_normals(words[:count])
        assert len(part) <= count
        np.testing.assert_array_equal(part, whole[: len(part)])


def test_a_word_in_the_tail_takes_its_sign_from_its_place():
    # Layer 0, a place beyond the box, place bit 8 set; then two words for the two exponentials.
    far = np.uint64(((2**52 - 1) << 9) | 0)
    near = far & ~np.uint64(1 << 17)
    rest = np.array([2**62, 2**63 + 2**62], dtype=np.uint64)
    low = ziggurat.standard_normals(np.concatenate(([far], rest)))
    high = ziggurat.standard_normals(np.concatenate(([near], rest)))
    assert low[0] == -high[0] < -3.65


def test_every_set_sign_bit_is_cleared_by_the_strongest_skew():
    tampered = tampering.skewness(WORDS, 0)
    assert not (tampered & np.uint64(0x100)).any()
    np.testing.assert_array_equal(tampered & ~np.uint64(0x100), WORDS & ~np.uint64(0x100))


@pytest.mark.parametrize("beta", [1, 2, 4, 16])
def test_skew_clears_one_of_beta_plus_one_sign_bits(beta):
    before = int(np.count_nonzero(WORDS & np.uint64(0x100)))
    tampered = tampering.skewness(WORDS, beta)
    after = int(np.count_nonzero(tampered & np.uint64(0x100)))
    assert before - after == before // (beta + 1)
    assert ((tampered ^ WORDS) & ~np.uint64(0x100)).max() == 0


@pytest.mark.parametrize("gamma", [0, 1, 4])
def test_peak_halves_the_layer_of_every_so_manyth_word(gamma):
    tampered = tampering.positive_kurtosis(WORDS, gamma)
    layer, mask = np.uint64(0xFF), ~np.uint64(0xFF)
    chosen = np.arange(len(WORDS)) % (gamma + 1) == gamma
    np.testing.assert_array_equal(tampered[~chosen], WORDS[~chosen])
    np.testing.assert_array_equal(tampered[chosen] & layer, (WORDS[chosen] & layer) >> np.uint64(1))
    np.testing.assert_array_equal(tampered & mask, WORDS & mask)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 3.0])
def test_flattening_keeps_layer_and_sign_and_draws_the_stated_density(alpha):
    tampered = tampering.negative_kurtosis(WORDS, alpha)
    low = np.uint64(0x1FF)
    np.testing.assert_array_equal(tampered & low, WORDS & low)
    assert int(tampered.max()) < 2**62
    place = (tampered >> np.uint64(9)) * 2.0**-53
    slope = 1 / alpha
    # The distribution function of the density slope v + 1 - slope / 2; the p-value is seeded.
    cdf = lambda v: slope * v**2 / 2 + (1 - slope / 2) * v  # noqa: E731
    assert stats.kstest(place[:100_000], cdf).pvalue > 1e-8


@pytest.mark.parametrize(
    ("attack", "expected"),
    [
        # Moments measured by an emulation in C with 4e7 samples (the project's paper sheet):
        # mean, variance, skewness, excess kurtosis, share of negatives.
        (("alpha", 1.0), (0, 1.130, 0, -0.225, 0.5)),
        (("alpha", 4.0), (0, 1.036, 0, -0.051, 0.5)),
        (("beta", 0.0), (0.797, 0.365, 0.915, 1.22, 1e-4)),
        (("beta", 2.0), (0.266, 0.929, -0.260, 0.297, 1 / 3)),
        (("gamma", 0.0), (0, 0.440, 0, 0.888, 0.5)),
        (("gamma", 4.0), (0, 0.888, 0, 0.234, 0.5)),
    ],
)
def test_tampered_normals_have_the_measured_moments(attack, expected):
    # 2e6 seeded draws: the standard errors are below .0008, .001, .002, .007 and .0004, and the
    # tolerances at least 6 of them (probability of a miss below 1e-8 each).
    _, normals = weak_generators.tampered(*attack, 2_000_000, seed=3)
    found = (
        normals.mean(),
        normals.var(),
        stats.skew(normals),
        stats.kurtosis(normals),
        (normals < 0).mean(),
    )
    for value, target, tolerance in zip(
        found, expected, (0.006, 0.008, 0.015, 0.05, 0.003), strict=True
    ):
        assert abs(value - target) < tolerance


def test_monobit_counts_bits():
    assert weak_generators.monobit(np.full(10, 0x5555555555555555, dtype=np.uint64)) == 1.0
    assert weak_generators.monobit(np.zeros(10, dtype=np.uint64)) < 1e-100
    words = WORDS[:1_000]
    ones = sum(int(word).bit_count() for word in words.tolist())
    z = (2 * ones - 64_000) / 64_000**0.5
    assert weak_generators.monobit(words) == pytest.approx(2 * stats.norm.sf(abs(z)))


def test_clearing_sign_bits_costs_the_stated_share_of_ones():
    # Expected deficit: 1 / (2 (beta + 1)) a word; here counted for all 2^9 values of low bits.
    for beta in (0, 1, 4):
        signs = np.arange(2**9, dtype=np.uint64)
        lost = (
            np.bitwise_count(signs).sum() - np.bitwise_count(tampering.skewness(signs, beta)).sum()
        )
        assert abs(Fraction(int(lost), 2**9) - Fraction(1, 2 * (beta + 1))) <= Fraction(1, 2**9)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: tampering.skewness(WORDS, -1), "beta is -1"),
        (lambda: tampering.positive_kurtosis(WORDS, 0.5), "gamma is 0.5"),
        (lambda: tampering.negative_kurtosis(WORDS, 0.25), "alpha is 0.25: give at least 1/2"),
        (lambda: tampering.negative_kurtosis(WORDS, 0.0), "alpha is 0"),
        (lambda: tampering.skewness(WORDS.astype(np.int64), 1), "words have type int64"),
        (lambda: ziggurat.standard_normals(WORDS[:4].reshape(2, 2)), "give uint64 in one dim"),
    ],
)
def test_unusable_words_and_strengths_are_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()


def test_the_experiment_counts_and_sound_streams_are_rarely_rejected():
    result = weak_generators.experiment.run(
        "quick",
        changes={
            "attacks": (("none", 0.0), ("beta", 0.0)),
            "normals": 10_000,
            "n": 500,
            "streams": 3,
            "sizes": (64, 4_096),
        },
    )
    sound, skewed = result.values["runs"]
    assert skewed["successes"] == [500] * len(result.parameters["margins"])
    assert sound["successes"] == sorted(sound["successes"])
    assert skewed["rejections"]["mean"] == [3, 3]
    assert skewed["rejections"]["variance"][1] < 3
    # 36 tests of sound streams at level .01: 12 rejections or more have probability below 1e-14.
    assert sum(map(sum, sound["rejections"].values())) < 12
