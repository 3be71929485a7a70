"""Lower confidence bounds of P(score >= level) that hold at all levels together.

Scores are integers, counted in a histogram. Let F(s) = P(score < s), and let U_(j) be the j-th
smallest of n uniform numbers. If fewer than j of n samples lie below s, then F(s) <= U_(j): scores
are quantiles of uniform numbers, and U_(j) < F(s) would put j of them below s. So whenever
U_(j) <= u_j for chosen ranks j, F(s) <= u_j at every level s with fewer than j samples below it.

Radii are lost where the survival is close to 1, that is, at the smallest ranks. Half of the error
goes there: in equal parts to the ranks 1, 2, 3, ..., growing by a quarter up to 3 % of n, each
with its quantile of Beta(j, n - j + 1), which is a bound of Clopper and Pearson. The other half
goes to the band of constant width sqrt(log(2 / alpha) / 2n) (Dvoretzky, Kiefer and Wolfowitz, with
the constant of Massart). The better bound counts at each level.
Source: ours; for the joint level of such bands Steck (1971) and Noe (1972).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray, shown
from rs_lib.statistics.binomial import MAX_TRIALS, clopper_pearson_lower

_LEAST = 1e-57

_SHARE = 0.03
"""The ranks go up to this share of the samples."""

MOST_SAMPLES = 2_000
"""Most samples of `exact_level`, whose integers have n times the digits of a level."""

_MOST_WORK = 500_000_000


def _ranks(samples: int) -> IntArray:
    """Return 1, 2, 3, ... growing by a quarter up to 3 % of the samples; always 1."""
    ranks, rank = [1], 2
    while rank <= _SHARE * samples:
        ranks.append(rank)
        rank = max(rank + 1, rank * 5 // 4)
    return np.array(ranks)


def _by_failures(samples: int, alpha: float) -> FloatArray:
    """Lower bound of the survival at a level below which 0, 1, ..., n samples lie; [n + 1]."""
    ranks = _ranks(samples)
    level = math.nextafter(alpha / (2 * ranks.size), 0.0)
    # P(U_(j) > u) = P(at most j - 1 of n are below u).
    near = np.append(clopper_pearson_lower(samples - ranks + 1, samples, level), 0.0)
    failures = np.arange(samples + 1)
    bounds = near[np.searchsorted(ranks, failures + 1)]
    width = math.sqrt(math.log(2 / alpha) / (2 * samples)) * (1 + 2.0**-48)
    share = np.nextafter((samples - failures) / samples, -np.inf)
    wide = np.maximum(np.nextafter(share - width, -np.inf), 0.0)
    # Fewer samples below a level never mean less: all bounds hold together.
    return np.maximum.accumulate(np.maximum(bounds, wide)[::-1])[::-1]


def survival_lower(counts: npt.ArrayLike, alpha: npt.ArrayLike) -> FloatArray:
    """Lower bounds of P(score >= j) for all levels j, valid together with probability 1 - alpha.

    `counts` [..., m] is a histogram of integer scores 0 .. m - 1 of independent samples, with at
    least one sample in each row; alpha in [1e-57, 1) is the error of a whole row. Returns float64
    [..., m], which never increases along the last axis and is 1 at level 0; rounded down. The
    number of samples must be fixed in advance.

    Raises ValueError for counts that are no whole numbers, an empty histogram, more than
    `MAX_TRIALS` samples, or alpha outside [1e-57, 1).

    Source: ours (see the module). In the book: thm-cc-band.
    """
    given = arguments.integers("counts", counts)
    level = arguments.single("alpha", arguments.level("alpha", alpha))
    if level < _LEAST:  # a fraction of it is the level of each bound
        raise ValueError(f"alpha is {shown(alpha)}: give at least {_LEAST}")
    if given.ndim == 0 or given.shape[-1] == 0:
        raise ValueError(f"counts has shape {given.shape}: give a histogram of one level or more")
    if (given > MAX_TRIALS).any():
        raise ValueError(f"counts holds {given.max()}: give at most {MAX_TRIALS} samples")
    rows = given.reshape(-1, given.shape[-1])
    samples = rows.sum(axis=1)
    bad = (samples == 0) | (samples > MAX_TRIALS)
    if bad.any():
        raise ValueError(
            f"counts has a row of {samples[bad][0]} samples: give 1 to {MAX_TRIALS} samples"
        )
    below = np.cumsum(rows, axis=1)
    bounds = np.ones(rows.shape)
    for n in np.unique(samples):
        table = _by_failures(int(n), level)
        same = samples == n
        if same.all():
            bounds[:, 1:] = table[below[:, :-1]]
        else:
            bounds[same, 1:] = table[below[same, :-1]]
    return bounds.reshape(given.shape)


def exact_level(n: Any, ranks: Iterable[Any], levels: Iterable[Any]) -> Fraction:
    """Probability that U_(j) > u_j for at least one of the ranks j: the exact error of a band.

    U_(1) <= ... <= U_(n) are n independent uniform numbers in order; `ranks` increase within
    1 .. n, and `levels` u_j (integers, fractions, decimals, or floats as they are) do not decrease
    within [0, 1]. Counts of numbers below the levels are followed from one level to the next, with
    integers in place of probabilities, until a rank is missed or all are reached.

    Raises ValueError for other ranks or levels, lists of unequal length, or more than
    `MOST_SAMPLES` numbers.

    Source: Noe (1972), one-sided. In the book: thm-cc-band.
    """
    count = arguments.integer("n", n, least=1, most=MOST_SAMPLES)
    for name, given in (("ranks", ranks), ("levels", levels)):
        if isinstance(given, str | bytes) or not hasattr(given, "__iter__"):
            raise ValueError(f"{name} is {shown(given)}: give a list of numbers")
        if isinstance(given, np.ma.MaskedArray):
            raise ValueError(f"{name} is a masked array: give its compressed() or filled(…) values")
    wanted = [arguments.integer("ranks", rank, least=1, most=count) for rank in ranks]
    limits = [arguments.as_fraction("levels", level) for level in levels]
    if not wanted or len(limits) != len(wanted):
        raise ValueError(
            f"levels has {len(limits)} entries but ranks {len(wanted)}: give one level per rank"
        )
    if any(a >= b for a, b in itertools.pairwise(wanted)):
        raise ValueError(f"ranks is {shown(wanted)}: give whole numbers in increasing order")
    if limits != sorted(limits) or limits[0] < 0 or limits[-1] > 1:
        raise ValueError(f"levels is {shown(levels)}: give numbers in [0, 1] that do not decrease")
    most = wanted[-1]
    if len(wanted) * most * most // 2 * count > _MOST_WORK:
        raise ValueError(
            f"ranks is {shown(wanted)} of {count}: give fewer or smaller ranks, which take no more "
            "than some seconds"
        )
    unit = math.lcm(*(level.denominator for level in limits))
    places = [int(level * unit) for level in limits]
    return Fraction(_missed(count, wanted, places, unit), unit**count)


def _missed(count: int, ranks: list[int], places: list[int], unit: int) -> int:
    """Ways, in units of 1 / unit^count, to have fewer than a rank of numbers below its place."""
    most, missed, before = ranks[-1], 0, 0
    # ways[s]: s numbers lie below the last place, no rank was missed; the others are still free.
    ways = [1] + [0] * (most - 1)
    for rank, place in zip(ranks, places, strict=True):
        width, following = place - before, [0] * most
        powers = [1]
        for _ in range(most - 1):
            powers.append(powers[-1] * width)
        for s, old in enumerate(ways):
            if old:
                for t in range(s, most):
                    following[t] += old * math.comb(count - s, t - s) * powers[t - s]
        for s in range(rank):
            missed += following[s] * (unit - place) ** (count - s)
        ways = [0] * rank + following[rank:]
        before = place
    return missed
