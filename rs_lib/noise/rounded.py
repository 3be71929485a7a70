"""Integer noise for images of integers: a continuous law, rounded to the grid of the pixels."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from mpmath import mp  # type: ignore[import-untyped]
from torch import Tensor

from rs_lib.arguments import integer, shown
from rs_lib.noise.laws import Additive, Gaussian, Uniform

BITS = 80
_BEYOND = 40  # standard deviations, beyond which a tail is far below 2^-80
LARGEST = 2**15 - 1
"""The largest sum of a pixel and its noise: sums are int16."""


@dataclass(frozen=True)
class Rounded:
    """The law of round(levels · Z) for Z ~ `law`, on images of the integers 0 … `levels`.

    P(j) = F((2j + 1) / (2 levels)) − F((2j − 1) / (2 levels)) with the distribution function F
    of `law`; the pixel k stands for the number k / levels. Noise is added to k as an integer,
    and the sum is converted once, float32(k + j) · float32(1 / levels): the noisy input is a
    function of the integer k + j, so float arithmetic cannot carry anything of k past the
    noise. For a classifier f of real inputs, smoothing f ∘ (round to the grid) with `law` has
    exactly this law at grid points, so the certificate of `law` holds there (Voráček and
    Hein 2023, "Sound randomized smoothing in floating-point arithmetic").

    Samples are drawn by comparing an 80-bit random number with integers beside F · 2^80; their
    law is within `defect` of the stated one, in total variation.

    Raises ValueError for another law, if `levels` lies outside 1 … 255 (images are uint8) or if
    the noise can leave the range of int16.
    """

    law: Additive
    levels: int = 255

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown law, and for levels or noise that do not fit."""
        _require_known(self.law)
        object.__setattr__(self, "levels", integer("levels", self.levels, least=1))
        if self.levels > 255:
            raise ValueError(f"levels is {self.levels}: give at most 255, images are uint8")
        largest_noise = LARGEST - 255
        if tail(self.law, Fraction(2 * largest_noise + 1, 2 * self.levels)):
            raise ValueError(
                f"{self.law} at levels={self.levels} reaches noise beyond {largest_noise}, which "
                "does not fit 16 bits: give a narrower law or fewer levels"
            )

    @property
    def name(self) -> str:
        """The law's name: "rounded-gaussian", for one."""
        return f"rounded-{self.law.name}"

    @property
    def norm(self) -> str:
        """The norm of the certified ball, that of the continuous law."""
        return self.law.norm

    @property
    def defect(self) -> float:
        """Bound on the total variation between a pixel's noise as drawn and its law.

        Couple both through one uniform number: they differ only if it falls between one of the
        n thresholds and its multiple of 2^-80, or into the tails that are cut, each below
        2^-80. So at most (n + 2) 2^-80; times the number of pixels for an image.
        """
        return math.ldexp(len(thresholds(self)) + 2, -BITS)

    def sample(
        self,
        shape: Sequence[int],
        generator: torch.Generator,
        device: torch.device | str,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Return independent noise j / levels of `shape`, for training: its law is approximate."""
        noise = self.law.sample(shape, generator, device, dtype)
        return noise.mul_(self.levels).round_().div_(self.levels)


def tail(law: Additive, edge: Fraction) -> int:
    """Return P(Z > `edge`) in units of 2^-80, rounded down; `edge` > 0.

    Raises ValueError for another law: noise drawn from a wrong tail would certify falsely.
    """
    _require_known(law)
    if isinstance(law, Uniform):
        width = Fraction(law.half_width)
        return math.floor(max(Fraction(0), (width - edge) / (2 * width)) * (1 << BITS))
    if isinstance(law, Gaussian) and edge > _BEYOND * Fraction(law.sigma):
        return 0
    with mp.workprec(BITS + 128):
        exact = mp.mpf(edge.numerator) / edge.denominator
        if isinstance(law, Gaussian):
            probability = mp.erfc(exact / (mp.mpf(law.sigma) * mp.sqrt(2))) / 2
        else:
            probability = mp.exp(-exact / mp.mpf(law.scale)) / 2
        units: int = int(mp.floor(mp.ldexp(probability, BITS)))
        return units


def _require_known(law: object) -> None:
    if not isinstance(law, Additive):
        raise ValueError(f"law is {shown(law)}: give Gaussian, Uniform or Laplace noise")


@functools.cache
def thresholds(noise: Rounded) -> tuple[int, ...]:
    """Return F at the edges −K + 1/2, …, K − 1/2 (over levels), in units of 2^-80; increasing.

    The noise of an 80-bit number x is the number of thresholds <= x, minus K. Those below 0
    are rounded down and those above 0 mirror them, so that the law as drawn is symmetric and
    its support finite: K is the largest noise.
    """
    upper: list[int] = []
    while units := tail(noise.law, Fraction(2 * len(upper) + 1, 2 * noise.levels)):
        upper.append(units)
    return (*reversed(upper), *(2**BITS - units for units in upper))
