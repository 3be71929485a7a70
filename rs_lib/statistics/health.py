"""A test of random words, bit position by bit position, whose false alarms are rare by proof.

Words are counted as they are drawn, and looked at as often as one likes, at numbers of words that
do not depend on their bits. A position is refused when its ones are further from one half than fair
coins allow at the level of that look; look j spends 1 / (j (j + 1)) of the level, all looks
together spend no more than all of it.
"""

import functools
from collections.abc import Sequence
from fractions import Fraction
from math import comb

import numpy as np
from scipy import stats

from rs_lib.arguments import integer, level, single

POSITIONS = 64

_SLACK = 1 + 2.0**-20
"""Factor by which the computed tails are taken to be larger: far more than they err."""

_MOST_WORDS = 2**50  # SciPy finds no quantiles much further up


@functools.lru_cache(maxsize=4096)
def limit(words: int, look: int, error: float, positions: int = POSITIONS) -> int:
    """Return the largest |2 k - words| that look number `look` (from 1) lets pass.

    k is the number of ones at a bit position in `words` words. With fair coins the probability that
    any of `positions` goes beyond is at most `error` / (look (look + 1)). Where even the most
    unequal counts are that likely, the result is `words`: nothing is refused. Raises ValueError for
    numbers that are not whole and at least 1, more than 2^50 words, or an error outside (0, 1).

    In the book: thm-br-health.
    """
    count = integer("words", words, least=1, most=_MOST_WORDS)
    place = integer("look", look, least=1)
    spent = single("error", level("error", error))
    share = spent / (place * (place + 1)) / (2 * integer("positions", positions, least=1))

    def rare(ones: int) -> bool:
        """Whether more than `ones` ones are rare enough."""
        return bool(stats.binom.sf(ones, count, 0.5) * _SLACK <= share)

    ones = int(stats.binom.isf(share, count, 0.5))
    while not rare(ones):
        ones += 1
    while 2 * ones > count and rare(ones - 1):
        ones -= 1
    return abs(2 * ones - count)


def false_alarm(
    looks: Sequence[int], limits: Sequence[int], positions: int = POSITIONS
) -> Fraction:
    """Return the exact probability that fair coins are refused at some of `looks`.

    `looks`: numbers of words, increasing; `limits`: the largest |2 k - words| that passes at each.
    Integer arithmetic counts the strings of coins that pass, so a few thousand words are much.
    """
    passing: dict[int, int] = {0: 1}
    seen = 0
    for words, most in zip(looks, limits, strict=True):
        fresh = words - seen
        paths: dict[int, int] = {}
        for ones, ways in passing.items():
            for more in range(fresh + 1):
                if abs(2 * (ones + more) - words) <= most:
                    paths[ones + more] = paths.get(ones + more, 0) + ways * comb(fresh, more)
        passing, seen = paths, words
    return 1 - Fraction(sum(passing.values()), 2**seen) ** positions


def refused(ones: Sequence[int], words: int, look: int, error: float) -> list[int]:
    """Return the bit positions whose `ones` of `words` words are refused at `look`."""
    counts = np.asarray(ones)
    most = limit(words, look, error, len(counts))
    return np.flatnonzero(np.abs(2 * counts - words) > most).tolist()
