"""Majority smoothing on a cycle of n points: what becomes of all 2^n hypotheses.

A hypothesis gives each point of the cycle 0, 1, ..., n - 1 a label 0 or 1; it is stored as a whole
number whose bit i is the label of point i. The noise is uniform on the steps -k, ..., k, and the
smoothed label of a point is 1 if more than half of the 2k + 1 points that it reaches have label 1.
Steps wrap around: if 2k + 1 > n, some points are reached several times and count as often.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from rs_lib.arguments import integer, integers

LARGEST = 26
"""The largest cycle that is enumerated: 2^26 hypotheses, a byte of memory each."""

_CHUNK = 1 << 16

Hypotheses = npt.NDArray[np.uint32]


def smoothed(hypotheses: npt.ArrayLike, n: int, k: int) -> Hypotheses:
    """Return the smoothed hypotheses, in the shape of `hypotheses` (whole numbers below 2^n).

    Raises ValueError for a cycle of fewer than 1 or more than 26 points, a negative k, or a
    hypothesis that needs more than n bits.
    """
    n, k = _checked(n, k)
    given = integers("hypotheses", hypotheses)
    if (given >= 1 << n).any():
        raise ValueError(f"hypotheses is {given.max()}: give whole numbers below 2^{n}")
    return _smoothed(given.astype(np.uint32), n, k)


def image_size(n: int, k: int) -> int:
    """Return how many of the 2^n hypotheses remain distinct: the size of the smoothing's image.

    Every hypothesis is smoothed, a chunk at a time; memory is 2^n bytes and a few MiB.
    Raises ValueError for a cycle of fewer than 1 or more than 26 points or a negative k.
    """
    n, k = _checked(n, k)
    reached = np.zeros(1 << n, dtype=np.bool_)
    for chunk in _chunks(n):
        reached[_smoothed(chunk, n, k)] = True
    return int(reached.sum())


def fixed_points(n: int, k: int) -> int:
    """Return how many of the 2^n hypotheses smoothing leaves as they are.

    Raises ValueError for a cycle of fewer than 1 or more than 26 points or a negative k.
    """
    n, k = _checked(n, k)
    return sum(int((_smoothed(chunk, n, k) == chunk).sum()) for chunk in _chunks(n))


def _checked(n: int, k: int) -> tuple[int, int]:
    points, radius = integer("n", n, least=1), integer("k", k)
    if points > LARGEST:
        raise ValueError(
            f"n is {points}: give at most {LARGEST} points, for all 2^n are enumerated"
        )
    return points, radius


def _chunks(n: int) -> Iterator[Hypotheses]:
    """Yield all hypotheses on n points in chunks that stay in the processor's cache."""
    for start in range(0, 1 << n, _CHUNK):
        yield np.arange(start, min(start + _CHUNK, 1 << n), dtype=np.uint32)


def _smoothed(hypotheses: Hypotheses, n: int, k: int) -> Hypotheses:
    # The window goes round the cycle `turns` times and covers `rest` consecutive points once more.
    turns, rest = divmod(2 * k + 1, n)
    needed = k + 1 - turns * np.bitwise_count(hypotheses).astype(np.int64) if turns else k + 1
    result = np.zeros_like(hypotheses)
    for point in range(n):
        window = sum(1 << (point - k + step) % n for step in range(rest))
        ones = np.bitwise_count(hypotheses & np.uint32(window))
        result |= (ones >= needed).astype(np.uint32) << np.uint32(point)
    return result
