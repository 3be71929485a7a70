"""How many of its noisy copies the loss of CAT-RS keeps."""

from fractions import Fraction
from math import comb
from typing import Any

from rs_lib import arguments

MOST_VOTES = 200
"""Most votes: beyond, the exact law would take longer than anybody waits."""


def distribution(votes: Any, p: Any) -> tuple[Fraction, ...]:
    """Law of the number K of losses that are kept, exactly: P(K = 0), ..., P(K = votes).

    Of M = `votes` noisy copies, H ~ Bin(M, p) are classified correctly, and K ~ Bin(M, H / M) is
    drawn from this estimate, as the authors' code does it, with the same votes that the losses
    come from. So E K = M p, but Var K = p (1 - p) (2M - 1), M p (1 - p) from H and the rest from
    the draw, and P(K = M) = E (H / M)^M lies above p^M for M > 1. With one loss kept at least, the
    mean share that is kept, p + P(K = 0) / M, leaves 1 / M at p = 0 with slope (1 - 1 / M)^M.
    `p` is the probability of a correct vote: a fraction, a decimal, or a float as it is.

    Raises ValueError for votes outside 1 .. `MOST_VOTES` or p outside [0, 1].

    Source: Jeong, Kim and Shin (2023), their code; the law is ours.

    In the book: prop-tc-bottom, eq-tc-bottom.
    """
    count = arguments.integer("votes", votes, least=1, most=MOST_VOTES)
    share = arguments.as_fraction("p", p)
    if not 0 <= share <= 1:
        raise ValueError(f"p is {arguments.shown(p)}: give a probability in [0, 1]")
    hit, whole = share.numerator, share.denominator
    right = [comb(count, h) * hit**h * (whole - hit) ** (count - h) for h in range(count + 1)]
    unit = (whole * count) ** count
    return tuple(
        Fraction(
            comb(count, k)
            * sum(right[h] * h**k * (count - h) ** (count - k) for h in range(count + 1)),
            unit,
        )
        for k in range(count + 1)
    )
