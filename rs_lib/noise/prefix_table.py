"""Integer noise from random words: a table of 16-bit prefixes, and 64 bits more where needed."""

import functools
import math
from collections.abc import Sequence

import numpy as np

from rs_lib.noise.philox import WORDS_PER_BLOCK

TAIL_BITS = 80
"""Binary digits of the thresholds, and of the random number of a pixel."""

PREFIX_BITS = 16
AMBIGUOUS = -(2**15)
"""Stands in the table for a prefix that does not settle the noise; never a sum's value."""

_CELLS = 2**PREFIX_BITS
_REST = TAIL_BITS - PREFIX_BITS
_PER_WORD = 64 // PREFIX_BITS


class PrefixTable:
    """How integers are drawn by thresholds: 16 bits a pixel, 64 more for about one in a hundred.

    `thresholds`: an even number 2 K of them, in units of 2^-80, none falling. The noise of an
    80-bit number x is the number of thresholds <= x, minus K.

    The 80-bit number of a pixel is (prefix, rest). Where no threshold falls inside the cell of
    the prefix, the table holds the noise. Otherwise the rest is compared with the lower 64
    bits of the cell's thresholds, which decides the 80-bit comparison.

    A sample of d pixels owns `words_per_sample(d)` words: first the prefixes of its pixels, in
    order (four a word, lowest bits first), then the spare words, which its ambiguous pixels
    take as their rests, in order.
    """

    def __init__(self, thresholds: Sequence[int]) -> None:
        """Build the table."""
        self.largest = len(thresholds) // 2
        """The largest noise, K."""
        cell = np.array([threshold >> _REST for threshold in thresholds], dtype=np.int64)
        # One entry more, because a bisection may look one past the last threshold.
        self.rest = np.array([*(t % 2**_REST for t in thresholds), 0], dtype=np.uint64)
        """Lower 64 bits of the thresholds, uint64 [n + 1]."""
        self.first = np.searchsorted(cell, np.arange(_CELLS + 1)).astype(np.int32)
        """Number of thresholds below each cell, int32 [65537]: the place of the cell's first."""
        self.noise = (self.first[1:] - self.largest).astype(np.int16)
        # A threshold on the cell's lower end is below all of the cell.
        self.noise[cell[self.rest[:-1] > 0]] = AMBIGUOUS
        """The noise of each prefix, or AMBIGUOUS; int16 [65536]."""
        self.ambiguous = int((self.noise == AMBIGUOUS).sum()) / _CELLS
        """The probability that a pixel is ambiguous; exact."""
        self.steps = int(np.diff(self.first).max()).bit_length()
        """Halvings that find a place among the thresholds of the fullest cell."""

    def words_per_sample(self, pixels: int) -> int:
        """Return the number of words a sample owns, a multiple of 4.

        The spare words run out with probability at most 2^-64 a sample, by Chernoff's bound
        P(Bin(d, q) >= k) <= exp(−d KL(k / d, q)).
        """
        return _words_per_sample(pixels, self.ambiguous)


@functools.cache
def _words_per_sample(pixels: int, ambiguous: float) -> int:
    spare = math.ceil(pixels * ambiguous)
    while 0 < spare < pixels and not _rarely_exceeded(spare, pixels, ambiguous):
        spare += 1
    return -(-(prefix_words(pixels) + spare) // WORDS_PER_BLOCK) * WORDS_PER_BLOCK


def _rarely_exceeded(spare: int, pixels: int, ambiguous: float) -> bool:
    """Whether Chernoff's bound shows P(Bin(pixels, ambiguous) > spare) <= 2^-64."""
    share = (spare + 1) / pixels
    if share >= 1:
        return pixels * math.log(1 / ambiguous) >= 64 * math.log(2)
    divergence = share * math.log(share / ambiguous) + (1 - share) * math.log(
        (1 - share) / (1 - ambiguous)
    )
    return share > ambiguous and pixels * divergence >= 64 * math.log(2)


def prefix_words(pixels: int) -> int:
    """Return the number of words that hold the prefixes of a sample."""
    return -(-pixels // _PER_WORD)


def exhausted(pixels: int) -> str:
    """Return what to say of a sample without spare words."""
    return (
        f"a noise sample of {pixels} pixels has more ambiguous pixels than spare random words, "
        "which has probability below 2^-64: suspect the machine, or use another seed"
    )
