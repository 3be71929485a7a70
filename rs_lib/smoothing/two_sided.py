"""Bounds of the top class and of every other class at one level.

With alpha / 2 for the top class from below, and alpha / (2 (C - 1)) for each of the C - 1 others
from above, all of them hold together with probability 1 - alpha, however the counts depend on each
other. A bound from above rises with its count, so that the runner-up's bounds the probability of
every other class. Where many classes share the rest, the runner-up stays far below what the top
class leaves over, and the radius of Cohen et al. (2019), Theorem 1, exceeds the one that takes
1 - p_lower in its place; with few classes it falls short of it, since half of alpha is spent.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rs_lib.arguments import FloatArray, IntArray
from rs_lib.statistics import clopper_pearson_lower, clopper_pearson_upper


def bounds(
    successes: npt.ArrayLike, runner_up: npt.ArrayLike, n: int, alpha: float, classes: int
) -> tuple[FloatArray, FloatArray]:
    """Return lower bounds [N] of the selected class and upper bounds [N] of every other class.

    `successes` and `runner_up`: counts [N] of the selected class and of the most frequent other one
    of `classes`, among `n` samples. Together the bounds of an image are false with probability at
    most `alpha`.
    """
    share = alpha / 2  # exact
    each = np.nextafter(share / (classes - 1), 0.0)
    low = np.asarray(clopper_pearson_lower(successes, n, share))
    return low, np.asarray(clopper_pearson_upper(runner_up, n, each))


def certified(low: FloatArray, high: FloatArray) -> npt.NDArray[np.bool_]:
    """Whether the selected class leads: its bound exceeds that of the others; bool [N]."""
    return np.asarray((low > high) | (low > 0.5), dtype=np.bool_)


def most_frequent_other(counts: IntArray, selected: IntArray) -> IntArray:
    """Return the largest count [N] beside that of the `selected` class [N]; `counts` is [N, C]."""
    others = counts.copy()
    others[np.arange(len(counts)), selected] = -1
    found: IntArray = others.max(axis=1)
    return found
