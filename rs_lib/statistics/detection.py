"""Exact power of tests of random words against the attacks of `rs_lib.noise.tampering`.

Words are independent and uniform before the attack, which counts from the first one; under the
adaptive proportion test, which runs all the time, from some word before: its phase is uniform.
"""

import numpy as np
from scipy import special, stats

from rs_lib.arguments import FloatArray, integer, level, one_of, positive, single

TESTS = ("monobit", "sign", "adaptive proportion")
ATTACKS = ("alpha", "beta", "gamma")

WINDOW, CUTOFF = 1024, 589
"""Of the adaptive proportion test of SP 800-90B on single bits, for one full bit of entropy."""

MOST_WORDS = 10**7
MOST_STRENGTH = 10_000
_BITS = 64
_REACH = 12.0
"""Standard deviations around a mean outside of which a binomial count is left out: 1e-32."""

_SURE = 1e-13
"""A chance to pass below which alpha's missing bits are sure to be seen."""

Law = tuple[int, FloatArray]
"""Chances of the counts from the first number on."""


def power(attack: str, strength: float, words: int, test: str, p_value: float = 0.01) -> float:
    """Return the probability that `test` rejects `words` words under an attack.

    `attack` is "alpha", "beta" or "gamma" with its `strength` (at least 1/2 for alpha, else a whole
    number). "monobit" counts the ones of all bits, "sign" those of the sign bit alone; both reject
    where erfc(|2 k - n| / sqrt(2 n)) < `p_value` for k ones of n bits (SP 800-22, section 2.1).
    "adaptive proportion" is the health test of SP 800-90B on the sign bit: in each window of
    `WINDOW` bits, the last one perhaps shorter, its first bit must not come `CUTOFF` times.

    Exact but for rounding: absolute errors are below 1e-11. Alpha's places are real numbers cut to
    53 bits; computed in doubles they lose some of the last ones, too, and monobit notices them
    sooner. Raises ValueError for another attack
    or test, and for numbers that they do not take.

    In the book: eq-br-monobit.
    """
    one_of("attack", attack, ATTACKS)
    one_of("test", test, TESTS)
    count = integer("words", words, least=1, most=MOST_WORDS)
    size = single("p_value", level("p_value", p_value))
    if attack == "alpha":
        step, slope = None, 1 / single("strength", positive("strength", strength))
        if slope > 2:
            raise ValueError(f"strength is {strength}: give at least 1/2 for alpha")
    else:
        step, slope = integer("strength", strength, most=MOST_STRENGTH) + 1, 0.0
    if test == "adaptive proportion":
        return _windows(count, step if attack == "beta" else None)
    if test == "sign":
        return _outside(_signs(count, step if attack == "beta" else None), count, size)
    if attack == "alpha":
        word = _flattened_word(slope)
        if _passes(word, count, size) < _SURE:
            return 1.0
        return _outside(_sum_of(word, count), _BITS * count, size)
    if attack == "gamma":
        # A halved layer has its lowest bit no more, and its top bit is 0.
        ones = _binomial(_BITS * count - count // (step or 1))
    else:
        ones = _sum(_signs(count, step), _binomial((_BITS - 1) * count))
    return _outside(ones, _BITS * count, size)


def _binomial(trials: int) -> Law:
    """Return the law of fair coins, cut off far outside."""
    reach = _REACH * trials**0.5 / 2 + 1
    first = max(0, int(trials / 2 - reach))
    counts = np.arange(first, min(trials, int(trials / 2 + reach)) + 1)
    return first, stats.binom.pmf(counts, trials, 0.5)


def _signs(words: int, step: int | None) -> Law:
    """Return the law of the set sign bits, every `step`-th of which is cleared."""
    first, chance = _binomial(words)
    if step is None:
        return first, chance
    drawn = first + np.arange(chance.size)
    left = drawn - drawn // step
    return int(left[0]), np.bincount(left - left[0], chance).astype(np.float64)


def _sum(one: Law, other: Law) -> Law:
    return one[0] + other[0], np.convolve(one[1], other[1])


def _flattened_word(slope: float) -> FloatArray:
    """Return the chances of the ones of a word whose upper 55 bits are a tampered place below 1/4.

    A place of 53 bits b has the chance 2^-53 (1 + slope sum_i (b_i - 1/2) 2^-i), hence k ones with
    that of fair coins times 1 + slope (k / 53 - 1/2).
    """
    ones = np.arange(54.0)
    place = stats.binom.pmf(ones, 53, 0.5) * (1 + slope * (ones / 53 - 0.5))
    return np.convolve(place, stats.binom.pmf(np.arange(10), 9, 0.5))


def _passes(word: FloatArray, words: int, size: float) -> float:
    """Return an upper bound of the chance that words with too few ones pass (Chernoff)."""
    bits = _BITS * words
    # erfc(28) is 0 among floats, and the inverse of the least ones infinite.
    least = bits / 2 - np.sqrt(bits / 2) * min(float(special.erfcinv(size)), 28.0) - 1
    tilts = np.linspace(0.0, 1.0, 201)
    moments = np.exp(np.outer(tilts, np.arange(word.size))) @ word
    return float(np.exp(min(0.0, np.min(words * np.log(moments) - tilts * least))))


def _sum_of(word: FloatArray, words: int) -> Law:
    """Return the law of the sum of independent words: a power of the characteristic function."""
    length = words * (word.size - 1) + 1
    spectrum = np.fft.rfft(word, length) ** words
    return 0, np.fft.irfft(spectrum, length)


def _outside(law: Law, bits: int, size: float) -> float:
    """Return the chance of a count of ones that is refused."""
    first, chance = law
    surplus = 2 * (first + np.arange(chance.size)) - bits
    refused = special.erfc(np.abs(surplus) / np.sqrt(2 * bits)) < size
    return float(min(max(chance[refused].sum(), 0.0), 1.0))


def _windows(words: int, step: int | None) -> float:
    """Return the chance of an alarm in the windows of the sign bit."""
    phases = step or 1
    state = np.full(phases, 1 / phases)
    full, rest = divmod(words, WINDOW)
    for length, times in ((WINDOW, full), (rest, int(rest >= CUTOFF))):
        if times:
            state = _passed(state, length, times, step)
    return max(0.0, float(1 - state.sum()))


def _passed(state: FloatArray, length: int, times: int, step: int | None) -> FloatArray:
    """Return the chances of the counter's phases behind `times` windows without an alarm."""
    phases = len(state)
    drawn = np.arange(length)  # set bits behind the first one
    chance = stats.binom.pmf(drawn, length - 1, 0.5) / 2
    moves = np.zeros((phases, phases))
    for phase in range(phases):
        for bit in (0, 1):
            total = drawn + bit
            cleared = np.zeros_like(total) if step is None else (phase + total) // step
            shown = bit and not (step is not None and phase + 1 == step)
            ones = total - cleared
            passes = (ones if shown else length - ones) < CUTOFF
            ends = (phase + total) % phases
            moves[phase] += np.bincount(ends[passes], chance[passes], minlength=phases)
    for _ in range(times):
        state = state @ moves
    return state
