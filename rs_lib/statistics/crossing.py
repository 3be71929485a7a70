"""The law of a Bernoulli count between two boundaries, by a dynamic programme over the looks."""

from collections.abc import Sequence
from math import exp, floor, log, sqrt
from typing import NamedTuple

import numpy as np

from rs_lib.arguments import FloatArray, IntArray

# Rounding, in units of 2^-53 relative to a result. Every mass is a sum of products of positive
# numbers, so nothing cancels and the bounds hold for the smallest mass too. In a kernel of w counts
# a weight passes at most w ratios of 5 roundings each; the sum that scales it carries as much and
# w more: 11 w + 1. A convolution adds up at most w products: w + 1. One more w covers products of
# bounds. A path collects this at every look; a sum of m ends adds m.
_UNIT = 2.0**-53
_UNITS_PER_COUNT = 14


class Kernel(NamedTuple):
    """Law of the successes between two looks: `mass[j]` is P(low + j successes)."""

    low: int
    mass: FloatArray


class Crossing(NamedTuple):
    """Where a walk ends; arrays of shape (looks,) hold probabilities at each look.

    `top` and `bottom` are the masses that go on just below `accept` and just above `reject`;
    `lost` bounds the mass that was not followed, wherever it would have ended, and `rounding` the
    relative error of each number by floating point.
    """

    accepted: FloatArray
    given_up: FloatArray
    going_on: FloatArray
    top: FloatArray
    bottom: FloatArray
    lost: float
    rounding: float

    def error_of(self, ends: FloatArray) -> float:
        """Upper bound of the probability of `ends`, an array of this crossing; tight to 1e-9."""
        return float(ends.sum()) * (1 + self.rounding) + self.lost


def depth(level: float) -> float:
    """Exponent D such that the mass exp(-D) is left out without harm at an error `level`."""
    return 45.0 - log(level)


def _kernel(steps: int, p: float, exponent: float) -> Kernel:
    """Binomial law of `steps` trials on the counts outside which each tail is below exp(-D).

    The range is Bernstein's: P(|X - mp| >= t) <= exp(-t²/(2mpq + 2t/3)) on either side. From the
    mode outwards the masses follow from ratios of neighbours, which keeps each of them accurate
    to a relative error; they are scaled to the sum 1, which leaves out 2 exp(-D) at most.
    """
    if p in (0.0, 1.0):
        return Kernel(round(steps * p), np.ones(1))
    q = 1 - p  # exact for p >= 1/2
    reach = exponent / 3 + sqrt(exponent**2 / 9 + 2 * exponent * steps * p * q)
    low, high = max(0, floor(steps * p - reach)), min(steps, floor(steps * p + reach) + 1)
    mode = min(floor((steps + 1) * p), steps)
    up = np.arange(mode, high, dtype=np.float64)
    down = np.arange(mode, low, -1, dtype=np.float64)
    mass = np.concatenate(
        [
            np.cumprod(down / (steps - down + 1) * (q / p))[::-1],
            [1.0],
            np.cumprod((steps - up) / (up + 1) * (p / q)),
        ]
    )
    return Kernel(low, mass / mass.sum())


class Walk:
    """The counts of successes at `looks` (int64, shape (looks,)) for one success probability.

    The kernels are kept, so that many pairs of boundaries can be tried on one walk. `level` is the
    size of the smallest probability that matters: each look leaves out less than 1e-18 of it.
    """

    def __init__(self, looks: IntArray, p: float, level: float) -> None:
        """Start at no samples; kernels are computed when they are first needed."""
        self._p = p
        self._depth = depth(level)
        self._steps: Sequence[int] = np.diff(looks, prepend=0).tolist()
        self._kernels: dict[int, Kernel] = {}

    def _kernel(self, steps: int) -> Kernel:
        kernel = self._kernels.get(steps)
        if kernel is None:
            kernel = self._kernels[steps] = _kernel(steps, self._p, self._depth)
        return kernel

    def cross(self, accept: IntArray, reject: IntArray) -> Crossing:
        """Follow the walk until its count is >= `accept` or <= `reject` at a look."""
        accepted, given_up, going_on, top, bottom = np.zeros((5, len(self._steps)))
        negligible = exp(-self._depth)
        first, mass, lost, units = 0, np.ones(1), 0.0, 0
        for i, (steps, upper, lower) in enumerate(
            zip(self._steps, accept.tolist(), reject.tolist(), strict=True)
        ):
            kernel = self._kernel(steps)
            first, mass = first + kernel.low, np.convolve(mass, kernel.mass)
            # Two tails outside the kernel, and what falls below the smallest float.
            lost += 3 * negligible
            units += _UNITS_PER_COUNT * kernel.mass.size + mass.size
            start = min(max(lower + 1 - first, 0), mass.size)
            stop = min(max(upper - first, start), mass.size)
            given_up[i], accepted[i] = mass[:start].sum(), mass[stop:].sum()
            first, mass = first + start, mass[start:stop]
            going_on[i] = mass.sum()
            if going_on[i] <= negligible:
                lost += going_on[i]
                break
            top[i] = mass[-1] if first + mass.size == upper else 0.0
            bottom[i] = mass[0] if first == lower + 1 else 0.0
        return Crossing(accepted, given_up, going_on, top, bottom, lost, units * _UNIT)
