"""What lies between a count and the digits of a log: the law of the noise, arithmetic, printing."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from rs_lib.arguments import FloatArray
from rs_lib.audit.logs import Printing

TIE = 1e-9
"""What a radius may be off, in units of sigma, where the log's author had another library.

Values closer to a rounding tie may be printed either way; a radius that lies above r_k by no more
is not surely overstated.
"""


@dataclass(frozen=True)
class Arithmetic:
    """How exactly a program computed radii: `relative` is the error that it may have left in one,
    `probability` that in the bound of the probability before."""

    name: str
    relative: float = 0.0
    probability: float = 0.0

    def widened(self, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the exact values, in units of sigma, that can print between `low` and `high`.

        Both are at least 0.
        """
        below = low * (1 - self.relative)
        above = high * (1 + self.relative)
        if self.probability:
            # The tails hold more digits than the probabilities themselves.
            below = -special.ndtri(np.minimum(special.ndtr(-below) + self.probability, 0.5))
            above = -special.ndtri(np.maximum(special.ndtr(-above) - self.probability, 0.0))
        return below - TIE, above + TIE


DOUBLE = Arithmetic("double precision")
ARITHMETICS = (
    DOUBLE,
    # Some units in the last place: of the quantile, of the product with sigma, of printing.
    Arithmetic("single precision", 2.0**-22),
    Arithmetic("single precision from the bound on", 2.0**-21, 2.0**-24),
    Arithmetic("half precision", 2.0**-10),
    Arithmetic("bfloat16", 2.0**-8),
)
"""The arithmetics that are tried, the finest first: each holds all that a finer one explains."""

COARSE = 1e-4
"""A relative error that single precision stays below, and half precision does not."""


@dataclass(frozen=True)
class Noise:
    """A law of noise: `deviate` gives Phi^-1 of the bound from a radius over the scale."""

    name: str
    deviate: Callable[[FloatArray], FloatArray]


def _of_laplace(radius: FloatArray) -> FloatArray:
    deviate: FloatArray = -special.ndtri(np.exp(-radius) / 2)
    return deviate


def _of_uniform(radius: FloatArray) -> FloatArray:
    deviate: FloatArray = special.ndtri(np.minimum(0.5 + radius / 2, 1.0))
    return deviate


GAUSSIAN = Noise("Gaussian", lambda radius: radius)
LAPLACE = Noise("Laplace", _of_laplace)
"""The l1 radius -scale log(2 (1 - p)) of Teng, Lee and Yuan (2020)."""
UNIFORM = Noise("uniform", _of_uniform)
"""The l1 radius half_width (2 p - 1) of Yang et al. (2020)."""


@dataclass(frozen=True)
class Manner:
    """How a log's digits were made from the exact radii."""

    style: Printing
    arithmetic: Arithmetic = DOUBLE

    def cells(
        self, printed: FloatArray, sigma: float, noise: Noise = GAUSSIAN
    ) -> tuple[FloatArray, FloatArray]:
        """Return the least and the largest Phi^-1 of a bound that can print as each radius."""
        low, high = (noise.deviate(end / sigma) for end in self.style.cells(printed))
        return self.arithmetic.widened(low, high)
