"""Sparsity-aware noise on binary data: exact certificates for added and deleted ones.

A 0 becomes 1 with probability f (`p_add`), a 1 becomes 0 with probability g (`p_delete`): sparse
data stays sparse for f much below g. Let x' have a ones more where x is 0 and d ones less where
x is 1. Let T count the noisy ones on the former and the noisy zeros on the latter coordinates,
that is where the noisy point agrees with x'. Under x, T is Bin(a, f) + Bin(d, g), under x' it is
Bin(a, 1 - g) + Bin(d, 1 - f), and the ratio of both laws at an outcome is a constant times
(f g / ((1 - f)(1 - g)))^T. So a + d + 1 regions suffice; the ratio falls with T if f + g < 1, rises
if f + g > 1 and is 1 throughout if f + g = 1, where the noise forgets the data.
rho falls in a and in d, by the argument of `discrete`.
Source: Bojchevski, Klicpera and Günnemann (2020), "Efficient Robustness Certificates for Discrete
Data: Sparsity-Aware Randomized Smoothing for Graphs, Images and More", section 4.
"""

from __future__ import annotations

import bisect
import functools
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from rs_lib import arguments
from rs_lib.arguments import FloatArray, IntArray
from rs_lib.certificates.regions import (
    Exact,
    Regions,
    exact_probability,
    float_above,
    power,
    require_affordable,
)

BoolArray = npt.NDArray[np.bool_]


def regions(added: int, deleted: int, p_add: Exact, p_delete: Exact) -> Regions:
    """Return the regions of a point and one with `added` ones more, `deleted` fewer; exact.

    Raises ValueError for negative counts, probabilities outside [0, 1] or given as floats, or more
    digits than a few seconds allow.
    """
    more, less = arguments.integer("added", added), arguments.integer("deleted", deleted)
    f, g = exact_probability("p_add", p_add), exact_probability("p_delete", p_delete)
    require_affordable("added plus deleted", more + less, f, g)
    return _regions(more, less, f, g)


def worst_case(p: Exact, added: int, deleted: int, p_add: Exact, p_delete: Exact) -> Fraction:
    """Smallest probability at x' of a class that has p at x; exact and attained.

    Raises ValueError as `regions` does and for p outside [0, 1] or given as a float.
    """
    return regions(added, deleted, p_add, p_delete).worst_case(p)


def threshold(added: int, deleted: int, p_add: Exact, p_delete: Exact) -> Fraction:
    """Largest p with worst case <= 1/2: x' keeps the answer if and only if p exceeds it; exact.

    It is 1 where no p suffices. Raises ValueError as `regions` does.
    """
    return regions(added, deleted, p_add, p_delete).threshold()


def certified(
    p_lower: npt.ArrayLike,
    added: npt.ArrayLike,
    deleted: npt.ArrayLike,
    p_add: Exact,
    p_delete: Exact,
) -> BoolArray:
    """Whether up to `added` additions and `deleted` deletions together leave the answer; bool.

    The first three broadcast: `p_lower` [tests, 1, 1], `added` [a, 1] and `deleted` [d] give a
    grid for each test. Floats and Fractions count as exact numbers. Raises ValueError for p_lower
    outside [0, 1] and as `regions` does.

    In the book: thm-dn-sparse.
    """
    low = arguments.exact_probabilities("p_lower", p_lower)
    more, less = np.broadcast_arrays(
        arguments.integers("added", added), arguments.integers("deleted", deleted)
    )
    pairs, place = np.unique(np.stack([more.ravel(), less.ravel()]), axis=1, return_inverse=True)
    bounds = [threshold(a, d, p_add, p_delete) for a, d in pairs.T.tolist()]
    if low.dtype == np.float64:
        least = np.array([float_above(bound) for bound in bounds])
        return np.asarray(low >= least[place].reshape(more.shape))
    exact = np.array(bounds, dtype=object)[place].reshape(more.shape)
    return np.asarray(low > exact, dtype=np.bool_)


def radius(p_lower: npt.ArrayLike, p_add: Exact, p_delete: Exact, max_radius: int = 60) -> IntArray:
    """Largest number of changed bits, added or deleted, that leave the answer; int64, -1 for none.

    The class must keep more than 1/2 for every split of the number into additions and deletions,
    however many zeros and ones there are. Values stop at `max_radius`, which then means "at least".
    Floats and Fractions count as exact numbers: the result is rounded nowhere. Raises ValueError
    for p_lower outside [0, 1] and as `regions` does.

    Source: Bojchevski, Klicpera and Günnemann (2020), section 4.

    In the book: thm-dn-sparse.
    """
    low = arguments.exact_probabilities("p_lower", p_lower)
    f, g = exact_probability("p_add", p_add), exact_probability("p_delete", p_delete)
    last = arguments.integer("max_radius", max_radius)
    require_affordable("max_radius", last, f, g)

    def found(p: float | Fraction) -> int:
        def lost(r: int) -> bool:
            return p < _least(r, f, g) if isinstance(p, float) else p <= _worst(r, f, g)

        # Thresholds never fall with the number of changes.
        return bisect.bisect_left(range(last + 1), True, key=lost) - 1

    values = [found(p) for p in low.ravel().tolist()]
    return np.array(values, dtype=np.int64).reshape(low.shape)[()]


def required_probability(changed: npt.ArrayLike, p_add: Exact, p_delete: Exact) -> FloatArray:
    """Smallest float p_lower whose `radius` reaches `changed`; 1 where no probability below does.

    `changed` are whole numbers of at least 0. Raises ValueError as `regions` does.
    """
    wanted = arguments.integers("changed", changed)
    f, g = exact_probability("p_add", p_add), exact_probability("p_delete", p_delete)
    require_affordable("changed", int(wanted.max(initial=0)), f, g)
    least = [min(_least(r, f, g), 1.0) for r in wanted.ravel().tolist()]
    return np.array(least, dtype=np.float64).reshape(wanted.shape)[()]


@functools.lru_cache(maxsize=2**12)
def _worst(changes: int, p_add: Fraction, p_delete: Fraction) -> Fraction:
    """Largest threshold of all splits of `changes` into additions and deletions."""
    splits = ((added, changes - added) for added in range(changes + 1))
    return max(_regions(*split, p_add, p_delete).threshold() for split in splits)


@functools.lru_cache(maxsize=2**12)
def _least(changes: int, p_add: Fraction, p_delete: Fraction) -> float:
    """Smallest float that certifies so many changes."""
    return float_above(_worst(changes, p_add, p_delete))


@functools.lru_cache(maxsize=256)
def _regions(added: int, deleted: int, p_add: Fraction, p_delete: Fraction) -> Regions:
    f, g = p_add.numerator, p_delete.numerator
    not_f, not_g = p_add.denominator - f, p_delete.denominator - g
    base = _product(power((not_f, f), added), power((not_g, g), deleted))
    # In the other law all counts have the denominators of the other kind: expand both.
    shifted = _product(power((g, not_g), added), power((f, not_f), deleted))
    wide = p_add.denominator**added * p_delete.denominator**deleted
    tall = p_delete.denominator**added * p_add.denominator**deleted
    first = tuple(mass * tall for mass in base)
    second = tuple(mass * wide for mass in shifted)
    if p_add + p_delete > 1:
        first, second = first[::-1], second[::-1]
    return Regions(first, second, wide * tall)


def _product(first: list[int], second: list[int]) -> list[int]:
    result = [0] * (len(first) + len(second) - 1)
    for i, mass in enumerate(first):
        for j, other in enumerate(second):
            result[i + j] += mass * other
    return result
