"""Gaussian noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from mpmath import mp  # type: ignore[import-untyped]
from scipy import special
from torch import Tensor

from rs_lib.arguments import FloatArray
from rs_lib.certificates import gaussian
from rs_lib.noise.additive import Continuous, exact, tail_units
from rs_lib.noise.prefix_table import TAIL_BITS

_BEYOND = 40  # standard deviations, beyond which a tail is far below 2^-80


@final
@dataclass(frozen=True)
class Gaussian(Continuous):
    """Normal noise with mean 0 and standard deviation `sigma` (Cohen et al. 2019)."""

    sigma: float
    name = "gaussian"
    norm = "l2"

    def sample(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Return independent noise of `shape`."""
        noise = torch.randn(tuple(shape), generator=generator, device=generator.device)
        return noise.mul_(self.sigma)

    def radius_between(self, p_lower: npt.ArrayLike, p_upper: npt.ArrayLike) -> FloatArray:
        """Return the l2 radius of Cohen et al. (2019), Theorem 1, with both bounds."""
        return gaussian.radius(p_lower, self.sigma, p_upper)

    def radius(self, p_lower: npt.ArrayLike) -> FloatArray:
        """Return the l2 radius of Cohen et al. (2019), theorem 1."""
        return gaussian.radius(p_lower, self.sigma)

    def _inverse(self, radii: FloatArray) -> FloatArray:
        return np.asarray(special.ndtr(radii / self.sigma))

    def tail(self, edge: Fraction) -> int:
        """Return P(Z > `edge`) in units of 2^-80, rounded down."""
        if edge > _BEYOND * Fraction(self.sigma):
            return 0
        with mp.workprec(TAIL_BITS + 128):
            return tail_units(mp.erfc(exact(edge) / (mp.mpf(self.sigma) * mp.sqrt(2))) / 2)

    def from_halves(self, halves: Tensor) -> Tensor:
        """Return normal values by the transform of Box and Muller (1958)."""
        # int32 is signed: h / 2^32 + 1/2 lies in [0, 1), and one more keeps the logarithm finite.
        wide = halves[:, 0::2].to(torch.float64)
        radius = wide.add_(2**31 + 1).mul_(2.0**-32).to(torch.float32).log_().mul_(-2).sqrt_()
        angle = halves[:, 1::2].to(torch.float32).mul_(math.pi * 2.0**-31)
        pair = torch.stack((angle.cos().mul_(radius), angle.sin_().mul_(radius)), dim=-1)
        return pair.flatten(1).mul_(self.sigma)
